"""Threads share the work: OpenMP's give the random numbers of one, and its results up to rounding. Without them, one does it."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from locations import HELPERS, ROOT

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


NO_THREADS = """
import resource
import warnings
import numpy as np
import psutil
import brainsnn as bs
from one_layer import SHAPE, one_layer_graph
graph, images, outputs = one_layer_graph(), np.full((1, *SHAPE), 0.5), []
for threads in (1, 3):
    snn = bs.convert(graph, bs.ASN(), threads=threads)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        outputs.append(snn.run(images, 40 * bs.ms).output)
    print(sorted({str(each.message).split(",")[0] for each in said if each.category is RuntimeWarning}))
    limit = psutil.Process().memory_info().vms + (8 << 30)  # compiling takes threads, too
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
print(np.array_equal(*outputs))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a thread's stack is set as on Linux")
def test_without_further_threads_a_network_runs_in_one_and_says_so():
    """A thread of Linux needs memory for as large a stack as the limit; here each would need more than there may be."""
    command = ["sh", "-c", 'ulimit -s 16000000 && exec "$0" -c "$1"', sys.executable, NO_THREADS]
    paths = os.pathsep.join([str(ROOT), str(HELPERS)])
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout == "[]\n['The network runs in one thread']\nTrue\n", done.stderr[-2000:]
