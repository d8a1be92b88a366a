"""OpenMP threads share the work, and give the random numbers of one thread, and its results up to rounding."""

import keras
import numpy as np
import pytest
from keras import layers

import brainsnn as bs

MEMBRANE = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1"
#: Neurons that draw random numbers in each step, and when a spike arrives.
NOISY = bs.ASN().replace(MEMBRANE, MEMBRANE.replace("tau_phi :", "tau_phi + sigma*xi/sqrt(tau_phi) :"), sigma=0.02)
UNRELIABLE = NOISY.edit(on_pre="I_post += w*h_pre*int(rand() < 0.7)")


@pytest.fixture(scope="module")
def graph():
    """A convolution with more neurons than a thread takes at once."""
    model = keras.Sequential(
        [
            layers.Input((18, 18, 1), name="input"),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(2, name="readout"),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.1, 0.3, w.shape) for w in layer.get_weights()])
    return bs.read_keras(model)


@pytest.mark.parametrize(
    "connectivity, schedule",
    [("event_driven", "synchronous"), pytest.param("synapses", "pipelined", marks=pytest.mark.slow)],
)
def test_random_numbers_do_not_depend_on_threads(graph, connectivity, schedule):
    options = {"neuron": UNRELIABLE, "encoder": "poisson", "dtype": "float64", "device": "cpp_standalone"}
    options |= {"connectivity": connectivity, "schedule": schedule}
    record = {"input": ["spikes"], "conv": ["spikes", "S"]}
    images = np.random.default_rng(1).random((2, *graph.input.shape))
    one, two = (
        bs.convert(graph, threads=threads, record=record, **options).run(images, duration=12 * bs.ms, seed=3)
        for threads in (1, 2)
    )
    for name in record:
        assert one.spike_counts[name].all()
        np.testing.assert_array_equal(one.raster(name), two.raster(name))
    # Noise differs from image to image.
    assert not np.array_equal(*one.states["conv"]["S"])
    np.testing.assert_allclose(two.states["conv"]["S"], one.states["conv"]["S"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(two.output, one.output, rtol=0, atol=1e-12)
