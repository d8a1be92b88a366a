"""Models with several outputs have several readouts; those with several inputs are refused, with a fix that works."""

import re

import numpy as np
import pytest
from keras_graphs import ASNTransfer, L, randomise
from locations import ROOT

import brainsnn as bs
from brainsnn import ms

keras = pytest.importorskip("keras")


def two_outputs():
    x = inputs = keras.Input((8, 8, 2), name="pixels")
    x = ASNTransfer(name="asn1")(L.Conv2D(3, 3, name="conv1")(x))
    side = L.Dense(2, activation="softmax", name="side")(L.GlobalAveragePooling2D(name="mean")(x))
    x = ASNTransfer(name="asn2")(L.Conv2D(4, 3, strides=2, name="conv2")(x))
    return randomise(keras.Model(inputs, [L.Dense(3, name="out")(L.Flatten(name="flat")(x)), side, x]), 1)


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_each_output_is_a_readout(device, tmp_path):
    """Also one that is a hidden layer as well, and after a file."""
    model = two_outputs()
    model.save(tmp_path / "model.keras")
    model = bs.load_model(tmp_path / "model.keras")
    graph = bs.read_keras(model)
    images = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 2)).astype("float32")
    expected = dict(zip(("out", "side", "asn2_readout"), (np.asarray(y) for y in model(images)), strict=True))
    assert [p.name for p in graph.readouts] == list(expected)
    dense = graph.activations(images)
    for name, values in expected.items():
        np.testing.assert_allclose(dense[name].reshape(values.shape), values, atol=1e-6, err_msg=name)
    snn = bs.convert(graph, neuron=bs.ASN(m_f=0.05), device=device)
    result = snn.run(images, duration=600 * ms)
    assert list(result.outputs) == list(expected)
    np.testing.assert_array_equal(result.output, result.outputs["out"])
    for name, values in expected.items():
        found = result.outputs[name][:, 400:].mean(axis=1).reshape(values.shape)
        assert np.abs(found - values).max() < 0.15 * np.abs(values).max(), name


def test_the_fix_for_two_inputs_is_exact():
    page = (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8")
    section = page.split("## A model with two inputs")[1].split("\n## ")[0]
    refused, fix = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    names = {"bs": bs}
    with pytest.raises(
        bs.ConversionError, match=r"2 inputs: 'image' \(8, 8, 2\), 'depth' \(8, 8, 1\). A network has one"
    ):
        exec(refused, names)
    exec(fix, names)
    rng = np.random.default_rng(0)
    images, depths = rng.uniform(size=(3, 8, 8, 2)), rng.uniform(size=(3, 8, 8, 1))
    expected = np.asarray(names["two"]([images, depths]))
    graph = names["graph"]
    found = graph.activations(np.concatenate([images, depths], axis=-1))[graph.readouts[0].name]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    bs.convert(bs.calibrate(graph, np.concatenate([images, depths], axis=-1)))
