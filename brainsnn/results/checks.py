"""Check that the parts of a result fit together, when it is read and before it is written."""

import json
import math

import numpy as np

from brainsnn.memory import check_size, size_limit
from brainsnn.plain_arrays import is_number

__all__ = ["check_indices", "check_result", "check_spikes", "check_steps", "plain_result", "read_json", "refusal"]

#: Kinds of dtype of whole numbers, and of all real numbers.
WHOLE, REAL = "iu", "fiub"


def refusal(path, fix="Restore it from a copy, or run again.", reader="Result.load"):
    """
    Return a function that raises the error for a damaged part of a file.

    Parameters
    ----------
    path : str or `~pathlib.Path`
    fix : str, optional
    reader : str, optional
        Who reads it, the start of the message.

    Returns
    -------
    refuse : callable
        ``refuse(part, problem)`` raises a `ValueError`.
    """

    def refuse(part, problem):
        """Raise the error for a part of the file."""
        raise ValueError(f"{reader}: {str(path)!r} is damaged: {part} {problem}. {fix}")

    return refuse


def read_json(text, part, refuse):
    """
    Return the content of a JSON text.

    Parameters
    ----------
    text : str or bytes
    part : str
        What it is, for the error.
    refuse : callable
        As `refusal` returns.

    Returns
    -------
    content : dict
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(part, f"is not JSON ({error})")
    if not isinstance(content, dict):
        refuse(part, f"holds {content!r:.100}, not a dict")
    return content


def plain_result(cls, shapes, dt, n_steps, aliases, refuse):
    """
    Return an empty result, after checking what it is made from.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`, or a subclass.
    shapes : dict of str to sequence of int
    dt : float
    n_steps : int
    aliases : dict of str to str
    refuse : callable
        As `refusal` returns.

    Returns
    -------
    result : cls
    """
    if not is_number(dt, above=0):
        refuse("'dt'", f"is {dt!r:.100}, not a time step in seconds")
    if not _is_whole(n_steps) or n_steps < 0:
        refuse("'n_steps'", f"is {n_steps!r:.100}, not a number of steps")
    for what, names in (("'shapes'", shapes), ("'aliases'", aliases)):
        if not isinstance(names, dict):
            refuse(what, f"is {names!r:.100}, not a dict")
    for name, shape in shapes.items():
        is_list = isinstance(shape, (list, tuple)) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
        if not is_list or not all(_is_whole(n) and n > 0 for n in shape):
            refuse(f"the shape of {name!r}", f"is {shape!r:.100}")
    for alias, name in aliases.items():
        if not isinstance(name, str) or name not in shapes:
            refuse(f"the alias {alias!r}", f"stands for {name!r:.100}, which is not a population")
    return cls({name: tuple(map(int, shape)) for name, shape in shapes.items()}, dt, n_steps, aliases)


def _is_whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_result(result, refuse):
    """
    Refuse a result whose parts do not fit together.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    refuse : callable
        Called with the name of a part, and what is wrong with it. Raises an error.
    """
    stores = {"outputs": result.outputs, "spike_counts": result.spike_counts, "spikes": result.spikes,
              "states": result.states, "recorded": result.recorded, "spike_neurons": result.spike_neurons}  # fmt: skip
    for store, values in stores.items():
        for name in values:
            if name not in result.shapes:
                refuse(f"{store}[{name!r}]", f"belongs to no population; there are {list(result.shapes)}")
    n = {f"outputs[{name!r}]": _length(values) for name, values in result.outputs.items()}
    n |= {f"spike_counts[{name!r}]": _length(values) for name, values in result.spike_counts.items()}
    n |= {f"spikes[{name!r}]": len(trains) for name, trains in result.spikes.items()}
    n |= {
        f"states[{name!r}][{variable!r}]": _length(values)
        for name, variables in result.states.items()
        for variable, values in variables.items()
    }
    first = next(iter(n), None)
    for part, length in n.items():
        if length != n[first]:
            refuse(part, f"is of {length} images, and {first} of {n[first]}")
    n_images = n[first] if n else 0
    for name, values in result.outputs.items():
        _check_array(f"outputs[{name!r}]", values, (n_images, result.n_steps, _size(result, name)), REAL, refuse)
    for name, values in result.spike_counts.items():
        _check_array(f"spike_counts[{name!r}]", values, (n_images,), WHOLE, refuse)
        if (np.asarray(values) < 0).any():
            refuse(f"spike_counts[{name!r}]", "holds negative numbers")
    for name, trains in result.spikes.items():
        if isinstance(trains, list):
            for image, (neurons, steps) in enumerate(trains):
                problem = check_spikes(neurons, steps, _size(result, name), result.n_steps)
                if problem:
                    refuse(f"spikes[{name!r}][{image}]", problem)
    for name, neurons in result.spike_neurons.items():
        _check_spike_neurons(result, name, neurons, refuse)
    for name in result.spike_counts:
        _check_counts(result, name, refuse)
    _check_states(result, n_images, refuse)


def check_steps(path, n_steps, max_bytes):
    """
    Refuse a number of steps whose times would not fit into the memory: nothing else in the file may have that length.

    Parameters
    ----------
    path : str or `~pathlib.Path`
    n_steps : int
    max_bytes : float or None
        As for `~brainsnn.memory.size_limit`.

    Raises
    ------
    ValueError
        If they would take more.
    """
    what = f"Result.load: {str(path)!r} is of {n_steps} steps, and the list of their times"
    check_size(8 * n_steps, size_limit(max_bytes, "Result.load"), what)


def _check_spike_neurons(result, name, neurons, refuse):
    """Refuse a list of the neurons whose spikes were recorded that does not fit the spikes."""
    check_indices(f"spike_neurons[{name!r}]", neurons, _size(result, name), refuse)
    if name not in result.spikes:
        refuse(f"spike_neurons[{name!r}]", "names neurons, and there are no spikes of the population")
    trains = result.spikes[name]
    for image, (spiking, _) in enumerate(trains if isinstance(trains, list) else ()):
        if not (is_recorded := np.isin(spiking, neurons)).all():
            other = np.asarray(spiking)[~is_recorded][0]
            refuse(
                f"spikes[{name!r}][{image}]", f"has a spike of the neuron {other}, which spike_neurons does not name"
            )


def _check_counts(result, name, refuse):
    """Refuse numbers of spikes that contradict the recorded spikes. Those of some neurons may have been recorded only."""
    counts, trains = [int(count) for count in result.spike_counts[name]], result.spikes.get(name)
    n_silent = _size(result, name)  # neurons that may have spiked without a record
    if trains is None:
        recorded = [0] * len(counts)
    elif isinstance(trains, list):
        recorded = [len(neurons) for neurons, _ in trains]
        seen = result.spike_neurons.get(name)
        if seen is None and trains:
            seen = np.unique(np.concatenate([neurons for neurons, _ in trains]))
        n_silent -= 0 if seen is None else len(seen)
    else:  # on the disk
        recorded = [int(count) for count in trains.counts]
        n_silent -= n_silent if trains.wanted is None else len(trains.wanted)
    for image, (count, n) in enumerate(zip(counts, recorded)):
        if not n <= count <= n + n_silent * result.n_steps:
            refuse(
                f"spike_counts[{name!r}][{image}]",
                f"is {count}, and there are {n} recorded spikes and {n_silent} neurons without any, in {result.n_steps} steps",
            )


def _check_states(result, n_images, refuse):
    recorded, states = (
        {(name, variable) for name, variables in store.items() for variable in variables}
        for store in (result.recorded, result.states)
    )
    for name, variable in sorted(recorded ^ states):
        there, lacks = ("recorded", "states") if (name, variable) in recorded else ("states", "recorded")
        refuse(f"{lacks}[{name!r}][{variable!r}]", f"is missing, and {there} has it")
    for name, variable in sorted(states):
        indices, values = result.recorded[name][variable], result.states[name][variable]
        part = f"recorded[{name!r}][{variable!r}]"
        check_indices(part, indices, _size(result, name), refuse)
        shape = (n_images, result.n_steps, len(indices))
        _check_array(f"states[{name!r}][{variable!r}]", values, shape, REAL, refuse)


def check_indices(part, indices, n, refuse):
    """
    Refuse what is not a list of different neurons.

    Parameters
    ----------
    part : str
    indices : ndarray
    n : int
        Number of neurons.
    refuse : callable
    """
    if np.ndim(indices) != 1 or np.asarray(indices).dtype.kind not in WHOLE:
        refuse(
            part, f"has the shape {np.shape(indices)} and the type {np.asarray(indices).dtype}, not a list of neurons"
        )
    if len(indices) and (np.min(indices) < 0 or np.max(indices) >= n):
        refuse(part, f"holds the neurons {np.min(indices)} ... {np.max(indices)} of a population of {n}")
    if len(np.unique(indices)) < len(indices):
        refuse(part, "holds a neuron twice")


def check_spikes(neurons, steps, n_neurons, n_steps):
    """
    Say what is wrong with the spikes of a trial.

    Parameters
    ----------
    neurons, steps : ndarray
    n_neurons, n_steps : int

    Returns
    -------
    problem : str or None
    """
    for what, values, limit in (("neurons", neurons, n_neurons), ("steps", steps, n_steps)):
        if np.ndim(values) != 1 or len(values) and np.asarray(values).dtype.kind not in WHOLE:
            return f"has {what} of shape {np.shape(values)} and type {np.asarray(values).dtype}, not whole numbers"
        if len(values) and (np.min(values) < 0 or np.max(values) >= limit):
            return f"has spikes at the {what} {np.min(values)} ... {np.max(values)}, and there are {limit}"
    if len(neurons) != len(steps):
        return f"has {len(neurons)} neurons and {len(steps)} steps"
    if not _is_in_order(neurons, steps):  # as most are written, and this is slower
        order = np.lexsort((neurons, steps))
        neurons, steps = np.asarray(neurons)[order], np.asarray(steps)[order]
        if not _is_in_order(neurons, steps):
            return "has a spike of one neuron in one step twice"
    return None


def _is_in_order(neurons, steps):
    """Return whether spikes are in the order of the steps, and of the neurons within each, and all differ."""
    neurons, steps = np.asarray(neurons), np.asarray(steps)
    return bool(((steps[1:] > steps[:-1]) | ((steps[1:] == steps[:-1]) & (neurons[1:] > neurons[:-1]))).all())


def _length(values):
    return np.shape(values)[0] if np.ndim(values) else -1


def _size(result, name):
    return math.prod(result.shapes[name])


def _check_array(part, values, shape, kinds, refuse):
    if np.shape(values) != shape:
        refuse(part, f"has the shape {np.shape(values)}, not {shape}")
    dtype = values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype
    if dtype.kind not in kinds:
        refuse(part, f"holds values of type {dtype}")
