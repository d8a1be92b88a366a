"""The spikes of each layer that a raster shows, of a result or of plain arrays."""

from dataclasses import dataclass

import numpy as np
from brian2 import second

from brainsnn.errors import UnknownNameError
from brainsnn.one_line import brief
from brainsnn.plain_arrays import finite_array, plain_array, truth_values
from brainsnn.results.drawn import layer_names, one_result, only_of_results, positive_time
from brainsnn.results.selection import chosen_image

__all__ = ["LayerSpikes", "trains_of_dict", "trains_of_result"]


@dataclass(frozen=True)
class LayerSpikes:
    """
    The spikes of a layer in one trial.

    Parameters
    ----------
    layer : str
    neurons : (n_spikes,) ndarray of int
    times : (n_spikes,) ndarray
        In seconds.
    known : (n_known,) ndarray of int, or range
        Neurons whose spikes are known, in ascending order.
    n_neurons : int or None
        Neurons of the layer; None if nobody says how many do not spike.
    """

    layer: str
    neurons: np.ndarray
    times: np.ndarray
    known: np.ndarray | range
    n_neurons: int | None

    def evenly(self, n_shown):
        """Return so many of the neurons that are known, evenly spaced."""
        places = np.linspace(0, len(self.known) - 1, n_shown).round().astype(int)
        return places if isinstance(self.known, range) else self.known[places]

    def share(self, n_shown):
        """Return how many neurons are shown, in words."""
        n_known, n = len(self.known), self.n_neurons
        if n is None:
            if not n_known:
                return "no spikes"
            return (
                f"neurons 0 to {n_known - 1:,}" if n_shown == n_known else f"{n_shown} of neurons 0 to {n_known - 1:,}"
            )
        if n_known == n:
            return f"{n:,} neurons" if n_shown == n else f"{n_shown} of {n:,} neurons"
        recorded = f"{n_shown}" if n_shown == n_known else f"{n_shown} of {n_known:,}"
        return f"{recorded} recorded\n({n:,} neurons)"


def trains_of_result(result, layers, image, duration, about):
    """
    Return the recorded spikes of an image.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layers : str or list of str or None
    image : int
    duration : None
    about : str
        The function, for the message of an error.

    Returns
    -------
    trains : list of LayerSpikes
    lasts : float
        Duration of the trial, in seconds.
    """
    one_result(result, f"{about}: result", "a dict of spikes by layer")
    if duration is not None:
        raise ValueError(
            f"{about}: duration={duration!r} is that of a dict of spikes; a Result has its own, leave it out."
        )
    if layers is None and not result.spikes:
        raise ValueError(f"{about}: no spikes were recorded. Convert with record={{layer: ['spikes']}}.")
    names = [result.spikes.name_of(name) for name in layer_names(layers, result.spikes, f"{about}: layers")]
    image, trains = chosen_image(image, result.n_images, about), []
    for name in names:
        (neurons, steps), n = result.spikes[name][image], int(np.prod(result.shapes[name]))
        known = np.sort(result.spike_neurons.get(name, np.arange(n)))
        trains.append(LayerSpikes(name, neurons, steps * result.dt, known, n))
    return trains, result.n_steps * result.dt


def trains_of_dict(spikes, layers, image, duration, about):
    """
    Return spikes that are given as arrays.

    Parameters
    ----------
    spikes : dict of str to ((n_spikes,) array_like of int, (n_spikes,) array_like) or (n_steps, n_neurons) array_like of bool
        Neurons and times in seconds, or whether each neuron spikes in each step.
    layers : str or list of str or None
    image : 0
    duration : float or `~brian2.units.fundamentalunits.Quantity`
    about : str
        The function, for the message of an error.

    Returns
    -------
    trains : list of LayerSpikes
    lasts : float
        Duration of the trial, in seconds.

    Raises
    ------
    UnknownNameError
        If the dict has no such layer.
    ValueError
        If the spikes do not have one of these forms, or lie outside of the trial; or if another image is chosen.
    """
    if not spikes:
        raise ValueError(
            f"{about}: result={brief(spikes)} holds no layer; give the spikes of one or more, or a Result."
        )
    names = layer_names(layers, [str(name) for name in spikes], f"{about}: layers")
    by_name = {str(name): own for name, own in spikes.items()}
    if unknown := [name for name in names if name not in by_name]:
        raise UnknownNameError(unknown[0], by_name, "layer with spikes")
    only_of_results(about, "result", spikes, image=(image, 0))
    lasts = positive_time(duration, f"{about}: duration", "100*ms")
    return [_train(name, by_name[name], lasts, f"{about}: result[{name!r}]") for name in names], lasts


def _train(name, own, lasts, about):
    """Return the spikes of a layer."""
    if isinstance(own, tuple) and len(own) == 2:
        return _events(name, *own, lasts, about)
    fired = truth_values(own, about)
    if fired.ndim != 2 or not fired.size:
        raise ValueError(
            f"{about} of shape {fired.shape}; expected a tuple (neurons, times), or whether each neuron spikes in each "
            "step, an array (n_steps, n_neurons)."
        )
    steps, neurons = np.nonzero(fired)
    return LayerSpikes(name, neurons, steps * lasts / len(fired), np.arange(fired.shape[1]), fired.shape[1])


def _events(name, neurons, times, lasts, about):
    """Return spikes that are given by their neurons and times."""
    neurons, times = plain_array(neurons, f"{about}: neurons"), plain_array(times, f"{about}: times", float, second.dim)
    if neurons.ndim != 1 or neurons.shape != times.shape:
        raise ValueError(
            f"{about}: neurons of shape {neurons.shape} and times of shape {times.shape}; give (n_spikes,) of each."
        )
    if neurons.size:
        finite_array(neurons, f"{about}: neurons")
        if (neurons < 0).any() or (neurons != np.rint(neurons)).any() or neurons.dtype.kind == "b":
            raise ValueError(f"{about}: neurons={brief(neurons)} must be indices, whole numbers from 0.")
        if not ((times >= 0) & (times <= lasts)).all():
            raise ValueError(
                f"{about}: times from {times.min():g} to {times.max():g} s lie outside of the trial of duration={lasts:g} s; "
                "times are in seconds."
            )
    neurons = neurons.astype(int)
    return LayerSpikes(name, neurons, times, range(neurons.max(initial=-1) + 1), None)
