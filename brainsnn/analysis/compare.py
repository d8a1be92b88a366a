"""Compare the activations of an artificial network with those of its spiking network, layer by layer."""

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from brian2 import Quantity, get_dimensions, ms
from numpy.typing import ArrayLike

from brainsnn.analysis.metrics import filtered_spikes
from brainsnn.builders.copying import copy_network
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.spiking_network import SpikingNetwork
from brainsnn.builders.trials.inputs import image_range_check
from brainsnn.equations.arriving_spikes import synaptic_decay
from brainsnn.equations.checks import is_time
from brainsnn.errors import SaturationWarning, UnknownNameError
from brainsnn.one_line import one_line
from brainsnn.plain_arrays import whole_number
from brainsnn.results.names import LayerDict
from brainsnn.results.saturation import SATURATED

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ActivationComparison", "compare_activations"]

#: Number of images whose spikes are in memory at once.
BATCH = 20


@dataclass
class ActivationComparison:
    """
    Activations of an artificial network and its spiking network. Prints as a table.

    Attributes
    ----------
    table : `~pandas.DataFrame`
        One row per spiking population and readout. ``layer``, ``kind`` and ``neurons`` describe it. ``mean_ann``,
        ``max_ann``, ``mean_snn``, ``correlation`` and ``rmse`` are in ANN units, over neurons and images. ``rate_hz`` is the
        mean firing rate over the whole trial. ``silent`` is the fraction of neurons and images without a spike,
        ``saturated`` the fraction with a spike in nearly every step of the window (90%), which cannot express larger
        activations; both are NaN for readouts.
        ``keras_error`` is the largest difference between ``ann`` and the output of the Keras layer, NaN without one.
    ann, snn : dict of str to (n, H, W, C) ndarray
        Activations by population, or by a layer that was folded into it.
    duration, window : `~brian2.units.fundamentalunits.Quantity`

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> model = bs.load_model("digits")
    >>> comparison = bs.compare_activations(model, bs.convert(model), load_digits("test")[0][:2], 50 * bs.ms, 20 * bs.ms)
    >>> list(comparison.table.layer), comparison.ann["conv2"].shape
    (['encoding_asn', 'conv1_asn', 'conv2_asn', 'dense1_asn', 'readout'], (2, 14, 14, 32))
    """

    table: "pd.DataFrame"
    ann: dict[str, np.ndarray] = field(repr=False)
    snn: dict[str, np.ndarray] = field(repr=False)
    duration: Quantity
    window: Quantity

    def __repr__(self) -> str:
        window = f"last {self.window} of {self.duration}"
        return one_line(self, f"{len(self.table)} layers, {window}, {', '.join(map(str, self.table.layer))}")

    def __str__(self) -> str:
        head = f"activations of ANN and SNN, {self.duration} per image, filtered spikes averaged over the last {self.window}"
        return f"{head}\n{self.table.to_string(index=False, float_format=lambda x: f'{x:.4g}', na_rep='-')}"

    def _repr_html_(self):
        return self.table.to_html(index=False, float_format=lambda x: f"{x:.4g}", na_rep="-")

    def plot(self, layers: list[str] | None = None) -> "Figure":
        """
        Plot a scatter plot of each layer; see `~brainsnn.analysis.plots.plot_comparison`.

        Parameters
        ----------
        layers : list of str, optional
            All layers by default.

        Returns
        -------
        figure : `matplotlib.figure.Figure`

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> model = bs.load_model("digits")
        >>> comparison = bs.compare_activations(model, bs.convert(model), load_digits("test")[0][:2], 50 * bs.ms, 20 * bs.ms)
        >>> figure = comparison.plot(["conv2"])
        """
        from brainsnn.analysis.plots import plot_comparison

        return plot_comparison(self, layers)


