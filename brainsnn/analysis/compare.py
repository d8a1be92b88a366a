"""The activations of the artificial and of the spiking network side by side, layer by layer."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from brian2 import Quantity, ms
from brian2.parsing.sympytools import str_to_sympy
from brian2.units import fundamentalunits
from brian2.units.allunits import all_units
from numpy.typing import ArrayLike

from brainsnn.analysis.metrics import filtered_spikes
from brainsnn.builders.conversion import convert
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.spiking_network import SpikingNetwork
from brainsnn.errors import UnknownNameError

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ActivationComparison", "compare_activations", "synaptic_decay"]

#: Images whose spikes are held in memory at once.
BATCH = 20


@dataclass
class ActivationComparison:
    """
    Activations of an artificial network and of its spiking network; prints as a table.

    Attributes
    ----------
    table : `~pandas.DataFrame`
        One row for each spiking population and readout: ``layer``, ``kind``, ``neurons``, ``mean_ann``, ``max_ann``,
        ``mean_snn``, ``correlation``, ``rmse`` (all in ANN units, over neurons and images), ``rate_hz`` (mean firing rate
        over the whole run), ``silent`` and ``saturated`` (shares of neurons and images without a spike, and with a
        spike in at least half of the steps of the window; NaN where nothing spikes), and ``keras_error``, the largest
        difference between ``ann`` and the output of the Keras layer (NaN where there is none, or no Keras model was given).
    ann, snn : dict of str to (n, H, W, C) ndarray
        The activations that are compared.
    duration, window : `~brian2.units.fundamentalunits.Quantity`
    """

    table: "pd.DataFrame"
    ann: dict[str, np.ndarray] = field(repr=False)
    snn: dict[str, np.ndarray] = field(repr=False)
    duration: Quantity
    window: Quantity

    def __str__(self) -> str:
        head = f"activations of ANN and SNN, {self.duration} per image, spikes filtered and averaged over the last {self.window}"
        return f"{head}\n{self.table.to_string(index=False, float_format=lambda x: f'{x:.4g}', na_rep='-')}"

    def _repr_html_(self):
        return self.table.to_html(index=False, float_format=lambda x: f"{x:.4g}", na_rep="-")

    def plot(self, layers: list[str] | None = None) -> "Figure":
        """
        Scatter plot of every layer; see `~brainsnn.analysis.plots.plot_comparison`.

        Parameters
        ----------
        layers : list of str, optional
            All by default.

        Returns
        -------
        figure : `matplotlib.figure.Figure`
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

    A spike of height h adds h to the current of a synapse, which decays with the time constant of the neuron model. So a
    neuron's activation is the value of ``sum over its spikes of h*exp(-(t - t_spike)/tau)``, averaged over the last part
    of the trial: it is what the next layer gets in place of the ANN's number (the refractory response S_hat follows the
    same course). Models that are a discrete map without a filter (``IF``) are compared by h times the spikes per step;
    with balanced thresholds these agree with the ANN up to a factor for each layer, and the correlation tells more than the
    RMSE. The readout is compared by its averaged output, behind the activation (softmax).

    Parameters
    ----------
    model : keras.Model or `~brainsnn.builders.graph.layer_graph.LayerGraph`
        The network that was converted. With a Keras model, the outputs of its layers are checked against the graph.
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
        If it does not record all spikes, a copy that does is converted, with the same parameters (not its
        attention, nor what was added to ``snn.network``); on a compiled device that takes one more compilation.
    images : (n, H, W, C) array_like
    duration : `~brian2.units.fundamentalunits.Quantity`, optional
        Duration of each trial.
    window : `~brian2.units.fundamentalunits.Quantity`, optional
        Last part of the trial over which the activations are averaged.
    seed, processes : int, optional
        See `~brainsnn.builders.spiking_network.SpikingNetwork.run`.

    Returns
    -------
    comparison : `ActivationComparison`

    Raises
    ------
    ValueError
        If the window does not fit into the duration, or spikes do not pass an exponential filter.
    UnknownNameError
        If ``model`` is a Keras model that lacks the layers of ``snn``.

    References
    ----------
    Bohte (2012), NIPS 25. Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.
    """
    n_window = int(np.rint(float(window) / snn.dt))
    if not 1 <= n_window <= np.rint(float(duration) / snn.dt):
        raise ValueError(
            f"compare_activations: window={window} must be at least one time step and at most duration={duration}."
        )
    decay = synaptic_decay(snn.neuron, snn.dt)
    populations = [p for p in snn.graph.populations.values() if p.kind in ("spiking", "readout")]
    images = np.asarray(images)
    expected = snn.graph.activations(images)
    from_keras = _keras_outputs(model, populations, images)
    network = snn if _records_all(snn, populations) else _recording_copy(snn, populations)

    measured = _Measured(snn, populations, len(images), decay, n_window)
    for first in range(0, len(images), BATCH):
        part = images[first : first + BATCH]
        measured.add(network.run(part, duration=duration, seed=seed + first, processes=processes), first)

    rows = []
    for p in populations:
        row = _row(p, expected[p.name], measured.activations[p.name])
        if p.kind == "spiking":
            row["rate_hz"] = measured.counts[p.name].mean() / float(duration)
            row["silent"] = (measured.counts[p.name] == 0).mean()
            row["saturated"] = (measured.late_counts[p.name] >= n_window / 2).mean()
        if p.name in from_keras:
            row["keras_error"] = np.abs(_flat(from_keras[p.name]) - _flat(expected[p.name])).max()
        rows.append(row)
    return ActivationComparison(
        _table(rows),
        {p.name: expected[p.name] for p in populations},
        {p.name: measured.activations[p.name].reshape(len(images), *p.shape) for p in populations},
        duration,
        window,
    )


class _Measured:
    """Activations of the spiking network, and spikes of every neuron in the whole trial and in the window."""

    def __init__(self, snn, populations, n_images, decay, n_window):
        self.populations, self.decay, self.n_window = populations, decay, n_window
        self.activations = {p.name: np.zeros((n_images, p.size)) for p in populations}
        spiking = [p for p in populations if p.kind == "spiking"]
        self.heights = {p.name: _spike_heights(snn, p) for p in spiking}
        self.counts = {p.name: np.zeros((n_images, p.size), dtype=np.int32) for p in spiking}
        self.late_counts = {p.name: np.zeros((n_images, p.size), dtype=np.int32) for p in spiking}

    def add(self, result, first):
        """Take the images of one run in, of which the first one has this index."""
        for p in self.populations:
            if p.kind == "readout":
                mean = result.outputs[p.name][:, -self.n_window :].mean(axis=1, dtype=float)
                self.activations[p.name][first : first + len(mean)] = mean
                continue
            for k, (neurons, steps) in enumerate(result.spikes[p.name], start=first):
                filtered = filtered_spikes(neurons, steps, p.size, result.n_steps, self.decay, self.n_window)
                self.activations[p.name][k] = self.heights[p.name] * filtered
                self.counts[p.name][k] = np.bincount(neurons, minlength=p.size)
                late = neurons[steps >= result.n_steps - self.n_window]
                self.late_counts[p.name][k] = np.bincount(late, minlength=p.size)


def synaptic_decay(neuron, dt):
    """
    What is left of a synapse's current after one time step.

    Parameters
    ----------
    neuron : `~brainsnn.equations.model.NeuronModel`
    dt : float
        Time step in seconds.

    Returns
    -------
    decay : float
        ``exp(-dt/tau)``; 0 for a discrete map that uses up what arrives in each step.

    Raises
    ------
    ValueError
        If the filter is not an exponential decay that is the same for all neurons.
    """
    if not neuron.has_linear_filter:
        if neuron.update:
            return 0.0
        raise ValueError(
            f"compare_activations: {neuron.name}.{neuron.receives} is no linear filter of the spikes, so that a spike train "
            "has no equivalent in ANN units. Compare result.firing_rates with graph.activations(images) instead."
        )
    equation = neuron.brian_equations[neuron.receives]
    expression = str_to_sympy(equation.expr.code)
    known = {**{str(unit): unit for unit in all_units}, **neuron.constants}
    rate = sp.diff(expression, next(s for s in expression.free_symbols if s.name == neuron.receives))
    rate = rate.subs({s: float(known[s.name]) for s in rate.free_symbols if s.name in known})
    if not rate.is_number or rate >= 0:
        raise ValueError(
            f"compare_activations: '{neuron.receives}' of {neuron.name} must decay exponentially, as in "
            f"'d{neuron.receives}/dt = -{neuron.receives}/tau'; got '{equation}'."
        )
    return float(np.exp(float(rate) * dt))


def _spike_heights(snn, population):
    """Heights of a population's spikes in ANN units, one for each neuron."""
    model = snn.models[population.name]
    if model.spike_height is None:
        return np.ones(population.size)
    value = snn.populations[population.name].variables[model.spike_height].get_value()
    return np.broadcast_to(np.asarray(value, dtype=float), population.size) / float(model.input_unit)


