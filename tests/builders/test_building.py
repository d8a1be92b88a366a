"""How networks are compiled: ahead of the first run, once for all, again after a failure; and what counts until then."""

import subprocess

import numpy as np
import pytest
from brian2 import get_device, ms
from brian2.devices.device import RuntimeDevice
from example_models import example_images, example_models, spiking_names
from locations import WEIGHTS

import brainsnn as bs
from brainsnn.builders.devices import program_cache
from brainsnn.feedback import read_settings
from brainsnn.training.asn_transfer import ASNTransfer


@pytest.fixture(scope="module")
def model():
    return example_models(ASNTransfer, ["average_pooling"])["average_pooling"]


@pytest.fixture(scope="module")
def images(model):
    return example_images(model, 4)


def test_failed_program_says_why(model, images, monkeypatch):
    snn = bs.convert(model, device="cpp_standalone")
    snn.run(images[:1], duration=5 * ms)
    original = subprocess.Popen

    def without_trials(command, env, **kwds):
        return original(command, env={k: v for k, v in env.items() if k != "BRAINSNN_TRIALS"}, **kwds)

    monkeypatch.setattr(subprocess, "Popen", without_trials)
    with pytest.raises(RuntimeError, match="BRAINSNN_TRIALS"):
        snn.run(images[:1], duration=5 * ms)


def test_a_failed_compilation_can_be_repeated(model, images, tmp_path, monkeypatch):
    expected = bs.convert(model, device="cpp_standalone").run(images, duration=20 * ms)
    snn = bs.convert(model, device="cpp_standalone")
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setenv("CXX", 'sh -c \'test "$0" = -fsyntax-only || test "$0" = --version\'')  # works until it is needed
        with pytest.raises(RuntimeError, match="Compiling the network"):
            snn.run(images, duration=20 * ms)
        assert isinstance(get_device(), RuntimeDevice)
    result = snn.run(images, duration=20 * ms)
    np.testing.assert_array_equal(result.output, expected.output)
    for name, counts in expected.spike_counts.items():
        np.testing.assert_array_equal(result.spike_counts[name], counts)


def test_interrupted_code_generation_is_not_continued(model, images, monkeypatch):
    snn = bs.convert(model, device="cpp_standalone")

    def interrupt(**arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(snn._backend.device, "build", interrupt)
        with pytest.raises(KeyboardInterrupt):
            snn.run(images, duration=5 * ms)
    with pytest.raises(RuntimeError, match=r"call convert\(\) again"):
        snn.run(images, duration=5 * ms)


def test_a_network_is_built_ahead_of_its_first_run(model, images, monkeypatch):
    snn = bs.convert(model, device="cpp_standalone")
    assert snn.build().is_file() and snn.build() == snn._backend._program
    monkeypatch.setattr(program_cache, "compile_project", None)
    assert len(snn.run(images, duration=5 * ms).output) == len(images)
    assert bs.convert(model).build() is None


ASSIGNMENTS = {
    "some": lambda group: group.S_dyn.set_item(slice(3, 40), 0.5),
    "all": lambda group: setattr(group, "theta_dyn", 0.2),
    "an expression": lambda group: setattr(group, "m_f", "0.1/(1 + i % 2)"),
    "a condition": lambda group: group.S_dyn.set_item("i < 50", "0.6"),
    "nothing": lambda group: None,
}


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_assignments_count_whatever_was_built_or_converted_before(model, images, assignment):
    counts, convert = {}, lambda: bs.convert(model, device="cpp_standalone")
    for moment in ("converted", "built", "another was converted", "another was built"):
        snn = convert()
        if moment.startswith("another"):
            other = convert()
        if moment.endswith("built"):
            (other if moment.startswith("another") else snn).build()
        group = snn.populations[spiking_names(model)[0]]
        assert not np.any(group.S_dyn)  # can be read
        ASSIGNMENTS[assignment](group)
        result = snn.run(images, duration=20 * ms)
        counts[moment] = {name: found.tolist() for name, found in result.spike_counts.items()}
        counts[moment]["settings"] = result.settings["parameters"]
    assert all(found == counts["converted"] for found in counts.values()), counts
    plain = convert().run(images, duration=20 * ms).spike_counts[spiking_names(model)[0]].tolist()
    assert (counts["converted"][spiking_names(model)[0]] == plain) == (assignment == "nothing")


def test_a_network_with_a_gate_is_built_ahead_of_its_first_run():
    path, runs = WEIGHTS / "digits_feedback_if.keras", []
    options = {"thresholds": read_settings(path)["thresholds"], "feedback": bs.PredictiveGate()}
    for is_built in (False, True):
        snn = bs.convert(bs.load_model(path), bs.IF(), device="cpp_standalone", **options)
        if is_built:
            snn.build()
        runs.append(snn.run(np.full((1, 28, 28, 1), 0.5), duration=20 * ms, seed=1).spike_counts)
    for name, counts in runs[0].items():
        np.testing.assert_array_equal(runs[1][name], counts, err_msg=name)


def test_broken_code_shows_the_compilers_words(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "main.cpp").write_text("int main() { return nothing; }")
    (tmp_path / "makefile").write_text("OPTIMISATIONS = -O1\nCXXFLAGS = -c $(OPTIMISATIONS)\nLFLAGS =\n")
    with pytest.raises(RuntimeError, match="nothing"):
        program_cache.compiled_program(tmp_path)
    assert not list((tmp_path / "cache").rglob("main"))


def test_cache_is_keyed_by_content_and_can_be_cleared(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "makefile").write_text("OPTIMISATIONS = -O0\nCXXFLAGS = -c $(OPTIMISATIONS)\nLFLAGS =\n")
    programs = []
    for value in (3, 3, 4):
        (project / "main.cpp").write_text(f"int main() {{ return {value}; }}")
        programs.append(program_cache.compiled_program(project))
    assert programs[0] == programs[1] != programs[2]
    # Headers are compiled once for all programs. Without them, or with damaged ones, programs are the same.
    (header,) = (tmp_path / "cache").glob("headers_*/*.gch")
    for more, damage in enumerate((b"", b"nothing")):
        header.write_bytes(damage)
        (project / "main.cpp").write_text(f"int main() {{ std::vector<int> five(5); return five.size() + {more}; }}")
        programs.append(program_cache.compiled_program(project))
    assert [subprocess.run([p], check=False).returncode for p in programs] == [3, 3, 4, 5, 6]
    assert bs.clear_cache() > 0
    assert not programs[0].exists()
