"""Preprocessing layers and types of numbers are read as Keras computes them at inference."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import close, functional, images, randomise

from brainsnn.builders.from_keras.layers import HANDLERS
from brainsnn.builders.from_keras.preprocessing import AUGMENTATIONS
from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.builders.trials.inputs import image_range_check
from brainsnn.errors import ConversionError
from brainsnn.training import load_model

keras = pytest.importorskip("keras")
L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore")


def _image_layers():
    """Return the layers of this Keras that process images, by name."""
    kind = L.RandomFlip.__mro__[1]
    return {name: each for name, each in vars(L).items() if inspect.isclass(each) and issubclass(each, kind)}


def _made(layer_class):
    """Make a layer with some value for each argument that has no default."""
    values = {"factor": 0.5, "height": 6, "width": 6, "height_factor": 0.2, "width_factor": 0.2, "max_number": 2}
    if layer_class is L.RandomPosterization:
        values["factor"] = 4
    parameters = inspect.signature(layer_class.__init__).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return layer_class(**{name: values[name] for name in needed if name != "self"})


def _model(layer, shape=(6, 6, 3)):
    return randomise(functional(lambda x: L.Dense(2)(layer(x)), shape))


@pytest.mark.parametrize("name", sorted(_image_layers()))
def test_layers_for_images_are_read_or_refused(name):
    """A layer that Keras adds is refused until its behaviour at inference is known."""
    layer = _made(_image_layers()[name])
    if name in HANDLERS:
        model = _model(layer)
        close(read_keras(model), model)
        x = np.random.default_rng(0).uniform(size=(2, 6, 6, 3)).astype("float32")
        np.testing.assert_array_equal(np.asarray(layer(x, training=False)), x)
    elif name not in ("Equalization", "MaxNumBoundingBoxes"):  # no layers of a functional model
        with pytest.raises(ConversionError, match="no spiking counterpart"):
            read_keras(functional(layer, (6, 6, 3)))


def test_all_augmentations_are_layers_for_images():
    assert set(_image_layers()) >= AUGMENTATIONS


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_augmentation_in_a_file(name, tmp_path):
    layers = [L.RandomFlip(), L.RandomRotation(0.1), L.RandomZoom(0.2), L.RandomTranslation(0.1, 0.1), L.RandomHue(0.5)]
    normalization = L.Normalization()
    normalization.adapt(np.random.default_rng(0).uniform(size=(9, 6, 6, 3)) * [1, 2, 3])
    layers += [L.Resizing(6, 6), L.CenterCrop(4, 5), normalization, L.Rescaling([1.0, 2.0, 3.0], 0.5), L.Dense(2)]
    inputs = keras.Input((6, 6, 3))
    x = inputs
    for layer in layers:
        x = layer(x)
    model = keras.Model(inputs, x)
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    x = images(model)
    np.testing.assert_allclose(np.asarray(loaded(x, training=False)), np.asarray(model(x, training=False)), rtol=1e-6)
    close(read_keras(loaded), model)


@settings(max_examples=12, deadline=None)
@given(
    size=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    shape=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos3"]),
    antialias=st.booleans(),
    crop=st.booleans(),
)
def test_resizing(size, shape, interpolation, antialias, crop):
    layer = L.Resizing(*size, interpolation=interpolation, antialias=antialias, crop_to_aspect_ratio=crop)
    model = functional(layer, (*shape, 2))
    close(read_keras(model), model)


@settings(max_examples=8, deadline=None)
@given(size=st.tuples(st.integers(2, 8), st.integers(2, 8)))
def test_center_crop(size):
    """Keras enlarges images that are too small."""
    model = functional(L.CenterCrop(*size), (6, 5, 2))
    close(read_keras(model), model)


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos5"])
def test_up_sampling(interpolation):
    model = functional(L.UpSampling2D((2, 3), interpolation=interpolation), (4, 5, 2))
    close(read_keras(model), model)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mean": [1.0, 2.0], "variance": [3.0, 0.0]},
        {"mean": [1.0, 2.0], "variance": [3.0, 4.0], "invert": True},
        {"mean": 1.0, "variance": 3.0},
        {"axis": None},
        {"axis": (1, 2)},
        {"axis": (3, 1)},
    ],
)
def test_normalization(arguments, tmp_path):
    layer = L.Normalization(**arguments)
    if "mean" not in arguments:
        layer.adapt(np.random.default_rng(0).normal(size=(9, 4, 5, 2)) * np.arange(1, 6)[:, None])
    model = functional(lambda x: L.ReLU()(layer(x)), (4, 5, 2))
    close(read_keras(model), model)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        close(read_keras(load_model(tmp_path / name)), model)


@pytest.mark.parametrize("scale", [(2,), (4, 5, 2), (4, 1, 1), (5, 1), (1, 4, 5, 2), ()])
def test_rescaling_by_an_array(scale, tmp_path):
    rng = np.random.default_rng(0)
    model = functional(lambda x: L.ReLU()(L.Rescaling(rng.normal(size=scale), rng.normal(size=scale))(x)), (4, 5, 2))
    close(read_keras(model), model)
    model.save(tmp_path / "model.keras")
    close(read_keras(load_model(tmp_path / "model.keras")), model)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"])
def test_half_precision(dtype, tmp_path):
    """Weights are read exactly. Keras rounds what it computes, the graph does not: they differ by rounding alone."""
    layers = [L.Conv2D(3, 3, activation="relu", dtype=dtype), L.Flatten(), L.Dense(3, dtype=dtype)]
    model = randomise(keras.Sequential([keras.Input((4, 4, 2)), *layers]))
    x = images(model)
    expected = np.asarray(model(x)).astype("float32")
    tolerance = 20 * (2**-8 if "bfloat16" in dtype else 2**-11) * np.abs(expected).max()
    graph = read_keras(model)
    np.testing.assert_allclose(graph.activations(x)[graph.readouts[0].name].reshape(3, 3), expected, atol=tolerance)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        loaded = load_model(tmp_path / name)
        for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours.astype("float32"), theirs.astype("float32"))
        np.testing.assert_array_equal(np.asarray(loaded(x)).astype("float32"), expected)


def test_a_reshape_of_keras_ops_is_loaded(tmp_path):
    model = randomise(functional(lambda x: L.Dense(2)(keras.ops.reshape(x, (-1, 32))), (4, 4, 2)))
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        close(read_keras(load_model(tmp_path / name)), model)


def _normed(mean, deviation):
    """Return a batch normalisation that has seen pixels of this mean and deviation."""
    return L.BatchNormalization(
        epsilon=1e-6, moving_mean_initializer=keras.initializers.Constant(mean),
        moving_variance_initializer=keras.initializers.Constant(deviation**2),
    )  # fmt: skip


TAKE_8_BIT = {
    "divided by 255": lambda: [L.Rescaling(1 / 255)],
    "to -1 ... 1": lambda: [L.Rescaling(1 / 127.5, -1)],
    "normalised": lambda: [L.Normalization(mean=[120.0, 110.0, 100.0], variance=[4900.0, 4800.0, 5000.0])],
    "dark images": lambda: [L.Normalization(mean=[3.0, 3.0, 3.0], variance=[900.0, 900.0, 900.0])],
    "batch-normalised": lambda: [_normed(120.0, 60.0)],
    "only centred": lambda: [L.Rescaling(1, np.array([-104.0, -117.0, -124.0]))],
    "after other layers": lambda: [L.RandomFlip(), L.ZeroPadding2D(1), L.Resizing(7, 7), L.Rescaling(1 / 255)],
    "in two steps": lambda: [L.Rescaling(1 / 255), L.Normalization(mean=[0.4] * 3, variance=[0.06] * 3)],
}
TAKE_0_TO_1 = {
    "nothing": lambda: [],
    "to -1 ... 1": lambda: [L.Rescaling(2.0, -1.0)],
    "batch-normalised": lambda: [_normed(0.45, 0.25)],
    "normalised": lambda: [L.Normalization(mean=[0.48, 0.45, 0.4], variance=[0.05, 0.05, 0.05])],
    "augmented": lambda: [L.RandomFlip(), L.RandomRotation(0.1), L.Resizing(5, 5)],
    "scaled after a convolution": lambda: [L.Conv2D(2, 3), L.Rescaling(1 / 255)],
}


def _checked(layers):
    """Return the range check of the graph of a model with these first layers."""
    graph = read_keras(
        keras.Sequential([keras.Input((6, 6, 3)), *layers, L.Conv2D(2, 3, activation="relu"), L.Flatten()])
    )
    return lambda images: image_range_check(graph, images, "current")


@pytest.mark.parametrize("case", TAKE_8_BIT)
def test_8_bit_values_are_taken_where_the_network_scales_them(case):
    check = _checked(TAKE_8_BIT[case]())
    image = np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3)).astype(float)
    np.testing.assert_array_equal(check(image), image)


@pytest.mark.parametrize("case", TAKE_0_TO_1)
def test_8_bit_values_are_refused_where_the_network_takes_0_to_1(case):
    check = _checked(TAKE_0_TO_1[case]())
    image = np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3)).astype(float)
    with pytest.raises(ValueError, match="look like 8-bit values"):
        check(image)
    assert check(image / 255).max() <= 1


def test_values_far_above_8_bit_are_refused_by_a_network_that_scales():
    check = _checked([L.Rescaling(1 / 255)])
    with pytest.raises(ValueError, match="up to 65535"):
        check(np.full((1, 6, 6, 3), 65535.0))
