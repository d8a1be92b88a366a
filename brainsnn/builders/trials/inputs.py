"""Trials from the images, spikes and times that a user gives: checks, and the constant currents that an image drives."""

from functools import lru_cache
from numbers import Integral

import numpy as np
from brian2 import Quantity, ms, second

from brainsnn.builders.trials.trials import Trials
from brainsnn.errors import PixelRangeWarning, warn
from brainsnn.plain_arrays import is_number, plain_array
from brainsnn.results.selection import N_FIRST

__all__ = ["DEFAULT_DURATION", "drives_of", "image_range_check", "make_trials"]

#: How long a trial is if neither its duration nor spikes to be replayed are given; `brainsnn run` leaves it to this as well.
DEFAULT_DURATION = 300 * ms
#: Programs count the steps of a trial with 32 bits.
MAX_STEPS = 2**31 - 1
#: Range of the largest pixel of images that were resized as 8-bit values. Standardised images stay below it.
EIGHT_BIT = 50, 260


def make_trials(assembly, images, duration, seed, spikes, onset, offset, background, per_trial):
    """
    Check the arguments of `~brainsnn.builders.spiking_network.SpikingNetwork.run`, and make trials of them.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    images, duration, seed, spikes, onset, offset, background
        As of ``run``.
    per_trial : callable
        ``per_trial(n_trials)`` returns the parameter arrays that differ from image to image.

    Returns
    -------
    trials : `~brainsnn.builders.trials.trials.Trials`

    Raises
    ------
    ValueError
        If images, spikes or times are not valid.
    """
    if images is None and spikes is None:
        raise ValueError("run: give images or spikes.")
    _check_clock(assembly)
    images = None if images is None else image_range_check(assembly.graph, images, assembly.encoder)
    if spikes is not None:
        spikes = _check_spikes(assembly, spikes, images)
        _check_beside_spikes(assembly, images=images, onset=onset, offset=offset, background=background)
    n_trials = len(images if spikes is None else spikes)
    if duration is None and spikes is not None:
        n_steps = spikes.shape[1]
    else:
        duration = DEFAULT_DURATION if duration is None else duration
        n_steps = _steps(assembly, "duration", duration)
        if n_steps.ndim:
            raise ValueError(f"run: duration={duration} holds {n_steps.size} values; give one for all images.")
        n_steps = int(n_steps)
    if n_steps == 0:
        raise ValueError("run: the duration is 0.")
    trials = Trials(n_trials, n_steps, assembly.dt, _seed(seed, n_trials), per_trial=dict(per_trial(n_trials)))
    trials.first_images = None if images is None else np.array(images[:N_FIRST])
    on = np.zeros(n_trials) if onset is None else _times(assembly, "onset", onset, n_trials)
    off = np.full(n_trials, np.inf) if offset is None else _times(assembly, "offset", offset, n_trials)
    _check_times(on, off, n_steps * assembly.dt)
    background = _check_background(assembly, background, is_off=onset is not None or offset is not None)
    names, drive = drives_of(assembly.graph, assembly.inputs, assembly.groups, assembly.encoder)
    resting, driven = drive(background), lru_cache(maxsize=1)(lambda k: drive(images[k]))
    for name in names:
        # Input neurons spike with probability |pixel|; a current has the unit of the model.
        is_input = assembly.graph.populations[name].kind == "input"
        unit = 1.0 if is_input else float(assembly.neuron_of(name).input_unit)
        trials.shared[name, "background"] = resting[name] * unit
        if images is not None:
            trials.per_trial[name, "image"] = lambda k, name=name, unit=unit: driven(k)[name] * unit
        trials.per_trial[name, "t_on"] = lambda k: on[k]
        trials.per_trial[name, "t_off"] = lambda k: off[k]
        if is_input:
            trials.shared[name, "is_replayed"] = np.array([float(spikes is not None)])
            if spikes is not None:
                (replay,) = assembly.replays
                trials.trains[replay] = lambda k: spikes[k].reshape(len(spikes[k]), -1)[:n_steps]
    return trials


def _check_clock(assembly):
    """Refuse a time step that was changed: what was computed for the other one remains, such as delays and buffers."""
    found = {float(group.clock.dt) for group in assembly.groups.values()} - {assembly.dt}
    if any(not np.isclose(dt, assembly.dt, rtol=1e-9) for dt in found):
        raise ValueError(
            f"run: the time step was changed to {found.pop() * 1e3:g} ms, and the network was made for {assembly.dt * 1e3:g} ms. "
            "Give the time step to convert(..., dt=...)."
        )