def compare_activations(
    model: "keras.Model | LayerGraph",
    snn: SpikingNetwork,
    images: ArrayLike,
    duration: Quantity = 500 * ms,
    window: Quantity = 200 * ms,
    *,
    seed: int = 0,
    processes: int = 1,
) -> ActivationComparison:
    """
    Compare the activations of a trained network with those of its spiking network, layer by layer.

    A spike of height h adds h to a synaptic current, which decays with the time constant of the neuron model. A neuron's
    activation is therefore ``sum over its spikes of h*exp(-(t - t_spike)/tau)``, averaged over the last part of the trial.
    This is what the next layer receives in place of the ANN's activation. The activation of models without a synaptic
    filter (``IF``) is h times the spikes per step. With ``thresholds`` it equals the ANN's up to a factor per layer, so look
    at the correlation rather than the RMSE; the activations of a calibrated network are multiplied by its scales. The readout
    is compared by its average output, after the softmax.

    Parameters
    ----------
    model : keras.Model or `~brainsnn.builders.graph.layer_graph.LayerGraph`
        The network that was converted. The activations are those of the graph; the outputs of a Keras model's layers are also
        compared with them.
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
        Compared without attention and with the weights that it has learned so far; it learns nothing here. If it does not
        record all spikes, is attended or learns, a copy is made, which a compiled device compiles. Objects that were added to
        ``snn.network`` are not in the copy.
    images : (n, H, W, C) array_like
    duration : `~brian2.units.fundamentalunits.Quantity`, optional
        Duration of each trial.
    window : `~brian2.units.fundamentalunits.Quantity`, optional
        Last part of the trial, over which activations are averaged.
    seed, processes : int, optional
        See `~brainsnn.builders.spiking_network.SpikingNetwork.run`.

    Returns
    -------
    comparison : `ActivationComparison`

    Raises
    ------
    ValueError
        If the window does not fit into the trial, the images are not valid, or the synaptic filter is not exponential.
    UnknownNameError
        If ``model`` lacks layers of ``snn``.

    References
    ----------
    Bohte (2012), NIPS 25. Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> model = bs.load_model("digits")
    >>> comparison = bs.compare_activations(model, bs.convert(model), load_digits("test")[0][:3])
    >>> bool(comparison.table["correlation"].min() > 0.98)
    True
    """
    seed = whole_number(seed, "compare_activations: seed", 0)
    n_window = _checked_window(model, snn, duration, window)
    checked = image_range_check(snn.graph, images, snn.encoder)
    measured = _MeasuredActivations(_measurable(snn), len(checked), n_window)
    graph = _graph_of(model, measured)
    ann = {name: values * graph.populations[name].scale for name, values in graph.activations(checked).items()}
    from_keras = _keras_outputs(model, measured.populations, checked)
    measured.run(checked, duration, seed, processes)
    return _comparison(measured, ann, from_keras, duration, window)


def _checked_window(model, snn, duration, window):
    """Return the number of steps of the window, after checking what `compare_activations` was given."""
    if not isinstance(snn, SpikingNetwork):
        raise ValueError(f"compare_activations: snn must be what convert returns, got {snn!r}.")
    if not hasattr(model, "layers") and not isinstance(model, LayerGraph):
        raise ValueError(f"compare_activations: model must be the model or graph that was converted, got {model!r}.")
    for name, time in (("duration", duration), ("window", window)):
        if not is_time(time):
            raise ValueError(f"compare_activations: {name} must be a time, such as 500*ms, got {time!r}.")
    n_window = int(np.rint(float(window) / snn.dt))
    if not 1 <= n_window <= np.rint(float(duration) / snn.dt):
        raise ValueError(
            f"compare_activations: window={window} must be at least one time step and at most duration={duration}."
        )
    return n_window


class _MeasuredActivations:
    """Activations of a spiking network, and spike counts of each neuron in the whole trial and in the window."""

    def __init__(self, snn, n_images, n_window):
        self.snn, self.n_window = snn, n_window
        layers = snn.graph.populations.values()
        self.populations = [p for p in layers if p.kind in ("spiking", "readout") and p.reads is None]
        self.activations = {p.name: np.zeros((n_images, p.size)) for p in self.populations}
        spiking = [p for p in self.populations if p.kind == "spiking"]
        self.heights = {p.name: _spike_heights(snn, p) for p in spiking}
        self.decays = {p.name: _decay(snn, p) for p in spiking}
        self.counts = {p.name: np.zeros((n_images, p.size), dtype=np.int32) for p in spiking}
        self.late_counts = {p.name: np.zeros((n_images, p.size), dtype=np.int32) for p in spiking}

    def run(self, images, duration, seed, processes):
        """Run the network in batches."""
        for first in range(0, len(images), BATCH):
            batch = images[first : first + BATCH]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SaturationWarning)  # the table has a column for it
                result = self.snn.run(batch, duration=duration, seed=seed + first, processes=processes)
            self._add(result, first)

    def _add(self, result, first):
        """Add the result of a batch; ``first`` is the index of its first image."""
        for p in self.populations:
            if p.kind == "readout":
                mean = result.outputs[p.name][:, -self.n_window :].mean(axis=1, dtype=float)
                self.activations[p.name][first : first + len(mean)] = mean
                continue
            for k, (neurons, steps) in enumerate(result.spikes[p.name], start=first):
                filtered = filtered_spikes(neurons, steps, p.size, result.n_steps, self.decays[p.name], self.n_window)
                self.activations[p.name][k] = self.heights[p.name] * filtered
                self.counts[p.name][k] = np.bincount(neurons, minlength=p.size)
                late = neurons[steps >= result.n_steps - self.n_window]
                self.late_counts[p.name][k] = np.bincount(late, minlength=p.size)


