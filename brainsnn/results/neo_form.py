"""A result as a neo Block: a segment for each image, spike trains, states as signals, and epochs of stimulus and attention."""

import json

import numpy as np
from tqdm import tqdm

from brainsnn.errors import warn
from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import is_number
from brainsnn.results.selection import PLACE, chosen_images, flat_index

__all__ = ["epochs_of", "neo_block", "settings_of_image"]

#: So many spike trains take seconds, and analyses of them far longer.
MANY_TRAINS = 20_000
WHAT = "Result.to_neo"


def neo_block(result, layer=None, neurons=None, images=None, progress=False):
    """
    Return a result as a block; see `~brainsnn.results.result.Result.to_neo`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str or list of str, optional
    neurons : list or ndarray, optional
    images : int, slice or array_like, optional
    progress : bool, optional

    Returns
    -------
    block : `neo.core.Block`
    """
    with optional_packages(WHAT, "formats"):
        import neo

    layers = _layers(result, layer)
    if neurons is not None and len(layers) != 1:
        raise ValueError(
            f"{WHAT}: neurons={neurons!r:.100} needs one layer, and these are {layers}. Give layer=... as well."
        )
    chosen = chosen_images(images, result.n_images, WHAT)
    wanted = {name: _chosen_neurons(neurons, result.shapes[name], name) for name in layers}
    trained = {name: _spiking_neurons(result, name, wanted[name]) for name in layers if name in result.spikes}
    n_trains = len(chosen) * sum(map(len, trained.values()))
    if n_trains > MANY_TRAINS:
        warn(
            f"{WHAT}: {n_trains:,} spike trains, one for each neuron and image, take a while, and their analysis far longer.",
            fix="Choose with layer=..., neurons=[...] or images=[...].",
        )
    plain = {key: value for key, value in result.settings.items() if type(value) in (str, int, float)}
    block = neo.Block(name=str(result.settings.get("model", "result")), description="a run of brainsnn", **plain)
    for image in tqdm(chosen.tolist(), unit="image", disable=not progress):
        segment = neo.Segment(name=f"image {image}", index=image, **_annotations(result, image))
        segment.epochs.extend([*_epochs(result, image, neo)])  # neo goes through a list twice
        for name in layers:
            segment.analogsignals.extend([*_signals(result, name, wanted[name], image, neo)])
            if name in trained:
                segment.spiketrains.extend([*_spike_trains(result, name, trained[name], image, neo)])
        block.segments.append(segment)
    return block


def _layers(result, layer):
    """Return the populations that are wanted; by default, all of which something was recorded."""
    stores = (result.spikes, result.states, result.outputs)
    if layer is None:
        return [name for name in result.shapes if any(name in store for store in stores)]
    names = [result.shapes.name_of(one) for one in ([layer] if isinstance(layer, str) else layer)]
    for name in names:
        if not any(name in store for store in stores):
            result.spikes.name_of(name)  # the error says how to record it
    return list(dict.fromkeys(names))


def _chosen_neurons(neurons, shape, name):
    """Return the flat indices of the neurons that a user names, or None for all."""
    if neurons is None:
        return None
    if isinstance(neurons, np.ndarray) and neurons.dtype == bool:
        if neurons.shape not in (shape, (np.prod(shape),)):
            raise ValueError(f"{WHAT}: neurons: a mask of shape {neurons.shape}; that of {name!r} is {shape}.")
        return np.flatnonzero(neurons)
    if not isinstance(neurons, list | np.ndarray | range):
        raise ValueError(
            f"{WHAT}: neurons={neurons!r:.100} must be a list of flat indices or (row, column, channel), or a mask. "
            "Of one neuron, give [(row, column, channel)]."
        )
    return np.array([flat_index(neuron, shape, name) for neuron in neurons], dtype=int)


def _spiking_neurons(result, name, wanted):
    """Return the neurons whose spike trains are made: those that were recorded."""
    recorded = result.spike_neurons.get(name)
    if wanted is None:
        return np.arange(np.prod(result.shapes[name])) if recorded is None else np.asarray(recorded)
    if recorded is not None and not (known := np.isin(wanted, recorded)).all():
        raise IndexError(
            f"{WHAT}: the spikes of neuron {wanted[~known][0]} of {name!r} were not recorded; those of {len(recorded)} were."
        )
    return wanted


def _places(neurons, shape):
    """Return row, column and channel of neurons by name."""
    return dict(zip(PLACE, np.unravel_index(neurons, shape)))