def _check_spikes(assembly, spikes, images):
    if assembly.encoder != "poisson":
        raise ValueError("run: replayed spikes need input neurons that spike; convert with encoder='poisson'.")
    spikes = plain_array(spikes, "run: spikes")
    shape = assembly.graph.input.shape
    if spikes.ndim != 5 or spikes.shape[2:] != shape:
        raise ValueError(f"run: spikes of shape {spikes.shape}; expected (n, n_steps, {', '.join(map(str, shape))}).")
    if len(spikes) == 0:
        raise ValueError("run: the batch holds no train of spikes.")
    if not np.isin(spikes, (-1, 0, 1)).all():
        raise ValueError("run: replayed spikes must be -1, 0 or 1.")
    feedback = assembly.feedback
    if images is None and feedback is not None and (feedback.mode != "none" or feedback.learning is not None):
        what = "the gate compares predictions" if feedback.mode != "none" else "learning compares predictions"
        raise ValueError(f"run: {what} with pixels; give the images of these spikes as well.")
    if images is not None and len(images) != len(spikes):
        raise ValueError(f"run: {len(spikes)} trains of spikes for {len(images)} images.")
    return spikes


def _check_beside_spikes(assembly, **given):
    """Refuse what says how an image drives the input, if spikes drive it and no feedback compares it with a prediction."""
    feedback = assembly.feedback
    for name, value in given.items():
        if value is not None and feedback is None:
            raise ValueError(
                f"run: {name} has no effect beside spikes, which replace the image, since no feedback compares a prediction with "
                "it. Leave it out."
            )
    if feedback is not None and feedback.contrast:
        raise ValueError(
            "run: PredictiveGate(contrast=True) scales the probability of drawn spikes and has no effect on replayed ones. Give "
            "images alone, or convert with contrast=False."
        )


def _check_background(assembly, background, is_off):
    """Return the background as an image; ``is_off`` says whether the images may be off at some time."""
    shape, is_given = assembly.graph.input.shape, background is not None
    values = plain_array(background if is_given else 0.0, "run: background", float)
    try:
        values = np.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(f"run: a background of shape {values.shape} does not fit images of {shape}.") from None
    image_range_check(assembly.graph, values[None], assembly.encoder, what="background")
    if is_given and not is_off:
        raise ValueError(
            "run: background has no effect while the image is on; give onset=..., offset=... or both as well."
        )
    return values


def _check_times(on, off, duration):
    """Refuse an image that does not go off after it comes on, or that never comes on."""
    for k in np.flatnonzero(off <= on)[:1]:
        when = "when" if off[k] == on[k] else "before"
        raise ValueError(
            f"run: image {k} goes off at offset={off[k] * 1e3:g} ms, {when} it comes on at onset={on[k] * 1e3:g} ms. Give a "
            "later offset."
        )
    for k in np.flatnonzero(on > duration - 1e-9)[:1]:
        raise ValueError(
            f"run: image {k} comes on at onset={on[k] * 1e3:g} ms, which is not before the end of the trial at "
            f"{duration * 1e3:g} ms."
        )


def _steps(assembly, what, time):
    if not isinstance(time, Quantity) or not time.dim == second.dim:
        example = f"{time}*ms" if is_number(time, above=0) else "50*ms"
        raise ValueError(f"run: {what}={time!r} needs a unit of time, such as {example}.")
    steps = np.asarray(time) / assembly.dt
    if not np.isfinite(steps).all() or np.any(steps < 0):
        raise ValueError(f"run: {what}={time} must be finite and not negative.")
    if np.any(steps > MAX_STEPS):
        raise ValueError(
            f"run: {what}={time} is {steps.max():.3g} time steps of {assembly.dt * 1e3:g} ms, and a trial has {MAX_STEPS:,} at "
            "most. Give a shorter time."
        )
    if np.any(np.abs(steps - np.rint(steps)) > 1e-6):
        least = 1 if what == "duration" else 0  # a trial has a step
        nearest = max(np.rint(steps).max(), least) * assembly.dt * 1e3
        raise ValueError(
            f"run: {what}={time} is not a multiple of the time step {assembly.dt * 1e3:g} ms; the nearest one is {nearest:g} ms."
        )
    return np.rint(steps).astype(int)


def _times(assembly, what, time, n_trials):
    steps = _steps(assembly, what, time)
    if steps.shape not in ((), (n_trials,)):
        given = f"{len(steps)} values" if steps.ndim == 1 else f"an array of shape {steps.shape}"
        raise ValueError(f"run: {given} of {what} for {n_trials} images; give one time, or one for each image.")
    return np.broadcast_to(steps * assembly.dt, n_trials)


