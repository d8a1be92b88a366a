"""CUDA through brian2cuda against C++ standalone: on a GPU, or without one thread by thread on the processor."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from brian2 import StateMonitor, Synapses
from cuda_emulator import emulate, gpu_or_emulated
from example_models import example_images, example_models
from locations import HELPERS, WEIGHTS

import brainsnn as bs
from brainsnn.builders.devices.cuda import toolchain
from brainsnn.feedback import read_settings
from brainsnn.training.asn_transfer import ASNTransfer

N_STEPS = 60

needs_brian2cuda = pytest.mark.skipif(
    importlib.util.find_spec("brian2cuda") is None, reason="needs brian2cuda, see make test-cuda"
)


def _toolchain_or_reason():
    try:
        return toolchain.find_toolchain(), ""
    except (ImportError, RuntimeError) as error:
        return None, str(error)


TOOLCHAIN, MISSING = _toolchain_or_reason()
needs_nvcc = pytest.mark.skipif(TOOLCHAIN is None, reason=MISSING)
needs_gpu = pytest.mark.skipif(
    TOOLCHAIN is None or toolchain.compute_capability() is None, reason=MISSING or "needs a GPU, nvidia-smi names none"
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Emulated programs stay out of the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BRAINSNN_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def emulated(monkeypatch):
    emulate(monkeypatch)


@pytest.fixture
def gpu(monkeypatch):
    gpu_or_emulated(monkeypatch)


def spiking(graph):
    return {p.name: ["spikes"] for p in graph.populations.values() if p.kind == "spiking"}


def convert(graph, device, record=None, **options):
    """A network in float64, where devices do not differ by their rounding."""
    record = spiking(graph) if record is None else record
    return bs.convert(graph, device=device, dtype="float64", record=record, **options)


def assert_same_spikes(result, expected):
    assert result.spikes.keys() == expected.spikes.keys()
    for name, trains in expected.spikes.items():
        assert sum(len(neurons) for neurons, _ in trains) > 0, f"{name} is silent"
        for train, wanted in zip(result.spikes[name], trains):
            np.testing.assert_array_equal(train, wanted, err_msg=name)
    for name, output in expected.outputs.items():
        np.testing.assert_allclose(result.outputs[name], output, rtol=1e-9, atol=1e-12)


# What is missing


def test_missing_parts_are_named_before_anything_is_built(monkeypatch, tmp_path):
    model = bs.read_keras(bs.load_model(WEIGHTS / "digits.keras"))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "brian2cuda" else found(name))
    with pytest.raises(ImportError, match=r"brian2cuda.*Python 3\.12.*cpp_standalone"):
        bs.convert(model, device="cuda_standalone")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "brian2cuda" or found(name))
    monkeypatch.setattr(toolchain.os, "access", lambda path, mode: False)
    with pytest.raises(RuntimeError, match="nvcc.*CUDA_PATH.*cpp_standalone"):
        bs.convert(model, device="cuda_standalone")
    monkeypatch.undo()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").touch(0o755)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "brian2cuda" or None)
    with pytest.raises(RuntimeError, match=r"curand\.h.*nvidia-curand"):
        bs.convert(model, device="cuda_standalone")


@needs_brian2cuda
def test_what_the_device_cannot_do_is_refused(emulated, monkeypatch):
    graph = bs.read_keras(bs.load_model(WEIGHTS / "digits.keras"))
    with pytest.raises(ValueError, match="threads=2.*cpp_standalone"):
        bs.convert(graph, device="cuda_standalone", threads=2)
    with pytest.raises(ValueError, match="synapses.*event_driven"):
        bs.convert(graph, device="cuda_standalone", connectivity="synapses")
    with pytest.raises(ValueError, match="learning.*cpp_standalone"):
        feedback_graph = bs.read_keras(bs.load_model(WEIGHTS / "digits_feedback_if.keras"))
        gate = bs.PredictiveGate(learning=bs.LocalLearning())
        bs.convert(feedback_graph, neuron=bs.IF(), feedback=gate, device="cuda_standalone")
    with pytest.raises(ValueError, match="trace_pre.*cpp_standalone"):
        neuron = bs.ASN()
        equations = f"{neuron.equations}\ntrace : 1"
        bs.convert(graph, neuron.edit(equations=equations, on_pre="trace_pre += 1"), device="cuda_standalone")
    images = np.zeros((2, *graph.input.shape))
    snn = bs.convert(graph, device="cuda_standalone")
    snn._backend.activate()
    snn.network.add(StateMonitor(snn.populations["conv1_asn"], "S", record=[0], name="mine"))
    with pytest.raises(ValueError, match="mine.*one by one"):
        snn.run(images, duration=5 * bs.ms)
    monkeypatch.setattr(toolchain, "compute_capability", lambda: None)
    with pytest.raises(RuntimeError, match="no GPU.*cpp_standalone"):
        snn.run(images[:1], duration=5 * bs.ms)
    assert snn._backend._program is None


@needs_brian2cuda
@pytest.mark.parametrize(
    "equations, on_pre, delay, error",
    [
        ("w : 1", "w += 1", None, ValueError),
        ("dw/dt = -w/ms : 1 (event-driven)", "w += 1", None, ValueError),
        ("w : 1", "I_post += w", 2 * bs.ms, ValueError),
        ("w : 1", "I_post += w", None, RuntimeError),  # there is no GPU
    ],
)
@pytest.mark.parametrize("is_written", [False, True])
def test_synapses_of_the_user_with_a_state_take_one_image(
    emulated, monkeypatch, equations, on_pre, delay, error, is_written
):
    graph = bs.read_keras(bs.load_model(WEIGHTS / "digits.keras"))
    snn = bs.convert(graph, device="cuda_standalone")
    snn._backend.activate()
    source, target = snn.populations["conv2_asn"], snn.populations["conv1_asn"]
    synapses = Synapses(source, target, equations, on_pre=on_pre, clock=source.clock, name="mine")
    synapses.connect(i=[0], j=[0])
    if delay is not None:
        synapses.delay = delay
    snn.network.add(synapses)
    if is_written:  # what snn.build() does before it compiles
        with snn._preferences():
            snn._backend.write(snn._objects)
    monkeypatch.setattr(toolchain, "compute_capability", lambda: None)
    with pytest.raises(error, match="mine.*one by one" if error is ValueError else "no GPU"):
        snn.run(np.zeros((2, *graph.input.shape)), duration=5 * bs.ms)
    with pytest.raises(RuntimeError, match="no GPU"):
        snn.run(np.zeros((1, *graph.input.shape)), duration=5 * bs.ms)


# The generated program


@needs_brian2cuda
@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["pipelined", "synchronous"])
@pytest.mark.parametrize("name", ["resnet", "max_pooling", "depthwise", "generator", "average_pooling"])
def test_generated_program_spikes_as_cpp_standalone(name, schedule, gpu):
    model = example_models(ASNTransfer, [name])[name]
    images, graph = example_images(model, 2), bs.read_keras(model)
    results = [
        convert(graph, device, neuron=bs.ASN(m_f=0.1), schedule=schedule).run(images, duration=N_STEPS * bs.ms)
        for device in ("cuda_standalone", "cpp_standalone")
    ]
    assert_same_spikes(*results)


@pytest.fixture(scope="module")
def digits():
    from brainsnn.stimuli import load_digits

    return bs.read_keras(bs.load_model(WEIGHTS / "digits.keras")), load_digits("test")[0][:2]


@needs_brian2cuda
def test_order_of_threads_does_not_matter(digits, emulated, monkeypatch):
    graph, images = digits
    snn = bs.convert(graph, bs.ASN(m_f=0.1), device="cuda_standalone", record=spiking(graph))
    forward = snn.run(images, duration=N_STEPS * bs.ms)
    monkeypatch.setenv("EMULATE_REVERSED", "1")
    backward = snn.run(images, duration=N_STEPS * bs.ms)
    for name, trains in forward.spikes.items():
        for train, other in zip(trains, backward.spikes[name]):
            np.testing.assert_array_equal(train, other, err_msg=name)
    np.testing.assert_array_equal(forward.output, backward.output)  # in float32: sums in another order would differ


@needs_brian2cuda
def test_attention_parameters_and_states_without_compiling(digits, gpu, monkeypatch):
    graph, images = digits
    record = spiking(graph) | {"conv2_asn": {"spikes": True, "S": [3, 0, 7]}}
    networks = [
        convert(graph, device, record, neuron=bs.ASN(m_f=0.1)) for device in ("cuda_standalone", "cpp_standalone")
    ]
    attention = bs.SpatialAttention([(0.2, 0.3), (0.7, 0.5)], 0.2, input_gain=1.5, precision=2.0)
    before = [snn.run(images, duration=N_STEPS * bs.ms) for snn in networks]
    monkeypatch.setattr(toolchain, "compile_project", None)
    for snn in networks:
        snn.attend(attention)
        snn.set_parameters("dense1_asn", m_f=0.2)
    after = [snn.run(images, duration=N_STEPS * bs.ms) for snn in networks]
    for ours, expected in (before, after):
        assert_same_spikes(ours, expected)
        np.testing.assert_allclose(
            ours.states["conv2_asn"]["S"], expected.states["conv2_asn"]["S"], rtol=1e-9, atol=1e-12
        )
    assert before[0].spike_counts["conv1_asn"][0] != after[0].spike_counts["conv1_asn"][0]
    # The same network once more is found in the cache.
    again = convert(graph, "cuda_standalone", record, neuron=bs.ASN(m_f=0.1)).run(images, duration=N_STEPS * bs.ms)
    assert_same_spikes(again, before[1])


def feedback_network(device, contrast=False):
    path = WEIGHTS / "digits_feedback_if.keras"
    settings, model = read_settings(path), bs.load_model(path)
    gate = bs.PredictiveGate(squash=settings["squash"], squash_step=settings["squash_step"], contrast=contrast)
    record = {name: ["spikes"] for name in ("input", "conv1", "prediction")}
    return bs.convert(
        model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"], feedback=gate, device=device,
        record=record, dtype="float64",
    )  # fmt: skip


def feedback_images():
    from brainsnn.stimuli import load_digits

    images = load_digits("test")[0][:2]
    return images.reshape(2, *bs.load_model(WEIGHTS / "digits_feedback_if.keras").input_shape[1:])


@needs_brian2cuda
@pytest.mark.slow
def test_contrast_of_drawn_spikes_follows_from_the_seed(gpu):
    images = feedback_images()
    snn = feedback_network("cuda_standalone", contrast=True)
    first, again, other = (snn.run(images, duration=N_STEPS * bs.ms, seed=seed) for seed in (1, 1, 2))
    single = snn.run(images[:1], duration=N_STEPS * bs.ms, seed=1)
    for trial in range(2):
        np.testing.assert_array_equal(first.spikes["input"][trial], again.spikes["input"][trial])
        assert not np.array_equal(first.spikes["input"][trial], other.spikes["input"][trial])
    np.testing.assert_array_equal(first.spikes["prediction"][0], single.spikes["prediction"][0])
    np.testing.assert_array_equal(first.gate[0], single.gate[0])


@needs_brian2cuda
def test_monitor_of_the_user_records_one_image(digits, gpu):
    graph, images = digits
    snn = convert(graph, "cuda_standalone", {"dense1_asn": ["S"]}, neuron=bs.ASN(m_f=0.1))
    snn._backend.activate()
    mine = StateMonitor(snn.populations["dense1_asn"], "S", record=True, when="end", name="mine")
    snn.network.add(mine)
    for image in images:  # each run starts from the initial state
        result = snn.run(image[None], duration=N_STEPS * bs.ms)
        np.testing.assert_array_equal(mine.S.T, result.states["dense1_asn"]["S"][0])


@needs_brian2cuda
@pytest.mark.slow
def test_assignments_reach_the_program(gpu):
    model = example_models(ASNTransfer, ["average_pooling"])["average_pooling"]
    graph, images = bs.read_keras(model), example_images(model, 2)
    layer = next(iter(spiking(graph)))
    networks = [convert(graph, device) for device in ("cuda_standalone", "cpp_standalone")]
    counts = set()
    for assign in (
        lambda group: setattr(group, "gain", "1/(1 + i % 3)"),
        lambda group: group.gain.set_item(slice(0, 20), 2),
        lambda group: setattr(group, "S_dyn", 0.5),
    ):
        for snn in networks:
            assign(snn.populations[layer])
        ours, theirs = (snn.run(images, duration=N_STEPS * bs.ms) for snn in networks)
        assert_same_spikes(ours, theirs)
        counts.add(int(theirs.spike_counts[layer].sum()))
    assert len(counts) == 3


@needs_brian2cuda
def test_statement_of_the_user_stands_in_the_kernel(digits, gpu):
    graph, images = digits
    statement = "I_post += 0.25*w*h_pre + 0.0078125*int(w > 0)"
    results = [
        convert(graph, device, neuron=bs.ASN(m_f=0.1).edit(on_pre=statement)).run(images, duration=N_STEPS * bs.ms)
        for device in ("cuda_standalone", "cpp_standalone")
    ]
    assert_same_spikes(*results)


SAME_NETWORK = """
import sys
sys.path[:0] = {tests!r}
import pytest
from cuda_emulator import emulate
from locations import HELPERS, WEIGHTS
import brainsnn as bs
from brainsnn.builders.devices.program_cache import _content_key

