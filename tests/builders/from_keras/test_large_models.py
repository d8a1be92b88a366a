"""Small models that ask for more than the memory: an error says which layer, what it asked for and what to do."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import brainsnn as bs
from brainsnn.builders.operators import composition
from brainsnn.memory import named_memory_errors

#: The limit is set when everything has been imported, and lets nothing large be allocated.
SCRIPT = """
import resource
import keras
import psutil
import brainsnn as bs
from keras import layers

inputs = keras.Input((2, 2, 1), name="images")
x = layers.{layer}({size}, name="large")(inputs)
x = layers.ReLU(name="relu")(x)
model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D(name="mean")(x)))
limit = psutil.Process().memory_info().vms + 2**31
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    bs.{call}(model)
except MemoryError as error:
    print("refused:", error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "size", "call", "words"),
    [
        ("UpSampling2D", 30000, "read_keras", "read_keras: layer 'large' of 'functional' does not fit into the memory"),
        ("ZeroPadding2D", 30000, "convert", "read_keras: layer 'large' of 'functional' does not fit into the memory"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(layer, size, call, words):
    script = SCRIPT.format(layer=layer, size=size, call=call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert f"refused: {words}" in done.stdout, done.stderr
    assert "Unable to allocate" in done.stdout and " are available. Make the layer" in done.stdout


@pytest.mark.slow
def test_synapses_that_do_not_fit_are_named():
    script = """
import resource
import keras
import psutil
import brainsnn as bs
from keras import layers

inputs = keras.Input((64, 64, 1), name="images")
x = layers.Flatten()(layers.ReLU(name="first")(inputs))
x = layers.ReLU(name="second")(layers.Dense(4096)(x))
graph = bs.read_keras(keras.Model(inputs, layers.Dense(2)(x)))
limit = psutil.Process().memory_info().vms + 2**27
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    bs.convert(graph, connectivity="synapses")
except MemoryError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False)
    assert "refused: convert: the network of 12,290 neurons, 4,096 of them in 'images', does not fit" in done.stdout, (
        done.stderr
    )
    assert "connectivity='event_driven'" in done.stdout


def test_other_errors_stay_as_they_are():
    with pytest.raises(ValueError, match="^other$"), named_memory_errors(lambda: "x", "fix"):
        raise ValueError("other")
    with pytest.raises(MemoryError, match=r"^x does not fit into the memory; .* are available\. Buy some\.$"):
        with named_memory_errors(lambda: "x", "Buy some."):
            raise MemoryError


def doubled(times):
    x = inputs = keras.Input((2, 3, 2), name="images")
    for _ in range(times):
        x = keras.layers.Concatenate()([x, x])
    x = keras.layers.ReLU(name="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))


@pytest.mark.parametrize("junctions", [True, False])
def test_sums_of_small_kernels_that_would_be_large_stay_apart(junctions, monkeypatch):
    """A tensor beside itself: each part has one weight per channel, and one kernel for both has their square."""
    model, images = doubled(5), np.random.default_rng(0).random((3, 2, 3, 2)).astype("f4")
    whole = bs.read_keras(model, junctions=junctions)
    monkeypatch.setattr(composition, "LARGE_KERNEL", 16)
    parts = bs.read_keras(model, junctions=junctions)
    if junctions:
        assert len(parts.projections) > len(whole.projections)
    for graph in (whole, parts):
        found = graph.activations(images)[graph.readouts[0].name].reshape(3, 3)
        np.testing.assert_allclose(found, model.predict(images, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_tensor_of_many_channels_beside_itself():
    graph = bs.read_keras(doubled(15))
    assert graph.populations["relu"].shape == (2, 3, 2**16)
    assert max(p.operator.n_weights for p in graph.projections) < 2**22
