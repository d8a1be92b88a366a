"""Event-driven, synaptic and graded connections against the dense operator, for random geometries at once."""

import itertools

import numpy as np
import pytest
from brian2 import Clock, NeuronGroup, ms, second

from brainsnn.builders.codegen.scatter_tables import axis_pairs, contiguous_runs, share_columns, share_rows
from brainsnn.builders.devices.runtime.backend import RuntimeBackend
from brainsnn.builders.devices.standalone.backend import StandaloneBackend
from brainsnn.builders.network.connections import EventDrivenProjection, GradedProjection, SynapticProjection
from brainsnn.builders.network.objects import NetworkObjects
from brainsnn.builders.network.trial_network import TrialNetwork
from brainsnn.builders.operators import SparseOperator, compose
from brainsnn.builders.operators.layers import (
    average_pool,
    conv2d,
    conv2d_transpose,
    depthwise_conv2d,
    max_pool,
    upsample,
)
from brainsnn.builders.run_guard import RunGuard
from brainsnn.builders.trials.trials import Trials

SHAPE = (7, 6, 3)  # odd and even, so that strides leave a rest on one axis


def operators(n_random, seed=0):
    """Operators of all kinds on maps of SHAPE, with random kernels, strides, dilations and paddings."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n_random):
        size = rng.integers(1, 5, 2)
        padding = ("same", "valid")[k % 2]
        strides = tuple(int(s) for s in rng.integers(1, 4, 2))
        kind = ("conv", "dilated", "depthwise", "transposed")[k // 2 % 4]
        if kind == "conv":
            found.append(conv2d(rng.normal(size=(*size, 3, 5)), SHAPE, strides, padding))
        elif kind == "dilated":
            dilation = tuple(int(d) for d in rng.integers(1, 3, 2))
            found.append(conv2d(rng.normal(size=(*np.minimum(size, 3), 3, 4)), SHAPE, (1, 1), padding, dilation))
        elif kind == "depthwise":
            found.append(depthwise_conv2d(rng.normal(size=(*size, 3, 2)), SHAPE, (strides[0],) * 2, padding))
        else:
            found.append(conv2d_transpose(rng.normal(size=(*size, 4, 3)), SHAPE, strides, padding))
    pool = average_pool(SHAPE, (2, 2))
    found.append(compose(conv2d(rng.normal(size=(3, 3, 3, 8)), pool.output_shape, (1, 1), "same"), pool) or pool)
    found.append(upsample(SHAPE, (2, 2), "nearest"))
    found.append(average_pool(SHAPE, (3, 3), (2, 2), "same"))
    return found


def run_connections(backend, kinds, all_operators, dtype="float64"):
    """One program with a source and a target for each operator; one step in which a third of the sources spike."""
    rng = np.random.default_rng(1)
    n = int(np.prod(SHAPE))
    spiking, height, S = rng.random(n) < 0.3, rng.uniform(-1, 1, n), rng.normal(size=n)
    backend.activate()
    clock = Clock(dt=1 * ms, name="clock_of_connections")
    source = NeuronGroup(n, "h : 1\non : 1\nS : 1", threshold="on > 0", reset="", name="source", clock=clock)
    groups, objects = {"source": source}, [source]
    for k, operator in enumerate(all_operators):
        target = NeuronGroup(operator.size_out, "I : 1\ngraded : 1", name=f"target_{k}", clock=clock)
        groups[target.name] = target
        objects.append(target)
        if "event_driven" in kinds and not kind_is_pool(operator):
            objects.append(EventDrivenProjection(source, target, operator, "I_post += w*h_pre", f"event_{k}"))
        if "synapses" in kinds and not kind_is_pool(operator):
            objects.append(SynapticProjection(source, target, operator, f"synapses_{k}", on_pre="I_post += w*h_pre"))
        if "graded" in kinds:
            objects.append(GradedProjection(source, target, operator, "S", "graded", f"graded_{k}"))
    network = TrialNetwork(
        objects,
        backend.own_objects(clock),
        backend=backend,
        guard=RunGuard(),
        dtype=np.dtype(float),
        name="network_of_connections",
    )
    for name, values in (("on", spiking), ("h", height), ("S", S)):
        backend.set_values(source, name, values.astype(float))
    trials = Trials(1, 1, float(1 * ms / second))
    backend.run(NetworkObjects(network, groups, {}, [], {}), trials, 1, lambda: None, lambda trial, record: None)
    return (spiking * height).reshape(1, *SHAPE), S.reshape(1, *SHAPE), groups


def kind_is_pool(operator):
    return type(operator).__name__ == "MaxPool"


def check(backend, kinds, all_operators):
    arriving, S, groups = run_connections(backend, kinds, all_operators)
    for k, operator in enumerate(all_operators):
        target = groups[f"target_{k}"]
        if not kind_is_pool(operator) and set(kinds) & {"event_driven", "synapses"}:
            expected = operator.apply(arriving).ravel()
            assert np.abs(expected).max() > 0
            np.testing.assert_allclose(target.I[:], expected, atol=1e-12, err_msg=f"{k}: {operator}")
        if "graded" in kinds:
            np.testing.assert_allclose(target.graded[:], operator.apply(S).ravel(), atol=1e-12, err_msg=str(k))


def test_event_driven_and_graded_standalone():
    check(StandaloneBackend(), ("event_driven", "graded"), [*operators(24), max_pool(SHAPE, (3, 2), (2, 2), "same")])


def test_synapses_standalone():
    check(StandaloneBackend(), ("synapses",), operators(8, seed=2))


def test_event_driven_and_graded_runtime():
    check(
        RuntimeBackend(),
        ("event_driven", "graded"),
        [*operators(2, seed=3)[1:], max_pool(SHAPE, (3, 3), (2, 2), "same")],
    )


def test_sparse_rows_without_connections():
    matrix = np.zeros((int(np.prod(SHAPE)), 4))
    matrix[5, 2] = 1.5
    from scipy.sparse import csr_matrix

    operator = SparseOperator(SHAPE, (1, 1, 4), csr_matrix(matrix))
    backend = StandaloneBackend()
    arriving, _, groups = run_connections(backend, ("event_driven", "graded"), [operator])
    np.testing.assert_allclose(groups["target_0"].I[:], operator.apply(arriving).ravel())


def test_sizes_are_checked():
    operator = operators(1)[0]
    group = NeuronGroup(3, "I : 1\nh : 1", threshold="h > 0", reset="")
    with pytest.raises(ValueError, match="has 3 neurons"):
        EventDrivenProjection(group, group, operator, "I_post += w*h_pre", "wrong")


@pytest.mark.parametrize(
    ("n", "size", "stride", "input_dilation"), list(itertools.product((5, 8), (1, 3, 4), (1, 2, 3), (1, 2)))
)
def test_runs_cover_every_pair_once(n, size, stride, input_dilation):
    taps = np.arange(size) - size // 2
    n_target = n * input_dilation // stride
    pairs = {tuple(pair) for pair in axis_pairs(n, n_target, taps, stride, input_dilation)}
    first, target, tap, length = contiguous_runs(n, n_target, taps, stride, input_dilation)
    order = np.lexsort((-taps, taps % stride))
    covered = [
        (source, target[run] + k, order[tap[run] + k])
        for source in range(n)
        for run in range(first[source], first[source + 1])
        for k in range(length[run])
    ]
    assert len(covered) == len(set(covered))
    assert {tuple(int(v) for v in entry) for entry in covered} == {tuple(int(v) for v in pair) for pair in pairs}


def test_equal_rows_and_columns_are_stored_once():
    rng = np.random.default_rng(0)
    small = rng.normal(size=(3, 3, 2, 4))
    kernel = small.repeat(2, axis=0).repeat(2, axis=1)  # as average pooling in front of a convolution makes it
    rows, rows_at = share_rows(kernel)
    stored = kernel[rows]
    assert stored.shape[0] == 3
    np.testing.assert_array_equal(stored[rows_at], kernel)
    columns, columns_at = share_columns(stored, np.arange(6), 2, n_target=5)
    stored = stored[:, columns]
    assert stored.shape[:2] == (3, 3)
    order = np.lexsort((-np.arange(6), np.arange(6) % 2))
    np.testing.assert_array_equal(stored[:, columns_at], kernel[::2][:, order])