emulate(pytest.MonkeyPatch())
graph = bs.read_keras(bs.load_model(WEIGHTS / "digits.keras"))
record = dict.fromkeys((p.name for p in graph.populations.values() if p.kind == "spiking"), ["spikes"])
snn = bs.convert(graph, bs.ASN(), device="cuda_standalone", record=record)
with snn._preferences():
    snn._backend.write(snn._objects)
print(_content_key(snn._backend.project))
"""


@needs_brian2cuda
def test_the_same_network_gives_the_same_program_in_another_process():
    """brian2cuda writes what a monitor records in the order of a set, which differs between processes."""
    code = SAME_NETWORK.format(tests=[str(HELPERS)])
    keys = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, text=True,
            check=True,
        ).stdout.split()[-1]
        for seed in (97, 98)
    }  # fmt: skip
    assert len(keys) == 1


# nvcc and GPU


def compiled_with_nvcc(snn):
    program = snn.build()
    assert program.read_bytes()[:4] == b"\x7fELF" and os.access(program, os.X_OK)
    return program


@needs_nvcc
@pytest.mark.slow
def test_nvcc_compiles_the_digit_network(digits):
    graph, _ = digits
    program = compiled_with_nvcc(bs.convert(graph, device="cuda_standalone"))
    once = program.stat().st_ino
    assert compiled_with_nvcc(bs.convert(graph, device="cuda_standalone")) == program
    assert program.stat().st_ino == once  # a program that is compiled again is another file


@needs_nvcc
@pytest.mark.slow
def test_nvcc_compiles_the_gate():
    compiled_with_nvcc(feedback_network("cuda_standalone", contrast=True))


@needs_gpu
@pytest.mark.slow
def test_gpu_spikes_as_cpp_standalone(digits):
    graph, images = digits
    ours, expected = (
        convert(graph, device, neuron=bs.ASN(m_f=0.1)).run(images, duration=N_STEPS * bs.ms)
        for device in ("cuda_standalone", "cpp_standalone")
    )
    assert_same_spikes(ours, expected)


@needs_gpu
@pytest.mark.slow
def test_gpu_gives_the_same_spikes_for_the_same_seed():
    images = feedback_images()
    snn = feedback_network("cuda_standalone")
    first, again = (snn.run(images, duration=N_STEPS * bs.ms, seed=1) for _ in range(2))
    assert_same_spikes(first, again)


# What is changed inside brian2cuda


def test_the_run_of_a_network_is_replaced_in_the_main_queue():
    """replace_run puts the loop over trials where brian2cuda has its random number buffers."""
    from types import SimpleNamespace

    device_module = pytest.importorskip("brainsnn.builders.devices.cuda.device", reason="brian2cuda is not installed")
    from brian2 import Network, NeuronGroup, second

    from brainsnn.builders.devices.active_device import make_active, runtime_device

    device = device_module.NetworkCudaDevice()
    make_active(device, build_on_run=False)
    try:
        network = Network(NeuronGroup(1, "v : 1", name="replaced_run"), name="network_of_trials")
        network.run(0 * second, namespace={})
    finally:
        make_active(runtime_device)
    device.replace_run(SimpleNamespace(name=network.name), "THE LOOP OVER TRIALS")
    lines = [line for what, arguments in device.main_queue if what == "run_network" for line in arguments[1]]
    assert "THE LOOP OVER TRIALS" in lines and not any(line.startswith(f"{network.name}.run(") for line in lines), (
        "brian2cuda has changed: the run of a network is not a line of its main queue. Adapt "
        "brainsnn/builders/devices/cuda/device.py, which is written for brian2cuda 1.0b1."
    )
