"""
Figures of results, fields and activities: ``brainsnn.plot``.

A function draws one panel, of a result or of plain data, on the axes that it is given, or on new ones, and returns them. Three
differ: `comparison` makes a figure of several panels, `mosaic` returns a picture as an array, and `feature_movie` writes a file.
Axes have units, and the colours can be told apart by colour-blind readers. New axes have the width of a column (85 mm), but for
those of `accuracy` and `traces`.
"""

from brainsnn.analysis.plots import plot_accuracy_over_time as accuracy
from brainsnn.analysis.plots import plot_comparison as comparison
from brainsnn.plot.curves import activations, spike_budget, tuning_curve
from brainsnn.plot.fields import attention_field, gate
from brainsnn.plot.maps import feature_maps, latency_map, mosaic
from brainsnn.plot.movies import feature_movie
from brainsnn.plot.rdms import rdm
from brainsnn.plot.trains import raster, rates
from brainsnn.results.plots import plot_traces as traces

__all__ = [
    "accuracy", "activations", "attention_field", "comparison", "feature_maps", "feature_movie", "gate", "latency_map", "mosaic",
    "raster", "rates", "rdm", "spike_budget", "traces", "tuning_curve",
]  # fmt: skip
