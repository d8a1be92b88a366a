"""What the output of the last step contains, in both schedules, against a computation by hand."""

import numpy as np
import pytest
from brian2 import ms

import brainsnn as bs

LAST = "dense1_asn"


@pytest.mark.parametrize(("schedule", "delay"), [("pipelined", 1), ("synchronous", 0)])
def test_output_of_the_last_step(schedule, delay):
    graph = bs.read_keras(bs.load_model("digits"))
    snn = bs.convert(
        graph, neuron=bs.IF(), schedule=schedule, device="cpp_standalone", dtype="float64",
        record={LAST: ["spikes"], "readout": ["S"]},
    )  # fmt: skip
    n_steps = 30
    image = np.random.default_rng(0).random((1, *graph.input.shape))
    result = snn.run(image, duration=n_steps * ms)
    spikes = result.raster(LAST)[0].reshape(n_steps, -1).astype(float)
    (projection,) = [p for p in snn.projections if p.target is snn.populations["readout"]]
    weights = np.zeros((spikes.shape[1], 10))
    i, j, w = projection.to_coo()
    np.add.at(weights, (i, j), w)
    # The readout sums its input over time: bias in each step, and the spikes that have acted by the end of the step.
    S = np.zeros((n_steps, 10))
    for t in range(n_steps):
        S[t] = (t + 1) * graph.populations["readout"].bias + spikes[: t + 1 - delay].sum(axis=0) @ weights
    np.testing.assert_allclose(result.states["readout"]["S"][0], S, atol=1e-9)
    assert np.abs(spikes[-1] @ weights).max() > 1e-3  # the spikes of the last step make a difference
    longer = snn.run(image, duration=(n_steps + 1) * ms)
    np.testing.assert_array_equal(longer.output[:, :n_steps], result.output)
