"""Published predictive-feedback networks from PyTorch state dicts: which tensor becomes which weight."""

from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import keras
import numpy as np

from brainsnn.training.predictive_vgg import (
    CONFIGURATIONS,
    WITH_FEEDBACK,
    predictive_vgg,
    published_order,
    spiking_layers,
)
from brainsnn.training.torch_files import read_torch_file

__all__ = ["PublishedNetwork", "read_published_feedback"]

#: Number of 3x3 convolutions -> depth of the VGG.
DEPTHS = {sum(item != "P" for item in items): depth for depth, items in CONFIGURATIONS.items()}


@dataclass(frozen=True)
class PublishedNetwork:
    """
    A network whose weights were read from a PyTorch checkpoint.

    Print it for the table of tensors.

    Parameters
    ----------
    model : keras.Model
        From `~brainsnn.training.predictive_vgg.predictive_vgg`.
    spiking : list of str
        For ``brainsnn.read_keras(model, spiking=spiking)``.
    thresholds : dict of str to float
        By layer; empty if the file has none.
    settings : dict
        ``steps``, ``leak`` and ``surrogate`` where the file has them.
    mapping : list of (str, tuple, str, tuple, str)
        Name and shape of each tensor, layer and shape of its kernel, and what was done.
    """

    model: keras.Model
    spiking: list[str]
    thresholds: dict[str, float]
    settings: dict[str, Any] = field(default_factory=dict)
    mapping: list[tuple] = field(default_factory=list)

    def __str__(self):
        rows = [("tensor", "shape", "layer", "kernel", "by"), *self.mapping]
        rows = [(a, _shown(b), c, _shown(d), e) for a, b, c, d, e in rows]
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        thresholds = ", ".join(f"{name} {value:.4g}" for name, value in self.thresholds.items())
        return "\n".join([*lines, f"thresholds: {thresholds or 'none'}"])


def _shown(shape):
    return shape if isinstance(shape, str) else "x".join(map(str, shape))


def read_published_feedback(
    path: str | PathLike[str], dropout: float = 0.5, conv_dropout: float = 0.3
) -> PublishedNetwork:
    """
    Read a network of the published predictive-feedback code, with or without feedback, from its PyTorch checkpoint.

    Depth, widths, classes and image size follow from the shapes of the tensors; images are square.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        ``.safetensors``, or ``.pth`` and ``.pt`` where PyTorch is installed. Tensors are those of PyTorch's ``Sequential``:
        ``features.0.weight``, ``generator.0.weight``, ``classifier.0.weight``, also with ``module.`` before them.
    dropout, conv_dropout : float
        Rates of the dropout layers, for further training; they have no weights.

    Returns
    -------
    network : `PublishedNetwork`

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError
        If the file, or the package that reads it, does not exist.
    ValueError
        If the file is damaged, or its tensors are not those of such a network; the message names the tensor.

    Notes
    -----
    Convolutions change from (out, in, height, width) to (height, width, in, out), transposed ones from (in, out, height,
    width) to (height, width, out, in), and dense layers from (out, in) to (in, out). The first dense layer reads a map that
    PyTorch flattens channel by channel and Keras pixel by pixel.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.training import read_published_feedback
    >>> network = read_published_feedback("snn_vgg5_wfeedback_mnist.pth")  # doctest: +SKIP
    >>> print(network)  # doctest: +SKIP
    >>> graph = bs.read_keras(network.model, spiking=network.spiking)  # doctest: +SKIP
    >>> gate = bs.PredictiveGate(squash="rescaled_sigmoid", strict=True)  # doctest: +SKIP
    >>> snn = bs.convert(graph, neuron=bs.IF(), thresholds=network.thresholds, feedback=gate)  # doctest: +SKIP
    """
    checkpoint = read_torch_file(path)
    tensors = {name.removeprefix("module."): value for name, value in checkpoint.tensors.items()}
    options = _architecture(tensors, path)
    model = predictive_vgg(**options, published=True, dropout=dropout, conv_dropout=conv_dropout)
    expected = _expected(options, model)
    _check_names(tensors, expected, path)
    mapping = [_assign(model, name, tensors[name], layer, path) for name, layer in expected.items()]
    spiking, settings = spiking_layers(model), dict(checkpoint.settings)
    thresholds = _thresholds(model, spiking, settings.pop("thresholds", None), path)
    return PublishedNetwork(model, spiking, thresholds, settings, mapping)


def _of_part(tensors, part, size=None):
    """Return the tensors of a part of the network in their order, those with kernels of a size alone if it is given."""
    named = sorted((int(name.split(".")[1]), name) for name in tensors if _index(name, part) is not None)
    found = [tensors[name] for _, name in named]
    return [t for t in found if size is None or (t.ndim == 4 and t.shape[-1] == size)]


def _index(name, part):
    pieces = name.split(".")
    return (
        int(pieces[1])
        if len(pieces) == 3 and pieces[0] == part and pieces[1].isdecimal() and pieces[2] == "weight"
        else None
    )