def _decay(snn, population):
    try:
        return synaptic_decay(_neuron_as_set(snn, population), snn.dt)
    except ValueError as error:
        raise ValueError(
            f"compare_activations: {error} Compare result.firing_rates with graph.activations(images) instead."
        ) from None


def _neuron_as_set(snn, population):
    """Return the neuron model of a population with the values of constants that the user has set."""
    neuron, name = snn.neurons[population.name], population.name
    current = {n: snn._read(name, n) for n in snn.parameters[name] if n in neuron.constants}
    for constant, values in current.items():
        if np.ptp(values) > 0 and constant in neuron.brian_equations[neuron.receives].identifiers:
            raise ValueError(
                f"{constant} of {name!r} differs between its neurons, so spikes cannot be expressed in ANN units."
            )
    values = {n: Quantity(v.flat[0], get_dimensions(neuron.constants[n])) for n, v in current.items()}
    return replace(neuron, parameters={**neuron.parameters, **values})


def _spike_heights(snn, population):
    """Return the spike heights of a population in ANN units, one per neuron."""
    model = snn.models[population.name]
    if model.spike_height is None:
        return np.ones(population.size)
    value = snn.populations[population.name].variables[model.spike_height].get_value()
    return np.broadcast_to(np.asarray(value, dtype=float), population.size) / float(model.input_unit)


def _measurable(snn):
    """Return the network, or a copy of it if it does not record all spikes, is attended or learns."""
    spiking = snn.populations.of_model
    records_all = all(
        len(snn.recorded.get(name, {}).get("spikes", ())) == len(snn.populations[name]) for name in spiking
    )
    if records_all and snn._attended.attention is None and not snn.learned_weights:
        return snn
    return copy_network(snn, dict.fromkeys(spiking, ["spikes"]), learns=False)


def _graph_of(model, measured):
    """Return the graph that gives the activations of the artificial network."""
    converted = measured.snn.graph
    if not isinstance(model, LayerGraph) or (_pools_spikes(converted) and not _pools_spikes(model)):
        return converted  # convert has changed the pooling of the graph that it was given
    for p in measured.populations:
        if p.name not in model.populations:
            raise UnknownNameError(
                p.name, model.populations, "population of the graph", "Give the graph that was converted."
            )
        if model.populations[p.name].shape != p.shape:
            raise ValueError(
                f"compare_activations: {p.name!r} is {model.populations[p.name].shape} in the graph and {p.shape} in snn. Give "
                "the graph that was converted."
            )
    return model


def _pools_spikes(graph):
    return any(p.mode == "counts" for p in graph.projections)


def _keras_outputs(model, populations, images):
    """Return the outputs of the Keras layers that became the populations."""
    if isinstance(model, LayerGraph):
        return {}
    import keras

    known = {layer.name: layer for layer in model.layers}
    named = {p.name: p.keras_layer for p in populations if p.keras_layer is not None}
    for layer in named.values():
        if layer not in known:
            raise UnknownNameError(
                layer, known, "layer of the Keras model", "Give the model that snn was converted from."
            )
    if not named:
        return {}
    outputs = {name: known[layer].output for name, layer in named.items()}
    values = keras.Model(model.inputs, outputs).predict(images, verbose=0)
    return {name: np.asarray(value, dtype=float) for name, value in values.items()}


def _comparison(measured, ann, from_keras, duration, window):
    import pandas as pd

    aliases, rows = measured.snn.populations.aliases(), []
    snn, of_ann = LayerDict(aliases, "compared layer"), LayerDict(aliases, "compared layer")
    for p in measured.populations:
        snn[p.name], of_ann[p.name] = measured.activations[p.name].reshape(-1, *p.shape) * p.scale, ann[p.name]
        row = _row(p, ann[p.name].ravel(), snn[p.name].ravel())
        if p.kind == "spiking":
            row["rate_hz"] = measured.counts[p.name].mean() / float(duration)
            row["silent"] = (measured.counts[p.name] == 0).mean()
            row["saturated"] = (measured.late_counts[p.name] >= SATURATED * measured.n_window).mean()
        if p.name in from_keras:
            row["keras_error"] = np.abs(from_keras[p.name].ravel() - ann[p.name].ravel()).max()
        rows.append(row)
    return ActivationComparison(pd.DataFrame(rows), of_ann, snn, duration, window)


def _row(population, ann, snn):
    varies = ann.std() > 0 and snn.std() > 0
    return {
        "layer": population.name,
        "kind": population.kind,
        "neurons": population.size,
        "mean_ann": ann.mean(),
        "max_ann": ann.max(),
        "mean_snn": snn.mean(),
        "correlation": np.corrcoef(ann, snn)[0, 1] if varies else np.nan,
        "rmse": np.sqrt(np.mean((ann - snn) ** 2)),
        **dict.fromkeys(("rate_hz", "silent", "saturated", "keras_error"), np.nan),
    }
