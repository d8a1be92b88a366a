"""One network, several threads or processes: runs never overlap, and a network is not pickled."""

import copy
import gc
import multiprocessing
import os
import pickle
import threading
import time
import weakref

import brian2
import numpy as np
import pytest
from brian2 import ms

import brainsnn as bs


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(bs.load_model("digits"))


@pytest.fixture(scope="module")
def snn(graph):
    return bs.convert(graph, device="cpp_standalone")


@pytest.fixture(scope="module")
def image(graph):
    return np.random.default_rng(0).random((1, *graph.input.shape))


def in_fork(function):
    """Return what a function returns in a forked process."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(function()))
    process.start()
    value = results.get()
    process.join()
    assert process.exitcode == 0
    return value


def error_of(function):
    try:
        function()
    except Exception as error:
        return type(error), str(error)
    return None, ""


def test_one_thread_at_a_time(snn, image):
    expected = snn.run(image, duration=1500 * ms)
    results = []
    thread = threading.Thread(target=lambda: results.append(snn.run(image, duration=1500 * ms)))
    thread.start()
    while not snn._guard._lock.locked():
        time.sleep(1e-3)
    for call in (lambda: snn.run(image, duration=5 * ms), snn.build):
        with pytest.raises(RuntimeError, match="This network is running, .*Wait until that run ends"):
            call()
    assert not results  # it was still running
    thread.join()
    np.testing.assert_array_equal(results[0].output, expected.output)


def test_changes_during_a_run_wait_or_count_from_the_next_run_on(snn, image):
    layer = next(iter(snn.populations))
    group = snn.populations[layer]
    expected = snn.run(image, duration=1500 * ms)
    results = []
    thread = threading.Thread(target=lambda: results.append(snn.run(image, duration=1500 * ms)))
    thread.start()
    while not snn._backend.device._is_running:
        time.sleep(1e-3)
    for call in (
        lambda: snn.set_parameters(layer, gain=3),
        lambda: snn.attend(bs.SpatialAttention((0.5, 0.5), 0.2, input_gain=1)),
        lambda: snn.set_learned_weights({}),
    ):
        with pytest.raises(RuntimeError, match="This network is running, .*Wait until that run ends"):
            call()
    with pytest.raises(RuntimeError, match="S_dyn cannot be read or set while the network runs"):
        group.S_dyn = 1
    group.gain = 3
    assert not results  # it was still running
    thread.join()
    np.testing.assert_array_equal(results[0].output, expected.output)
    changed = snn.run(image, duration=10 * ms)
    snn.set_parameters(layer, gain=3)
    np.testing.assert_array_equal(changed.output, snn.run(image, duration=10 * ms).output)
    snn.set_parameters(layer, gain=1)
    assert not np.array_equal(changed.output, snn.run(image, duration=10 * ms).output)


def test_a_state_that_is_known_can_be_set_during_a_run(snn, image):
    group = next(iter(snn.populations.values()))
    expected = snn.run(image, duration=1500 * ms).output
    known = group.S_dyn[:]
    results = []
    thread = threading.Thread(target=lambda: results.append(snn.run(image, duration=1500 * ms)))
    thread.start()
    while not snn._backend.device._is_running:
        time.sleep(1e-3)
    group.S_dyn[:] = 1.0
    assert not results  # it was still running
    thread.join()
    np.testing.assert_array_equal(results[0].output, expected)
    assert not np.array_equal(snn.run(image, duration=10 * ms).output, expected[:, :10])
    group.S_dyn = np.zeros_like(known)
    np.testing.assert_array_equal(snn.run(image, duration=10 * ms).output, expected[:, :10])


def test_an_error_does_not_keep_the_network_busy(snn, image):
    with pytest.raises(ValueError, match="duration is 0"):
        snn.run(image, duration=0 * ms)
    assert snn.run(image, duration=5 * ms).output.shape[1] == 5


def test_a_forked_process_is_refused(snn, image):
    expected = snn.run(image, duration=10 * ms).output
    for call in (lambda: snn.run(image, duration=5 * ms), snn.build, lambda: snn.attend(None)):
        kind, message = in_fork(lambda call=call: error_of(call))
        assert kind is RuntimeError
        assert f"made in process {os.getpid()}" in message and "brainsnn.once" in message
    np.testing.assert_array_equal(snn.run(image, duration=10 * ms).output, expected)


def test_a_forked_process_leaves_the_folder_of_its_parent(graph):
    held = [bs.convert(graph, device="cpp_standalone")]
    folder = held[0]._backend.directory

    def drop():
        backend = weakref.ref(held[0]._backend)
        held.clear()
        brian2.set_device("runtime")
        gc.collect()
        return backend() is None

    assert in_fork(drop)
    assert folder.is_dir()


@bs.once
def made_in_process():
    return [os.getpid()]


def test_once_calls_the_function_again_in_a_forked_process():
    assert made_in_process() == [os.getpid()]
    child = in_fork(lambda: (os.getpid(), made_in_process()[0], made_in_process() is made_in_process()))
    assert child[0] == child[1] != os.getpid() and child[2]
    assert made_in_process() == [os.getpid()]


@pytest.mark.parametrize("function", [pickle.dumps, copy.copy, copy.deepcopy])
def test_pickling_says_what_to_do(snn, function):
    with pytest.raises(TypeError, match=r"cannot be pickled or copied. Call convert in each process"):
        function(snn)