def _architecture(tensors, path):
    """Return the options of `predictive_vgg` that the shapes of the tensors tell."""
    kernels = [t for t in _of_part(tensors, "features") if t.ndim == 4]
    convolutions, dense = [t for t in kernels if t.shape[-1] != 2], _of_part(tensors, "classifier")
    generator = [t for t in _of_part(tensors, "generator") if t.ndim == 4 and t.shape[-1] != 2]
    feedback = bool(_of_part(tensors, "generator"))
    if len(convolutions) not in DEPTHS or len(dense) < 1 or any(t.ndim != 2 for t in dense):
        raise ValueError(
            f"read_published_feedback: {str(path)!r} has {len(convolutions)} convolutions as 'features.N.weight' and "
            f"{len(dense)} dense layers as 'classifier.N.weight'; published networks have {', '.join(map(str, DEPTHS))} and 3."
        )
    depth = DEPTHS[len(convolutions)]
    if feedback and depth not in WITH_FEEDBACK:
        raise ValueError(
            f"read_published_feedback: {str(path)!r} has a generator, which a VGG{depth} does not have; only VGG5 and VGG9 do."
        )
    n_last, n_in = convolutions[-1].shape[0], dense[0].shape[1]
    side = round((n_in / n_last) ** 0.5)
    if side * side * n_last != n_in:
        raise ValueError(
            f"read_published_feedback: {str(path)!r}: 'classifier.0.weight' reads {n_in} values, which are not a square map of "
            f"{n_last} channels."
        )
    size = _image_size(side, depth, convolutions[0].shape[1])
    options = {
        "depth": depth, "input_shape": (size, size, convolutions[0].shape[1]), "n_classes": dense[-1].shape[0],
        "feedback": feedback, "width": convolutions[0].shape[0] / 64, "dense": [t.shape[0] for t in dense[:-1]],
    }  # fmt: skip
    if feedback:  # a transposed convolution is stored as (in, out, height, width); the last but one has 64 channels
        options["generator_width"] = generator[-2].shape[1] / 64 if len(generator) > 1 else 1.0
    return options | {"kernel_size": convolutions[0].shape[-1]}


def _image_size(side, depth, n_channels):
    """Return the size of images. Plain networks round down when they halve: MNIST has 28, and CIFAR 32."""
    n_halved = CONFIGURATIONS[depth].count("P")
    known = 28 if n_channels == 1 else 32
    return known if known >> n_halved == side else side << n_halved


def _expected(options, model):
    """Return the layer of each tensor, by the rule by which the published code numbers the modules of a Sequential."""
    items, expected = CONFIGURATIONS[options["depth"]], {}
    index, n_convolutions, n_pools = 0, 0, 0
    for k, item in enumerate(items):
        if item == "P":
            n_pools += 1
            if options["feedback"]:
                expected[f"features.{index}.weight"] = f"pool{n_pools}"
            index += 1
        else:
            n_convolutions += 1
            expected[f"features.{index}.weight"] = f"conv{n_convolutions}"
            index += (
                2 if items[k + 1 : k + 2] == ("P",) else 3
            )  # convolution, ReLU and, unless a pooling follows, dropout
    if options["feedback"]:
        expected |= _expected_generator(items)
    names = [layer.name for layer in model.layers if layer.name.startswith("dense")] + ["classifier"]
    return expected | {f"classifier.{3 * k}.weight": name for k, name in enumerate(names)}


def _expected_generator(items):
    expected, index, n_up, n_transposed = {}, 0, 0, 0
    backwards, n_layers = items[::-1], sum(item != "P" for item in items)
    for k, item in enumerate(backwards):
        if item == "P":
            n_up += 1
            expected[f"generator.{index}.weight"], index = f"up{n_up}", index + 1
            continue
        n_transposed += 1
        last = n_transposed == n_layers
        expected[f"generator.{index}.weight"] = "prediction" if last else f"generator{n_transposed}_current"
        index += 2 if backwards[k + 1 : k + 2] == ("P",) else 3
    return expected


def _check_names(tensors, expected, path):
    missing = [name for name in expected if name not in tensors]
    unmatched = [name for name in tensors if name not in expected]
    if missing or unmatched:
        raise ValueError(
            f"read_published_feedback: {str(path)!r} is not such a network: "
            + "; ".join(
                f"tensors {what}: {', '.join(map(repr, names))}"
                for what, names in (("missing", missing), ("without a layer", unmatched))
                if names
            )
            + ". Save the state dict of the published model as it is."
        )


def _assign(model, name, tensor, layer_name, path):
    """Set the kernel of a layer from a tensor; return the row of the table."""
    layer = model.get_layer(layer_name)
    kernel, how = _rearranged(tensor, layer, model)
    shape = tuple(layer.kernel.shape)
    if kernel.shape != shape:
        raise ValueError(
            f"read_published_feedback: {str(path)!r}: tensor {name!r} of shape {tensor.shape} gives a kernel of {kernel.shape}, "
            f"and layer {layer_name!r} has {shape}."
        )
    layer.kernel.assign(kernel)
    return name, tuple(tensor.shape), layer_name, shape, how


def _rearranged(tensor, layer, model):
    """Return a tensor in the order of Keras, and what was done."""
    if tensor.ndim == 4 and isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        return tensor.transpose(2, 3, 1, 0), "IOHW to HWOI" if transposed else "OIHW to HWIO"
    if tensor.ndim != 2 or not isinstance(layer, keras.layers.Dense):
        return tensor, "nothing"
    if isinstance(layer.input._keras_history.operation, keras.layers.Flatten):
        height, width, channels = model.get_layer("flatten").input.shape[1:]
        if tensor.shape[1] == height * width * channels:
            maps = tensor.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)
            return maps.reshape(height * width * channels, -1), "channels last, transposed"
    return tensor.T, "transposed"


def _thresholds(model, spiking, values, path):
    """Return the thresholds of a file by layer: features, generator, dense layers."""
    if values is None:
        return {}
    activated = [layer.name for layer in model.layers if layer.weights and layer.activation.__name__ == "relu"]
    names = published_order([layer.name for layer in model.layers if layer.name in {*activated, *spiking}])
    values = np.ravel(values)
    if len(values) != len(names) or not (values > 0).all():
        raise ValueError(
            f"read_published_feedback: {str(path)!r} has {len(values)} thresholds, {values.tolist()}; this network needs "
            f"{len(names)} that are greater than 0, of {', '.join(names)}."
        )
    return dict(zip(names, values.tolist()))