def _spike_trains(result, name, neurons, image, neo):
    spiking, steps = (np.asarray(values) for values in result.spikes[name][image])
    order = np.lexsort((steps, spiking))
    spiking, times = spiking[order], steps[order] * result.dt * 1e3
    starts, ends = (np.searchsorted(spiking, neurons, side) for side in ("left", "right"))
    stop, rate = _milliseconds(result.n_steps * result.dt), _rate(result)
    places = {axis: place.tolist() for axis, place in _places(neurons, result.shapes[name]).items()}
    for k, neuron in enumerate(neurons.tolist()):
        place = {axis: values[k] for axis, values in places.items()}
        yield neo.SpikeTrain(
            times[starts[k] : ends[k]], units="ms", t_start=_milliseconds(0), t_stop=stop, sampling_rate=rate,
            name=f"{name} ({', '.join(map(str, place.values()))})", layer=name, neuron=neuron, **place,
        )  # fmt: skip


def _milliseconds(seconds):
    import quantities as pq

    return pq.Quantity(seconds * 1e3, "ms")


def _rate(result):
    import quantities as pq

    return pq.Quantity(1 / result.dt, "Hz")


def _signals(result, name, wanted, image, neo):
    """Return recorded states, and the activation of a readout, of the chosen neurons."""
    units = result.models[name].units if name in result.models else {}
    for variable, values in result.states.get(name, {}).items():
        neurons = np.asarray(result.recorded[name][variable])
        yield from _signal(result, name, variable, values[image], neurons, wanted, units.get(variable, "1"), neo)
    if name in result.outputs:
        values = result.outputs[name][image]
        yield from _signal(result, name, "output", values, np.arange(values.shape[1]), wanted, "1", neo)


def _signal(result, name, variable, values, neurons, wanted, unit, neo):
    columns = np.arange(len(neurons)) if wanted is None else np.flatnonzero(np.isin(neurons, wanted))
    if not len(columns):
        return
    neurons, values = neurons[columns], np.asarray(values)[:, columns]
    yield neo.AnalogSignal(
        values.astype(float) if values.dtype.kind != "f" else values,
        units=_unit(unit, name, variable), sampling_rate=_rate(result), t_start=_milliseconds(0),
        name=f"{variable} of {name}", layer=name, variable=variable,
        array_annotations={"neuron": neurons, **_places(neurons, result.shapes[name])},
    )  # fmt: skip


def _unit(text, name, variable):
    """Return a unit of Brian2 as one of the package quantities."""
    import quantities as pq

    try:
        return pq.Quantity(1.0, "dimensionless" if text == "1" else text.replace(" ", "*").replace("^", "**"))
    except (LookupError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(
            f"{WHAT}: {variable!r} of {name!r} has the unit {text!r}, which the package quantities does not know. Leave the "
            "layer out, and use result.state."
        ) from error


# What the settings say of an image


def settings_of_image(result, image):
    """
    Return the settings of one image: of those that are given for each image, its own.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    image : int

    Returns
    -------
    settings : dict
    """
    settings = result.settings
    images = settings.get("images")  # of a recording that a full disk ended
    original = images[image] if isinstance(images, list) and image < len(images) else image
    found = {key: _own(settings.get(key), original) for key in ("seed", "onset", "offset")}
    if isinstance(attention := settings.get("attention"), dict):
        center = attention.get("center")
        if isinstance(center, list) and not all(is_number(place) for place in center):
            center = center[original] if original < len(center) else None
        own = {key: _own(attention.get(key), original) for key in ("onset", "offset")}
        found["attention"] = attention | own | {"center": center}
    return found


def _own(value, image):
    """Return the number of an image; None if there is none."""
    value = value[image] if isinstance(value, list) and image < len(value) else value
    return value if is_number(value) else None


def epochs_of(result, image):
    """
    Return when the stimulus and attention were on in a trial, as far as the settings say.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    image : int

    Returns
    -------
    epochs : list of (str, float, float, dict)
        Name, start and end in seconds, and what is known besides: plain values.
    """
    settings, end = settings_of_image(result, image), result.n_steps * result.dt
    epochs = []
    if "onset" in result.settings:
        epochs.append(("stimulus", *_span(settings, end), {}))
    if attention := settings.get("attention"):
        about = {"text": str(attention.get("text")), "layers": json.dumps(attention.get("layers"))}
        about["strengths"] = json.dumps(attention.get("strengths"))
        if attention["center"] is not None:
            about |= dict(zip(("center_row", "center_column"), attention["center"]))
        epochs.append(("attention", *_span(attention, end), about))
    return epochs


def _span(times, end):
    start = min(times["onset"] or 0.0, end)
    return start, end if times["offset"] is None else min(times["offset"], end)


def _epochs(result, image, neo):
    for name, start, stop, about in epochs_of(result, image):
        times, durations = (_milliseconds(np.array([value])) for value in (start, stop - start))
        # a name of its own, without which neo.NWBIO does not read epochs of several images
        title = f"{name} of image {image}"
        yield neo.Epoch(times=times, durations=durations, labels=np.array([name]), name=title, **about)


def _annotations(result, image):
    found = {"image": image, "seed": settings_of_image(result, image)["seed"]}
    if result.labels is not None:
        found["label"] = int(result.labels[image])
    return {key: value for key, value in found.items() if value is not None}
