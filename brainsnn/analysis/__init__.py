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
    "accuracy_interval": "brainsnn.analysis.signal_detection",
    "auc": "brainsnn.analysis.signal_detection",
    "d_prime": "brainsnn.analysis.signal_detection",
    "detection_time": "brainsnn.analysis.metrics",
    "dissimilarity_matrix": "brainsnn.analysis.metrics",
    "evoked_potential": "brainsnn.analysis.metrics",
    "filtered_spikes": "brainsnn.analysis.metrics",
    "response_latency": "brainsnn.analysis.metrics",
    "spikes_per_image": "brainsnn.analysis.metrics",
    "Comparison": "brainsnn.analysis.permutations",
    "auc_permutation_test": "brainsnn.analysis.permutations",
    "max_t_test": "brainsnn.analysis.permutations",
    "permutation_test": "brainsnn.analysis.permutations",
    "adjusted_p_values": "brainsnn.analysis.inference",
    "bootstrap_p_value": "brainsnn.analysis.inference",
    "mcnemar_test": "brainsnn.analysis.inference",
    "required_images": "brainsnn.analysis.inference",
    "bootstrap_draws": "brainsnn.analysis.resampling",
    "draw_interval": "brainsnn.analysis.resampling",
    "resampled_items": "brainsnn.analysis.resampling",
    "LatencyCriterion": "brainsnn.analysis.readout_activity",
    "column_places": "brainsnn.analysis.readout_activity",
    "column_potential": "brainsnn.analysis.readout_activity",
    "column_rate": "brainsnn.analysis.readout_activity",
    "latency_criterion": "brainsnn.analysis.readout_activity",
    "midpoint_latency": "brainsnn.analysis.readout_activity",
    "multi_unit_activity": "brainsnn.analysis.readout_activity",
    "smoothed_response": "brainsnn.analysis.readout_activity",
    "class_model": "brainsnn.analysis.rdm_dynamics",
    "partial_correlations": "brainsnn.analysis.rdm_dynamics",
    "rdm_draws": "brainsnn.analysis.rdm_dynamics",
    "rdm_over_time": "brainsnn.analysis.rdm_dynamics",
    "AttentionModulation": "brainsnn.analysis.search_behaviour",
    "attention_modulation": "brainsnn.analysis.search_behaviour",
    "chance_level": "brainsnn.analysis.search_behaviour",
    "detected_share": "brainsnn.analysis.search_behaviour",
    "median_detection_time": "brainsnn.analysis.search_behaviour",
    "weighted_f1": "brainsnn.analysis.search_behaviour",
    "window_mean": "brainsnn.analysis.search_behaviour",
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
