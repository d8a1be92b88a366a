"""Quantized models are refused by that name; models trained with LoRA are read."""

import numpy as np
import pytest
from keras_graphs import images, randomise

from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.errors import ConversionError
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")
L = keras.layers


def _model():
    layers = [L.Conv2D(3, 3), L.Flatten(), L.Dense(4, activation="relu", name="hidden"), L.Dense(3)]
    return randomise(keras.Sequential([keras.Input((6, 6, 2)), *layers]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["int8", "float8", "int4"])
def test_quantized_models_are_refused(mode, tmp_path):
    """Keras rounds the inputs of a quantized layer for each image, so dequantized weights give other outputs."""
    model = _model()
    model.quantize(mode)
    with pytest.raises(ConversionError, match=f"'hidden'.*it is quantized \\({mode}.*before model.quantize"):
        read_keras(model)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        with pytest.raises(ModelFileError, match=f"'hidden'.*it is quantized \\({mode}.*before model.quantize"):
            load_model(tmp_path / name)


def test_models_trained_with_lora_are_read(tmp_path):
    model = _model()
    layer = model.get_layer("hidden")
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=layer.lora_kernel_b.shape))
    x = images(model)
    expected = np.asarray(model(x))
    graph = read_keras(model)
    np.testing.assert_allclose(graph.activations(x)[graph.readouts[0].name].reshape(3, 3), expected, atol=1e-4)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(load_model(tmp_path / "model.keras")(x)), expected, atol=1e-4)
    model.save(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="'hidden'.*matrices of LoRA apart from its kernel. Save .* as .keras"):
        load_model(tmp_path / "model.h5")
