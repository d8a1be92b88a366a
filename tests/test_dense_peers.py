"""The dense network of the benchmarks computes what brainsnn does: otherwise their ratios mean nothing."""

import sys

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs


@pytest.mark.parametrize("schedule", ["synchronous", "pipelined"])
def test_dense_tensorflow(schedule, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    from dense_tensorflow import DenseNetwork

    graph = bs.read_keras(bs.load_model("digits"))
    images = np.random.default_rng(0).uniform(0, 1, (2, *graph.input.shape)).astype("float32")
    result = bs.convert(graph, neuron=bs.ASN(m_f=0.1), schedule=schedule).run(images, 20 * bs.ms)
    potential = np.asarray(DenseNetwork(graph, 0.1, schedule).run(images, 20)[0], dtype=float)
    expected = np.exp(potential - potential.max(-1, keepdims=True))
    np.testing.assert_allclose(result.output, expected / expected.sum(-1, keepdims=True), atol=1e-5)
