"""The monitors of a network: check what is to be recorded, and move recordings into a result."""

from collections.abc import Iterable, Mapping

import numpy as np
from brian2 import SpikeMonitor, StateMonitor

from brainsnn.builders.trials.divergence import all_finite, divergence_error, first_not_finite
from brainsnn.errors import UnknownNameError
from brainsnn.memory import available_memory

__all__ = ["Monitors", "recorded_neurons", "variable_names"]


class Monitors:
    """
    The monitors of a network.

    Every spiking population has a spike monitor, which at least counts spikes. States are recorded as the user asks.

    Parameters
    ----------
    record : dict or None
        Layer name -> list of ``"spikes"`` and state variables, or dict of these to the neurons to record: True for
        all, flat indices, (row, column, channel) tuples, or a boolean mask of shape (n_neurons,) or (H, W, C).
    assembly : `~brainsnn.builders.network.assembly.Assembly`

    Raises
    ------
    UnknownNameError
        If a layer or a variable does not exist.
    IndexError
        If a neuron does not exist.
    ValueError
        If the neurons are neither whole numbers nor a mask of the population's shape, or if one is given twice, or a variable
        under two names of its population.
    """

    def __init__(self, record, assembly):
        graph, groups, free = assembly.graph, assembly.groups, assembly.names.free
        self.neurons = {}
        for layer, wanted in (record or {}).items():
            population = graph.population(layer)
            if population.name not in groups:
                raise UnknownNameError(layer, groups, "population of the spiking network")
            names = variable_names(wanted, f"convert: record: {layer!r}")
            wanted = wanted if isinstance(wanted, Mapping) else dict.fromkeys(names, True)
            for variable, neurons in wanted.items():
                self._add(population, groups[population.name], variable, neurons)
        # A run does not change parameters, and a variable that starts infinite, such as a minimum, may remain so.
        self._unchecked = {
            (name, variable)
            for name, model in assembly.models.items()
            for variable in (
                *assembly.parameters[name],
                *(variable for variable, value in model.initial.items() if not np.isfinite(value).all()),
            )
        }
        self.spike_monitors, self.state_monitors, self.readout_monitors = {}, {}, {}
        for name, group in groups.items():
            wanted = self.neurons.get(name, {})
            if group.thresholder:
                self.spike_monitors[name] = SpikeMonitor(
                    group, record="spikes" in wanted, name=free(f"{group.name}_spikes")
                )
            for variable, neurons in wanted.items():
                if variable != "spikes":
                    self.state_monitors[name, variable] = StateMonitor(
                        group, variable, record=neurons, when="end", name=free(f"{group.name}_{variable}_states")
                    )
        for population in graph.readouts:
            group, output = groups[population.name], assembly.models[population.name].output
            self.readout_monitors[population.name] = StateMonitor(
                group, output, record=True, when="end", name=free(f"{group.name}_output")
            )

    def _add(self, population, group, variable, neurons):
        if variable != "spikes" and variable not in group.equations:
            raise UnknownNameError(variable, ["spikes", *group.equations], f"variable of {population.name!r}")
        if variable == "spikes" and not group.thresholder:
            raise UnknownNameError(
                variable, group.equations, f"variable of {population.name!r}", f"The {population.kind} does not spike."
            )
        about = f"record[{population.name!r}][{variable!r}]"
        if variable in self.neurons.get(population.name, {}):
            raise ValueError(f"{about}: two of the layers in record are {population.name!r}; name it once.")
        indices = recorded_neurons(neurons, population.shape, len(group), about)
        self.neurons.setdefault(population.name, {})[variable] = indices

    @property
    def all(self):
        """All monitors (list)."""
        return [*self.spike_monitors.values(), *self.state_monitors.values(), *self.readout_monitors.values()]

    def n_bytes(self, n_trials, n_steps, itemsize):
        """
        Return the memory that the recorded states of a run take.

        Parameters
        ----------
        n_trials, n_steps, itemsize : int

        Returns
        -------
        n_bytes : int
        """
        width = sum(len(self.neurons[name][variable]) for name, variable in self.state_monitors)
        width += sum(monitor.n_indices for monitor in self.readout_monitors.values())
        return n_trials * n_steps * width * itemsize

    def check_memory(self, n_trials, n_steps, itemsize):
        """
        Refuse a run whose recordings do not fit into memory.

        Parameters
        ----------
        n_trials, n_steps, itemsize : int

        Raises
        ------
        MemoryError
            The message says how much memory is needed and how much is available.
        """
        needed, available = self.n_bytes(n_trials, n_steps, itemsize), available_memory()
        if needed > available:
            largest = max(
                self.state_monitors,
                key=lambda key: len(self.neurons[key[0]][key[1]]),
                default=("the readout", "output"),
            )
            raise MemoryError(
                f"Recording needs {needed / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are available; the largest part is "
                f"{largest[1]!r} of {largest[0]!r}. Record fewer neurons (record={{layer: {{variable: indices}}}}), run fewer "
                "images at a time, or let the recordings stream to disk (run(..., stream_to='folder'))."
            )

    def state_bytes(self):
        """Bytes that one step of all recorded states and readouts takes (int)."""
        states = sum(len(self.neurons[key[0]][key[1]]) * self._dtype(key).itemsize for key in self.state_monitors)
        return states + sum(m.n_indices * _itemsize(m, _output(m)) for m in self.readout_monitors.values())

    def spike_bytes(self):
        """Bytes that monitors hold if all recorded neurons spike in one step (int)."""
        monitors = [monitor for monitor in self.spike_monitors.values() if monitor.record]
        return sum(m.source.N * (_itemsize(m, "i") + _itemsize(m, "t")) for m in monitors)

    def _dtype(self, key):
        return np.dtype(self.state_monitors[key].variables[key[1]].dtype)

    def collect(self, result, record, trial, activations):
        """
        Move one trial's recordings, or those of a chunk of it, into the result.

        Parameters
        ----------
        result : `~brainsnn.results.result.Result`
        record : `~brainsnn.builders.trials.trials.TrialRecord`
        trial : int
        activations : dict of str to callable
            Activation of each readout.

        Raises
        ------
        FloatingPointError
            If recorded values or those of a readout are not finite.
        """
        for name, monitor in self.spike_monitors.items():
            result.spike_counts[name][trial] += record.spike_counts[monitor.name]
            if monitor.name in record.spikes:
                result.add_spikes(name, trial, *record.spikes[monitor.name])
        first = record.first_step
        for (name, variable), monitor in self.state_monitors.items():
            if monitor.name in record.states:
                values = record.states[monitor.name][variable]
                if self._first_not_finite(name, variable, [values]) is not None:
                    raise divergence_error(name, variable, trial)
                result.states[name][variable][trial, first : first + len(values)] = values
        for name, monitor in self.readout_monitors.items():
            if monitor.name in record.states:
                values = record.states[monitor.name][_output(monitor)]
                if not all_finite(values):
                    raise divergence_error(name, _output(monitor), trial)
                result.outputs[name][trial, first : first + len(values)] = activations[name](values)

    def prepare(self, result, n_trials, dtype, stream=None):
        """
        Allocate the recordings of all trials in a result.

        Parameters
        ----------
        result : `~brainsnn.results.result.Result`
        n_trials : int
        dtype : dtype
            Type of the readout's activation.
        stream : `~brainsnn.results.streaming.StreamFolder`, optional
            Where the recordings go; into memory by default.
        """
        for name, monitor in self.spike_monitors.items():
            result.spike_counts[name] = np.zeros(n_trials, dtype=np.int64)
            if monitor.record:
                wanted = self.neurons[name]["spikes"]
                if len(wanted) < monitor.source.N:
                    result.spike_neurons[name] = wanted
                wanted = result.spike_neurons.get(name)
                result.spikes[name] = (
                    [None] * n_trials if stream is None else stream.spike_trains(monitor.name, name, wanted)
                )
        for (name, variable), monitor in self.state_monitors.items():
            indices = self.neurons[name][variable]
            result.recorded.setdefault(name, {})[variable] = indices
            if stream is None:
                shape = (n_trials, result.n_steps, len(indices))
                array = np.zeros(shape, dtype=self._dtype((name, variable)))
            else:
                array = stream.state_array(monitor.name, name, variable, len(indices), self._dtype((name, variable)))
            result.states.setdefault(name, {})[variable] = array
        for name, monitor in self.readout_monitors.items():
            width = monitor.n_indices
            if stream is None:
                result.outputs[name] = np.zeros((n_trials, result.n_steps, width), dtype=dtype)
            else:
                result.outputs[name] = stream.output_array(name, width, dtype)

    def adopt(self, result, arrays, activations):
        """
        Use the arrays in which a device returns recorded states, in place of those that were allocated.

        Parameters
        ----------
        result : `~brainsnn.results.result.Result`
        arrays : dict
            (monitor name, variable name) -> (n_trials, n_steps, n_recorded) array.
        activations : dict of str to callable
            Activation of each readout.

        Raises
        ------
        FloatingPointError
            If recorded values or those of a readout are not finite.
        """
        found = []
        for (name, variable), monitor in self.state_monitors.items():
            if (monitor.name, variable) in arrays:
                result.states[name][variable] = arrays[monitor.name, variable]
                found.append((self._first_not_finite(name, variable, arrays[monitor.name, variable]), name, variable))
        for name, monitor in self.readout_monitors.items():
            outputs = arrays.get((monitor.name, _output(monitor)), ())
            found.append((first_not_finite(outputs), name, _output(monitor)))
            for trial, values in enumerate(outputs):
                result.outputs[name][trial] = activations[name](values)
        found = [entry for entry in found if entry[0] is not None]
        if found:
            image, name, variable = min(found, key=lambda entry: entry[0])
            raise divergence_error(name, variable, image)

    def _first_not_finite(self, name, variable, values):
        return None if (name, variable) in self._unchecked else first_not_finite(values)


