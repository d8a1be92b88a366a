"""GeNN: what brian2genn generates, and what is refused before anything is built."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from example_models import example_models
from locations import HELPERS

import brainsnn as bs
from brainsnn.builders.devices.genn import build as genn_build
from brainsnn.training.asn_transfer import ASNTransfer

pytest.importorskip("brian2genn", reason="brian2genn is not installed; make test-genn makes an environment with it")


@pytest.fixture(scope="module")
def models():
    return example_models(ASNTransfer, ["plain_cnn", "resnet", "sequential_relu", "max_pooling", "average_pooling"])


@pytest.fixture(autouse=True)
def no_build(monkeypatch):
    """Nothing here builds: what is refused is refused before that."""

    def refuse(*arguments):
        raise AssertionError("a build was started")

    monkeypatch.setattr(genn_build, "compiled_program", refuse)


def generate(snn):
    """The folder with the generated code, which needs no GeNN."""
    with snn._preferences():
        snn._backend.write(snn._objects)
    return snn._backend.project


def test_code_is_generated_without_genn(models, monkeypatch):
    monkeypatch.delenv("GENN_PATH", raising=False)
    snn = bs.convert(models["resnet"], device="genn", record={"encoder_asn": ["spikes", "S"]})
    assert not any(p.kind == "junction" for p in snn.graph.populations.values())
    project = generate(snn)
    model = (project / "magicnetwork_model.cpp").read_text()
    for group in snn.populations.values():
        assert f'addNeuronPopulation<{group.name}NEURON>("{group.name}", {len(group)}' in model
    for projection in snn.projections:
        assert f"addSynapsePopulation<{projection.name}WEIGHTUPDATE" in model
    main = (project / "main.cpp").read_text()
    assert main.count("eng.run(DT);") == 1 and '"encoder_asn.gain"' in main


def test_statements_of_every_step_are_part_of_the_neurons(models):
    """brian2genn silently ignores statements after the state update; the readout has only those."""
    snn = bs.convert(models["sequential_relu"], neuron=bs.IF(leak=0.9), device="genn")
    readout = list(snn.populations)[-1]
    code = (generate(snn) / "magicnetwork_model.cpp").read_text()
    for name in snn.populations:
        part = code.split(f"class {snn.populations[name].name}NEURON")[1].split("IMPLEMENT_MODEL")[0]
        wanted = "$(S) += " if name == readout else "$(h) = " if name == snn.graph.input.name else "$(v) = "
        assert wanted in part, name


SAME_NETWORK = """
import sys
sys.path[:0] = {tests!r}
import test_genn
from example_models import example_models
import brainsnn as bs
model = example_models(test_genn.ASNTransfer, ["resnet"])["resnet"]
from brainsnn.builders.devices.program_cache import _content_key
print(_content_key(test_genn.generate(bs.convert(model, device="genn"))))
"""


def test_the_same_network_gives_the_same_program_in_another_process():
    """Sets of names have another order in each process; a program would be built again in each."""
    code = SAME_NETWORK.format(tests=[str(HELPERS), str(Path(__file__).parent)])
    keys = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for seed in ("1", "2")
    ]
    assert keys[0] == keys[1]


def test_networks_that_genn_cannot_run(models):
    for model, options, message in (
        ("plain_cnn", {"schedule": "synchronous"}, "schedule='pipelined'"),
        ("plain_cnn", {"threads": 2}, "one thread"),
        ("max_pooling", {}, "pools the membranes.*average_pooling='spikes'"),
        ("average_pooling", {"average_pooling": "membrane"}, "pools the membranes"),
        ("plain_cnn", {"record": {"asn_2": ["I"]}}, "'I'.*cpp_standalone"),
        ("plain_cnn", {"record": {"asn_1": ["stimulus"]}}, "'stimulus', which follows from the time"),
        ("plain_cnn", {"neuron": bs.ASN().edit(on_pre="I_post += w*h_pre*S_hat_pre")}, "'S_hat_pre'.*resets"),
        ("plain_cnn", {"neuron": bs.ASN().edit(on_pre="I_post = w*h_pre")}, "adds to one variable"),
        ("plain_cnn", {"neuron": bs.ASN().edit(reset="S_hat += theta; I = 0")}, "reset I = 0 of"),
        ("plain_cnn", {"neuron": bs.LIF().edit(reset="v -= v_th; I %= 2")}, "reset I %= 2 of"),
        ("plain_cnn", {"neuron": bs.ASN().edit(reset="S_hat += theta + 0.1*I")}, "reads a variable that spikes change"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            bs.convert(models[model], device="genn", **options)


def test_too_many_connections_are_refused_before_they_are_made(models, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**5))
    with pytest.raises(MemoryError, match="one by one.*stores kernels"):
        bs.convert(models["plain_cnn"], device="genn")


def test_contrast_and_learning_are_refused():
    from brainsnn.training.predictive_vgg import predictive_vgg

    model = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,))
    with pytest.raises(ValueError, match="contrast=False"):
        bs.convert(model, neuron=bs.IF(), feedback=bs.PredictiveGate(contrast=True), device="genn")
    with pytest.raises(ValueError, match="error of each pixel.*Use device='cpp_standalone'"):
        bs.convert(model, neuron=bs.IF(), feedback=bs.PredictiveGate(learning=bs.LocalLearning()), device="genn")


def test_objects_of_the_users_are_refused(models):
    """brian2genn would silently ignore most of them."""
    snn = bs.convert(models["plain_cnn"], device="genn")
    snn.populations["asn_1"].run_regularly("theta_dyn = 0", dt=10 * bs.ms)
    with pytest.raises(RuntimeError, match="run_regularly.* was added"):
        generate(snn)


def test_genn_is_looked_for_first(models, monkeypatch, tmp_path):
    snn = bs.convert(models["plain_cnn"], device="genn")
    images = [[[[0.0, 0.0]] * 9] * 9]
    monkeypatch.delenv("GENN_PATH", raising=False)
    with pytest.raises(RuntimeError, match="set the environment variable GENN_PATH"):
        snn.run(images, duration=5 * bs.ms)
    for version, message in ((None, "holds no GeNN"), ("5.1.0\n", "GeNN 5.1.0; brian2genn needs GeNN 4")):
        if version:
            (tmp_path / "version.txt").write_text(version)
        monkeypatch.setenv("GENN_PATH", str(tmp_path))
        with pytest.raises(RuntimeError, match=message):
            snn.run(images, duration=5 * bs.ms)


def test_a_version_of_cuda_that_genn_cannot_use_is_named(monkeypatch, tmp_path):
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    for release, reason in (("13.0", "does not compile with CUDA 13.*CUDA 12"), ("12.4", None)):
        nvcc.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.88'\n")
        nvcc.chmod(0o755)
        found = genn_build.missing_cuda()
        assert re.search(reason, found) if reason else found is None or "graphics card" in found


def test_preferences_of_the_process_stay(models):
    """brian2genn changes Brian2's schedule and code generation for the rest of the process."""
    from brian2 import prefs

    before = {key: prefs[key] for key in ("codegen.loop_invariant_optimisations", "core.network.default_schedule")}
    generate(bs.convert(models["plain_cnn"], device="genn"))
    assert {key: prefs[key] for key in before} == before


# What is changed inside brian2genn


def test_clip_takes_values_of_any_type(models):
    """brian2genn's own clip would round a float64 network to float."""
    from brian2.core.functions import DEFAULT_FUNCTIONS
    from brian2genn.genn_generator import GeNNCodeGenerator

    bs.convert(models["plain_cnn"], device="genn")  # imports the device's module, which replaces the function
    code = str(DEFAULT_FUNCTIONS["clip"].implementations[GeNNCodeGenerator].get_code(None))
    assert "const A a_min" in code, (
        "brian2genn has changed: functions are found in another way. Adapt brainsnn/builders/devices/genn/device.py, "
        "which is written for brian2genn 1.7.0."
    )
