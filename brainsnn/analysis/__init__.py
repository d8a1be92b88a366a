"""Metrics over results, the comparison of ANN and SNN, and plots.

Nothing here is imported until it is asked for, so that ``import brainsnn`` does not load matplotlib or pandas.
"""

from importlib import import_module

_HOMES = {
    "TargetAUC": "attention_metrics",
    "bootstrap_interval": "attention_metrics",
    "detection_scores": "attention_metrics",
    "firing_latency": "attention_metrics",
    "focus_masks": "attention_metrics",
    "focus_rates": "attention_metrics",
    "layer_patterns": "attention_metrics",
    "layer_rdm": "attention_metrics",
    "rdm_fit": "attention_metrics",
    "response_rate": "attention_metrics",
    "target_auc": "attention_metrics",
    "top_k_accuracy": "attention_metrics",
    "accuracy_interval": "metrics",
    "auc": "metrics",
    "d_prime": "metrics",
    "detection_time": "metrics",
    "dissimilarity_matrix": "metrics",
    "evoked_potential": "metrics",
    "filtered_spikes": "metrics",
    "response_latency": "metrics",
    "spikes_per_image": "metrics",
    "ActivationComparison": "compare",
    "compare_activations": "compare",
    "PALETTE": "plots",
    "plot_accuracy_over_time": "plots",
    "plot_comparison": "plots",
    "plot_raster": "plots",
    "plot_traces": "plots",
    "plot_training": "plots",
    "style": "plots",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")


def __dir__():
    return __all__
