"""Metrics over results, the comparison of ANN and SNN, and plots.

Nothing here is imported until it is asked for, so that ``import brainsnn`` does not load matplotlib or pandas.
"""

from importlib import import_module

_HOMES = {
    "TargetAUC": "behaviour",
    "bootstrap_interval": "behaviour",
    "detection_scores": "behaviour",
    "target_auc": "behaviour",
    "top_k_accuracy": "behaviour",
    "firing_latency": "layer_activity",
    "focus_masks": "layer_activity",
    "focus_rates": "layer_activity",
    "layer_patterns": "layer_activity",
    "layer_rdm": "layer_activity",
    "rdm_fit": "layer_activity",
    "response_rate": "layer_activity",
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