def variable_names(wanted, about):
    """
    Return the names of variables that a user gives.

    Parameters
    ----------
    wanted : str or iterable of str
    about : str
        The message of an error begins with it.

    Returns
    -------
    names : list of str

    Raises
    ------
    ValueError
        If it is something else.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Iterable) else [None]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{about}: variables must be names, such as ['S', 'theta'], got {wanted!r:.100}.")
    return names


def recorded_neurons(neurons, shape, n, about):
    """
    Return the flat indices of the neurons that a user names.

    Parameters
    ----------
    neurons : True, array_like of int or bool
        All, flat indices, (row, column, channel) tuples, or a boolean mask of shape (n,) or ``shape``.
    shape : tuple of int
        (H, W, C) of the population.
    n : int
        Number of its neurons.
    about : str
        The message of an error begins with it.

    Returns
    -------
    neurons : (n_recorded,) ndarray of int

    Raises
    ------
    ValueError, IndexError
        As for `Monitors`.
    """
    if isinstance(neurons, (bool, np.bool_)) and neurons:
        return np.arange(n)
    if np.ma.isMaskedArray(neurons):
        raise ValueError(f"{about}: got a masked array; give a boolean mask or indices.")
    neurons = np.asarray(neurons)
    if neurons.dtype == bool:
        if neurons.shape not in ((n,), shape):
            raise ValueError(f"{about}: a mask of shape {neurons.shape}; give one of shape ({n},) or {shape}.")
        neurons = np.flatnonzero(neurons)
    if neurons.size and neurons.dtype.kind not in "iu":
        raise ValueError(f"{about}: neurons must be whole numbers or a boolean mask, got {neurons}.")
    if neurons.ndim > 2 or (neurons.ndim == 2 and neurons.shape[1] != 3):
        raise ValueError(
            f"{about}: an array of shape {neurons.shape}; give flat indices or (row, column, channel) tuples."
        )
    limits, what = (shape, f"0 ... {shape} (exclusive)") if neurons.ndim == 2 else (n, f"0 ... {n - 1}")
    if neurons.size == 0 or (neurons < 0).any() or (neurons >= limits).any():
        raise IndexError(f"{about}: neurons must lie in {what}, got {neurons}.")
    flat = np.ravel_multi_index(tuple(neurons.T), shape) if neurons.ndim == 2 else np.atleast_1d(neurons)
    values, counts = np.unique(flat, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f"{about}: neuron {values[counts.argmax()]} is given twice; give each neuron once.")
    return flat


def _output(monitor):
    """Name of the variable that a readout's monitor records."""
    return monitor.record_variables[0]


def _itemsize(monitor, variable):
    return np.dtype(monitor.variables[variable].dtype).itemsize
