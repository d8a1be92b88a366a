"""From images, spikes and times, as a user gives them, to trials."""

from numbers import Integral

import numpy as np
from brian2 import Quantity, second

from brainsnn.builders.stimulus import drives_of, image_range_check
from brainsnn.builders.trials import Trials

__all__ = ["make_trials"]


def make_trials(network, images, duration, seed, spikes, onset, offset, background):
    """
    Check what a user gives to `~brainsnn.builders.spiking_network.SpikingNetwork.run`, and turn it into trials.

    Parameters
    ----------
    network : `~brainsnn.builders.spiking_network.SpikingNetwork`
    images, duration, seed, spikes, onset, offset, background
        As of ``run``.

    Returns
    -------
    trials : `~brainsnn.builders.trials.Trials`

    Raises
    ------
    ValueError
        If images, spikes or times are not valid.
    """
    if images is None and spikes is None:
        raise ValueError("run: give images or spikes.")
    images = None if images is None else image_range_check(network.graph, images, network.encoder)
    if spikes is not None:
        spikes = _check_spikes(network, spikes, images)
    n_trials = len(images if spikes is None else spikes)
    if duration is None:
        if spikes is None:
            raise ValueError("run: give a duration, such as duration=500*ms.")
        n_steps = spikes.shape[1]
    else:
        n_steps = _steps(network, "duration", duration)
    if n_steps == 0:
        raise ValueError("run: the duration is 0.")
    trials = Trials(
        n_trials, n_steps, network.dt, _seed(seed, n_trials), per_trial=network._attended.per_trial(n_trials)
    )
    on = _times(network, "onset", onset, n_trials)
    off = np.full(n_trials, np.inf) if offset is None else _times(network, "offset", offset, n_trials)
    shape = network.graph.input.shape
    try:
        background = np.broadcast_to(np.asarray(background, dtype=float), shape)
    except ValueError:
        raise ValueError(f"run: a background of shape {np.shape(background)} does not fit images of {shape}.") from None
    image_range_check(network.graph, background[None], network.encoder)
    for name, drive in drives_of(network.graph, network._inputs, network._groups, network.encoder).items():
        group, unit = network._groups[name].name, float(network.neuron.input_unit)
        trials.shared[name, "background"] = drive(background) * unit
        if images is not None:
            trials.per_trial[name, "image"] = lambda k, drive=drive, unit=unit: drive(images[k]) * unit
        trials.per_trial[name, "t_on"] = lambda k: on[k]
        trials.per_trial[name, "t_off"] = lambda k: off[k]
        if network.graph.populations[name].kind == "input":
            trials.shared[name, "is_replayed"] = np.array([float(spikes is not None)])
            if spikes is not None:
                trials.trains[f"{group}_replay"] = lambda k: spikes[k].reshape(len(spikes[k]), -1)[:n_steps]
    return trials


def _check_spikes(network, spikes, images):
    if network.encoder != "poisson":
        raise ValueError("run: replayed spikes need input neurons that spike; convert with encoder='poisson'.")
    spikes = np.asarray(spikes)
    shape = network.graph.input.shape
    if spikes.ndim != 5 or spikes.shape[2:] != shape:
        raise ValueError(f"run: spikes of shape {spikes.shape}; expected (n, n_steps, {', '.join(map(str, shape))}).")
    if not np.isin(spikes, (-1, 0, 1)).all():
        raise ValueError("run: replayed spikes must be -1, 0 or 1.")
    if images is None and network.feedback is not None and network.feedback.mode != "none":
        raise ValueError("run: the gate compares predictions with pixels; give the images of the spikes, too.")
    if images is not None and len(images) != len(spikes):
        raise ValueError(f"run: {len(spikes)} trains of spikes for {len(images)} images.")
    return spikes


def _steps(network, what, time):
    if not isinstance(time, Quantity) or not time.dim == second.dim:
        raise ValueError(f"run: {what} needs a unit of time, such as {time}*ms.")
    steps = np.asarray(time) / network.dt
    if np.any(steps < 0) or np.any(np.abs(steps - np.rint(steps)) > 1e-6):
        nearest = np.rint(steps).max() * network.dt * 1e3
        raise ValueError(
            f"run: {what}={time} is no multiple of the time step {network.dt * 1e3:g} ms; the nearest one is {nearest:g} ms."
        )
    return np.rint(steps).astype(int) if np.ndim(steps) else int(np.rint(steps))


def _times(network, what, time, n_trials):
    steps = np.asarray(_steps(network, what, time))
    if steps.ndim and len(steps) != n_trials:
        raise ValueError(f"run: {len(steps)} values of {what} for {n_trials} images.")
    return np.broadcast_to(steps * network.dt, n_trials)


def _seed(seed, n_trials):
    """An int, or one for each trial."""
    if isinstance(seed, Integral) and seed >= 0:
        return int(seed)
    seeds = np.asarray(seed)
    if seeds.shape != (n_trials,) or seeds.dtype.kind not in "iu" or seeds.min() < 0 or seeds.max() >= 2**32:
        raise ValueError(
            f"run: seed={seed!r}; give one whole number, 0 or greater, or one of 0 ... 2**32 - 1 for each of the {n_trials} "
            "images."
        )
    return seeds
