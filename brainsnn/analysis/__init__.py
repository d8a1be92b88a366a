"""Metrics of results, the comparison of ANN and SNN, and plots.

Names are imported when they are first used, so that ``import brainsnn`` does not load matplotlib or pandas.
"""

from importlib import import_module

_MODULES = {
    "TargetAUC": "brainsnn.analysis.behaviour",
    "bootstrap_interval": "brainsnn.analysis.behaviour",
    "detection_scores": "brainsnn.analysis.behaviour",
    "target_auc": "brainsnn.analysis.behaviour",
    "top_k_accuracy": "brainsnn.analysis.behaviour",
    "firing_latency": "brainsnn.analysis.layer_activity",
    "focus_masks": "brainsnn.analysis.layer_activity",
    "focus_rates": "brainsnn.analysis.layer_activity",
    "layer_patterns": "brainsnn.analysis.layer_activity",
    "layer_rdm": "brainsnn.analysis.layer_activity",
    "rdm_fit": "brainsnn.analysis.layer_activity",
    "response_rate": "brainsnn.analysis.layer_activity",
    "accuracy_interval": "brainsnn.analysis.metrics",
    "auc": "brainsnn.analysis.metrics",
    "d_prime": "brainsnn.analysis.metrics",
    "detection_time": "brainsnn.analysis.metrics",
    "dissimilarity_matrix": "brainsnn.analysis.metrics",
    "evoked_potential": "brainsnn.analysis.metrics",
    "filtered_spikes": "brainsnn.analysis.metrics",
    "response_latency": "brainsnn.analysis.metrics",
    "spikes_per_image": "brainsnn.analysis.metrics",
    "ActivationComparison": "brainsnn.analysis.compare",
    "compare_activations": "brainsnn.analysis.compare",
    "PALETTE": "brainsnn.plot_style",
    "plot_accuracy_over_time": "brainsnn.analysis.plots",
    "plot_comparison": "brainsnn.analysis.plots",
    "plot_raster": "brainsnn.results.plots",
    "plot_traces": "brainsnn.results.plots",
    "plot_training": "brainsnn.analysis.plots",
    "style": "brainsnn.plot_style",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")


def __dir__():
    return __all__