def _seed(seed, n_trials):
    """An int, or one for each trial."""
    if isinstance(seed, Integral) and not isinstance(seed, bool) and seed >= 0:
        return int(seed)
    seeds = plain_array(seed, "run: seed")
    if seeds.shape != (n_trials,) or seeds.dtype.kind not in "iu" or seeds.min() < 0 or seeds.max() >= 2**32:
        raise ValueError(
            f"run: seed={seed!r}; give one whole number, 0 or greater, or one of 0 ... 2**32 - 1 for each of the {n_trials} "
            "images."
        )
    return seeds


def image_range_check(graph, images, encoder, what="images", about="run"):
    """
    Check a batch of images.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    images : (n, H, W, C) array_like
    encoder : {"current", "poisson"}
    what : str, optional
        What the images are, for the messages of errors.
    about : str, optional
        Function that was called, for the messages.

    Returns
    -------
    images : (n, H, W, C) ndarray of float

    Raises
    ------
    ValueError
        If shape, type or range are wrong, or if the images have a mask or a unit.
    """
    images, shape = plain_array(images, f"{about}: {what}"), graph.input.shape
    expected = f"(n, {', '.join(map(str, shape))})"
    if images.ndim != 4 or images.shape[1:] != shape:
        fix = " Add the axis of the images with images[None]." if images.shape == shape else ""
        raise ValueError(f"{about}: {what} of shape {images.shape}; the network takes {expected}.{fix}")
    if len(images) == 0:
        raise ValueError(f"{about}: the batch holds no image.")
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"{about}: {what} of type {images.dtype}; give them as floats in the range on which the network was trained, for "
            f"8-bit images {_eight_bit(graph, what)}."
        )
    if not np.isfinite(images).all():
        raise ValueError(f"{about}: the {what} hold{'s' if what == 'background' else ''} NaN or infinite values.")
    largest = np.abs(images).max()
    if encoder == "poisson" and largest > 1:
        scaled = (
            "; this network scales pixels itself, so use encoder='current'"
            if graph.pixel_unit > 2
            else "; scale to -1 ... 1"
        )
        raise ValueError(f"{about}: {what}: a pixel of {largest:g} is not a probability to spike{scaled}.")
    # A network that divides by 255, or subtracts a mean of 120, is made for such values.
    fitting = 2 if graph.pixel_unit <= 2 else 16 * graph.pixel_unit
    if largest > fitting and np.array_equal(images, np.rint(images)):
        looks = f"look{'s' if what == 'background' else ''} like 8-bit values (up to {largest:g})"
        raise ValueError(f"{about}: {what} {looks}; networks take {what}/255.")
    if EIGHT_BIT[0] < largest <= EIGHT_BIT[1] and largest > fitting and images.min() >= 0:
        warn(
            f"{about}: {what} from {images.min():g} to {largest:g}: resized 8-bit values?",
            PixelRangeWarning,
            fix=f"Networks usually take {what}/255.",
        )
    return images


def _eight_bit(graph, what):
    """Return how 8-bit images become what the network takes."""
    return (
        f"{what}.astype(float), since this network scales them itself"
        if graph.pixel_unit > 2
        else f"usually {what}/255"
    )


def drives_of(graph, inputs, groups, encoder):
    """
    Return which populations an image reaches linearly, and how it becomes the constant current of each.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    inputs : dict of str to `~brainsnn.builders.network.inputs.Inputs`
    groups : dict
        Populations that exist in the network.
    encoder : {"current", "poisson"}

    Returns
    -------
    names : list of str
    drive : callable
        Function of an (H, W, C) image that returns the (n_neurons,) current of each of them, by name.
    """
    if encoder == "poisson":
        return [graph.input.name], lambda image: {graph.input.name: np.ravel(image)}
    incoming = graph.by_target()

    def drive(image):
        """Return the current of each population, None where the image does not reach it."""
        currents = {}
        for name, population in graph.populations.items():
            values = [
                projection.operator.apply(source[None]).ravel()
                for projection in incoming[name]
                if (source := _linear(graph, projection, image, currents)) is not None
            ]
            # A maximum over a junction needs the junction's bias before it.
            bias = np.broadcast_to(population.bias if population.kind == "junction" else 0.0, population.shape).ravel()
            currents[name] = sum(values, bias) if values else None
        return currents

    names = [name for name, found in inputs.items() if found.stimulus and name in groups and _has_own(graph, name)]
    return names, drive


def _linear(graph, projection, image, currents):
    """Return what a projection carries of the image without a spike: the image itself, or the current of a junction."""
    if graph.populations[projection.source].kind == "input":
        return image
    return currents.get(projection.source) if projection.mode == "current" else None


def _has_own(graph, name):
    """Junctions hold only what passed a synapse; their readers get the current of the image directly."""
    return graph.populations[name].kind != "junction"