def _records_all(snn, populations):
    recorded = snn._monitors.neurons
    return all(len(recorded.get(p.name, {}).get("spikes", ())) == p.size for p in populations if p.kind == "spiking")


def _recording_copy(snn, populations):
    """The same network with all spikes recorded."""
    copy = convert(
        snn.graph,
        neuron=snn.neuron,
        schedule=snn.schedule,
        device=snn.device,
        record={p.name: ["spikes"] for p in populations if p.kind == "spiking"},
        dtype=snn.dtype.name,
        encoder=snn.encoder,
        dt=snn.dt * 1000 * ms,
    )
    for name, variables in copy._assembly.parameters.items():
        group = snn._assembly.groups[name]
        for variable in variables:
            if variable in copy.models[name].parameters or variable == copy.models[name].bias:
                value = np.array(group.variables[variable].get_value(), dtype=float)
                dimensions = group.variables[variable].dim
                copy.set_parameters(name, **{variable: fundamentalunits.Quantity(value, dim=dimensions)})
    return copy


def _keras_outputs(model, populations, images):
    """Outputs of the Keras layers whose activations the populations stand for."""
    if isinstance(model, LayerGraph):
        return {}
    import keras

    known = {layer.name: layer for layer in model.layers}
    named = {p.name: p.keras_layer for p in populations if p.keras_layer is not None}
    for layer in named.values():
        if layer not in known:
            raise UnknownNameError(layer, known, "layer of the Keras model", "Was snn converted from this model?")
    if not named:
        return {}
    outputs = {name: known[layer].output for name, layer in named.items()}
    values = keras.Model(model.inputs, outputs).predict(images, verbose=0)
    return {name: np.asarray(value, dtype=float) for name, value in values.items()}


def _flat(values):
    return values.reshape(len(values), -1)


def _row(population, ann, snn):
    ann, snn = ann.ravel(), snn.ravel()
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
        "rate_hz": np.nan,
        "silent": np.nan,
        "saturated": np.nan,
        "keras_error": np.nan,
    }


def _table(rows):
    import pandas as pd

    return pd.DataFrame(rows)
