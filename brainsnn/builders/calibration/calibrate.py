"""Find the scale of each ReLU layer from images, and return the graph in which it is 1."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.builders.calibration.balancing import balanced_scales
from brainsnn.builders.calibration.normalising import normalised, with_shared_scales
from brainsnn.builders.calibration.percentiles import activation_scales
from brainsnn.builders.from_keras import read_keras
from brainsnn.builders.graph import LayerGraph
from brainsnn.builders.graph.calibration import Calibration
from brainsnn.builders.graph.pooled_spikes import with_pooled_spikes
from brainsnn.builders.trials.inputs import image_range_check
from brainsnn.errors import warn
from brainsnn.plain_arrays import is_number, whole_number

if TYPE_CHECKING:
    import keras

__all__ = ["calibrate"]


def calibrate(
    model: "keras.Model | LayerGraph",
    images: ArrayLike,
    percentile: float | None = None,
    method: str = "data",
    *,
    per: str = "layer",
    encoder: str = "current",
    factor: float | None = None,
    steps: int = 100,
    seed: int = 0,
) -> LayerGraph:
    """
    Normalise the activations of a ReLU network, so that 1 is a large activation of each layer.

    Weights and biases are divided by the scale of their own layer and multiplied by that of the layers that they read. This
    changes no output, since a ReLU commutes with a positive factor. Each input of a sum, such as a residual stream, has the
    scale of its own source. Afterwards the threshold of ``IF`` neurons, 1, is the largest activation that they can express, and
    ``ASN`` neurons work where their transfer function is close to the identity.

    Parameters
    ----------
    model : keras.Model or `~brainsnn.builders.graph.layer_graph.LayerGraph`
        Trained network. Batch norms are folded into weights and biases first.
    images : (n, H, W, C) array_like
        Images from the training set. Some tens to hundreds are enough.
    percentile : float, optional
        Percentile of the values greater than 0 that becomes 1, in (0, 100]: of all activations, by default 99.9, or of the
        inputs in one step of the simulation, by default 100, of which the largest over the steps counts.
    method : {"data", "balance"}
        ``"data"``: scales are activations of the artificial network. ``"balance"``: scales are inputs that spikes cause in one
        step, found layer by layer in a simulation of integrate-and-fire neurons.
    per : {"layer", "channel"}
        Whether the neurons of a layer or those of a channel have one scale. ``"balance"`` has one for each layer.
    encoder : {"current", "poisson"}
        How images will enter the network, which ``convert`` then does by default.
    factor : float, optional
        Factor of the scales. By default 1 for ``"data"``, and 0.7 for ``"balance"``, as published.
    steps : int
        Number of time steps of the simulation for ``"balance"``.
    seed : int
        Of the Poisson spikes of the simulation.

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
        To be passed to ``convert``. ``print(graph.scales)`` shows the scale of each layer. ``"balance"`` returns a graph whose
        maxima are taken over spike counts (see ``max_pooling`` of ``convert``).

    Raises
    ------
    ValueError, ConversionError
        If an argument is not valid, or the network has no ReLU layer.

    Warns
    -----
    UserWarning
        If a layer is silent for all images. It gets the largest scale of the layers that it reads.

    References
    ----------
    Diehl, Neil, Binas, Cook, Liu, Pfeiffer (2015), IJCNN. Rueckauer, Lungu, Hu, Pfeiffer, Liu (2017), Front. Neurosci. 11:682.
    Rathi, Srinivasan, Panda, Roy (2020), ICLR, for ``"balance"``.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"), keras.layers.Flatten()]
    >>> model = keras.Sequential([*layers, keras.layers.Dense(3, name="readout")])
    >>> images = np.random.default_rng(0).uniform(size=(20, 8, 8, 1))
    >>> graph = bs.calibrate(model, images)
    >>> bool(graph.activations(images)["conv"].max() < 2)
    True
    >>> snn = bs.convert(graph, neuron=bs.IF(initial=0.5))
    """
    percentile, factor = _checked(percentile, method, per, encoder, factor)
    graph = model if isinstance(model, LayerGraph) else read_keras(model)
    if graph.neurons:
        raise ValueError(
            f"calibrate: {graph.name!r} was read as a spiking network, whose neurons have their thresholds already. Convert it "
            "as it is."
        )
    if not any(p.activation == "relu" for p in graph.populations.values()):
        raise ValueError(
            f"calibrate: {graph.name!r} has no ReLU layer. Layers with ASNTransfer were trained with the activations of the "
            "neuron: convert the model as it is."
        )
    checked = image_range_check(graph, images, encoder, about="calibrate")
    if method == "data":
        scales = {name: factor * scale for name, scale in activation_scales(graph, checked, percentile, per).items()}
    else:
        graph = with_pooled_spikes(graph)
        steps, seed = whole_number(steps, "calibrate: steps", 1), whole_number(seed, "calibrate: seed", 0)
        scales = balanced_scales(graph, checked, percentile, factor, encoder, steps, np.random.default_rng(seed))
    scales = with_shared_scales(graph, _complete(graph, scales))
    return normalised(graph, scales, Calibration(method, percentile, per, len(checked), encoder))


def _checked(percentile, method, per, encoder, factor):
    """Return percentile and factor, after checking the options of `calibrate`."""
    for name, value, choices in (
        ("method", method, ("data", "balance")),
        ("per", per, ("layer", "channel")),
        ("encoder", encoder, ("current", "poisson")),
    ):
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"calibrate: {name}={value!r}; choose one of {', '.join(map(repr, choices))}.")
    if method == "balance" and per == "channel":
        raise ValueError(
            "calibrate: method='balance' finds one threshold for each layer; use per='layer' or method='data'."
        )
    defaults = {"data": (99.9, 1.0), "balance": (100.0, 0.7)}[method]
    percentile, factor = (
        given if given is not None else default for given, default in zip((percentile, factor), defaults)
    )
    if not is_number(percentile, above=0, high=100):
        raise ValueError(f"calibrate: percentile must lie in (0, 100], got {percentile!r}.")
    if percentile <= 1:  # a share by mistake would make activations a thousand times too large
        raise ValueError(
            f"calibrate: percentile={percentile!r} is a percentage, such as 99.9; for this share give {100 * percentile:g}."
        )
    if not is_number(factor, above=0):
        raise ValueError(f"calibrate: factor must be greater than 0, got {factor!r}.")
    return float(percentile), float(factor)


def _complete(graph, scales):
    """Return scales in which layers without any activity have that of the layers that they read; warn of them."""
    incoming, silent = graph.by_target(), []
    largest = {}
    for name in graph.populations:
        upstream = max((largest[p.source] for p in incoming[name]), default=1.0)
        if name in scales and not np.max(scales[name]) > 0:
            silent.append(name)
            scales[name] = np.ones_like(scales[name]) * upstream
        largest[name] = float(np.max(scales[name])) if name in scales else upstream
    if silent:
        warn(
            f"calibrate: no image excites {', '.join(map(repr, silent))}, whose scale is therefore that of the layers before.",
            fix="Give more images.",
        )
    return scales
