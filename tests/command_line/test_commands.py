"""The commands do what the Python names do, refuse before they compute, and end with their exit codes."""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from called_command import brainsnn
from PIL import Image

import brainsnn as bs
from brainsnn.builders.trials.inputs import DEFAULT_DURATION
from brainsnn.command_line.studies import study_files


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A small ReLU network without pooling, for images of 6 x 6 pixels."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 6, 1), name="pixels")
    x = keras.layers.Conv2D(3, 3, activation="relu", use_bias=False, name="conv")(inputs)
    outputs = keras.layers.Dense(4, name="classes")(keras.layers.Flatten()(x))
    path = tmp_path_factory.mktemp("model") / "small.keras"
    keras.Model(inputs, outputs, name="small").save(path)
    return path


@pytest.fixture
def images_file(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.random.default_rng(0).random((4, 6, 6, 1)), labels=np.array([0, 1, 2, 3]))
    return path


def test_info_is_the_same_as_text_and_json():
    found = json.loads(brainsnn("info", "--json").output)
    shown = brainsnn("info").output
    assert found["versions"]["brainsnn"] == bs.__version__ and found["devices"]["runtime"] == "ready"
    assert all(name in shown and str(value) in shown for rows in found.values() for name, value in rows.items())


@pytest.mark.parametrize(
    ("compiler", "words"), [("cl", "is Visual C++"), ("no_such_compiler", "Windows: GCC of MSYS2")]
)
def test_info_says_what_to_do_about_a_compiler_that_cannot_be_used(compiler, words, monkeypatch):
    monkeypatch.setenv("CXX", compiler)
    assert words in json.loads(brainsnn("info", "--json").output)["machine"]["C++ compiler"]


def test_info_has_the_versions_of_compilers(tmp_path, monkeypatch):
    def machine():
        return json.loads(brainsnn("info", "--json").output)["machine"]

    assert re.search(r"\d+\.\d", machine()["C++ compiler version"])
    (tmp_path / "bin").mkdir()
    nvcc, version = tmp_path / "bin" / "nvcc", "Cuda compilation tools, release 12.4, V12.4.131"
    nvcc.write_text(f"#!/bin/sh\necho 'nvcc: NVIDIA (R) Cuda compiler driver 1.0'\necho '{version}'\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    found = machine()
    assert (found["CUDA compiler"], found["CUDA compiler version"]) == (str(nvcc), version)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "none"))
    found = machine()
    assert found["CUDA compiler"].startswith(f"no nvcc in {tmp_path / 'none' / 'bin'}")
    assert found["CUDA compiler version"] == "-"


@pytest.mark.parametrize("group", [(), ("sweep",), ("cache",)])
def test_help_of_groups_has_an_example(group):
    assert "Example: brainsnn" in brainsnn(*group, "--help").output.replace("`", "")


def test_layers_is_the_table_of_python(model_file):
    assert brainsnn("layers", model_file).output.strip() == str(bs.read_keras(bs.load_model(model_file))).strip()


def test_models_are_listed_with_what_their_cards_say():
    shown = brainsnn("models").output
    for name, model in bs.shipped_models().items():
        assert f"{name} " in shown and model.title in shown
        assert re.search(r"(accuracy|SNN|AUC).* \d", model.title)
        assert model.path.is_file() and model.card.startswith(f"# {name}.keras") and model.facts


def test_run_equals_python(model_file, images_file, tmp_path):
    out = tmp_path / "result.npz"
    answer = brainsnn(
        "run", model_file, "--images", images_file, "-t", "40 ms", "-n", "IF", "-r", "conv:spikes,v", "--seed", "3", "-o", out,
        "--schedule", "synchronous", "--limit", "3",
    )  # fmt: skip
    assert answer.exit_code == 0, answer.output
    found = bs.Result.load(out)
    with np.load(images_file) as data:
        images, labels = data["images"][:3], data["labels"][:3]
    with pytest.warns(bs.UncalibratedWarning):
        snn = bs.convert(bs.load_model(model_file), bs.IF(), record={"conv": ["spikes", "v"]}, schedule="synchronous")
    expected = snn.run(images, 40 * bs.ms, seed=3)
    np.testing.assert_array_equal(found.output, expected.output)
    np.testing.assert_array_equal(found.states["conv"]["v"], expected.states["conv"]["v"])
    np.testing.assert_array_equal(found.labels, labels)
    correct = expected.accuracy(labels)[-1]
    assert f"accuracy {100 * correct:.1f}%" in answer.output and "n = 3" in answer.output
    assert f"{expected.spike_counts['conv'].mean():,.1f}" in answer.output


def test_run_leaves_the_duration_to_python(model_file, images_file, tmp_path):
    run = ("run", model_file, "-i", images_file, "-n", "IF", "--limit", "1", "-o", tmp_path / "result.npz")
    assert brainsnn(*run).exit_code == 0
    result = bs.Result.load(tmp_path / "result.npz")
    assert result.n_steps * result.dt * bs.second == DEFAULT_DURATION
    assert f"{DEFAULT_DURATION / bs.ms:g}ms by default" in " ".join(
        brainsnn("run", "--help").output.replace("│", "").split()
    )


def test_pictures_are_scaled_and_need_the_size_of_the_network(model_file, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 6, 6), dtype=np.uint8)
    folder, out = tmp_path / "pictures", tmp_path / "result.npz"
    folder.mkdir()
    for k, values in enumerate(pixels):
        Image.fromarray(values).save(folder / f"{k}.png")
    (folder / "notes.txt").write_text("not a picture")
    run = ["run", model_file, "--images", folder, "-n", "IF", "-t", "20ms", "--calibrate"]
    assert brainsnn(*run, "-o", out).exit_code == 0
    graph = bs.calibrate(bs.read_keras(bs.load_model(model_file)), pixels[..., None] / np.float32(255))
    expected = bs.convert(graph, bs.IF()).run(pixels[..., None] / np.float32(255), 20 * bs.ms)
    np.testing.assert_array_equal(bs.Result.load(out).output, expected.output)
    Image.fromarray(np.zeros((9, 6), np.uint8)).save(folder / "2.png")
    refused = brainsnn(*run)
    assert refused.exit_code == 1 and "9 x 6 pixels" in refused.output and "--resize" in refused.output
    squeezed = brainsnn(*run, "--resize")
    assert squeezed.exit_code == 0 and "of 9 x 6 pixels is squeezed to 6 x 6" in " ".join(squeezed.output.split())


def test_arrays_that_are_not_read_are_named(model_file, tmp_path):
    """Such as labels whose name is misspelt."""
    images = np.random.default_rng(1).random((2, 6, 6, 1))
    np.savez(tmp_path / "images.npz", images=images, label=np.zeros(2, int))
    np.savez(tmp_path / "named.npz", images=images, labels=np.zeros(2, int))
    run = ("run", model_file, "-n", "IF", "-t", "5ms", "--calibrate", "--images")
    told = "label are there, and only 'images' is read"
    assert told in " ".join(brainsnn(*run, tmp_path / "images.npz").output.split())
    assert "is read" not in brainsnn(*run, tmp_path / "named.npz").output


def test_what_is_recorded_needs_a_file(model_file, images_file):
    refused = brainsnn("run", model_file, "--images", images_file, "-r", "conv:spikes")
    assert refused.exit_code == 2 and "needs -o" in refused.output and "--record" in refused.output


def test_options_without_effect_are_refused(model_file, tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 6, 6, 1)))
    refused = brainsnn("run", model_file, "--images", tmp_path / "images.npz", "--resize", "-n", "IF", "--calibrate")
    assert refused.exit_code == 1 and "--resize has no effect: --images" in refused.output
    refused = brainsnn("convert", model_file, "-o", tmp_path / "tables.md", "--resize")
    assert refused.exit_code == 2 and "needs --calibrate" in refused.output and not (tmp_path / "tables.md").exists()
    refused = brainsnn("layers", tmp_path / "network.nir", "--average-pooling", "membrane")
    assert refused.exit_code == 1 and "--average-pooling membrane has no effect" in refused.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["layers", "digitz"], 1, "Did you mean 'digits'"),
        (["layers", "nothing.keras"], 1, "nothing.keras"),
        (["run", "MODEL", "--images", "IMAGES", "-t", "300"], 2, "unit of time"),
        (["run", "MODEL", "--images", "nowhere"], 1, "does not exist"),
        (["run", "MODEL", "--images", "IMAGES", "-n", "IF:v=3"], 2, "NAME=VALUE"),
        (["run", "MODEL", "--images", "IMAGES", "-r", "none:spikes", "-o", "OUT.npz"], 1, "none"),
        (["run", "MODEL", "--images", "IMAGES", "-o", "result.mat"], 1, "NetCDF"),
        (["run", "MODEL", "--images", "IMAGES", "-o", "nowhere/result.npz"], 1, "Make it first"),
        (["run", "MODEL", "--images", "IMAGES", "--device", "abacus"], 2, "cpp_standalone"),
        (["run", "MODEL", "--images", "IMAGES", "--schedule", "timetable"], 2, "pipelined, synchronous"),
        (["run", "MODEL", "--images", "IMAGES", "--average-pooling", "maximum"], 2, "spikes, membrane"),
        (["run", "MODEL", "--images", "IMAGES", "--background", "nan"], 2, "finite"),
        (["run", "MODEL", "--images", "IMAGES", "--background", "0.5"], 2, "--onset or --offset"),
        (["run", "MODEL", "--images", "IMAGES", "--processes", "2"], 2, "--device cpp_standalone"),
        (["run", "MODEL", "--images", "IMAGES", "--gate", "sticky"], 2, "was not trained as a spiking network with feedback"),
        (["run", "digits_plain_if", "--images", "IMAGES", "--gate", "sticky"], 2, "with feedback"),
        (["run", "digits_feedback_if", "--images", "IMAGES", "--gate", "closed"], 2, "sticky, dynamic, graded"),
        (["run", "digits_feedback_if", "--images", "IMAGES", "--gate", "sticky", "--calibrate"], 2, "Leave --calibrate out"),
        (["run", "digits_plain_if", "--images", "IMAGES", "-n", "IF"], 2, "digits_plain_if.json. Leave --neuron out"),
        (["run", "MODEL", "--images", "IMAGES", "-n", "IF:leak=1,leak=0.5"], 2, "given twice"),
        (["run", "MODEL", "--images", "."], 1, "holds no picture"),
        (["run", "MODEL", "--images", "MODEL"], 1, "must be a folder of pictures"),
        (["run", "MODEL", "--images", "IMAGES", "-r", "conv:nothing", "-o", "OUT.npz"], 1, "Known: spikes"),
        (["convert", "MODEL", "--calibrate", "nowhere"], 1, "--calibrate: 'nowhere' does not exist"),
        (["layers", "IMAGES"], 1, ".keras, .h5, .hdf5, .json (Keras), .onnx and .nir"),
        (["layers", "nothing.onnx"], 1, "'nothing.onnx' does not exist"),
        (["layers", "nothing.nir"], 1, "'nothing.nir' does not exist"),
        (["layers", "nothing.json"], 1, "--weights"),
        (["layers", "."], 1, "is a directory"),
        (["report", "IMAGES", "-o", "report.html"], 1, "not a result"),
        (["report", "nothing.nc"], 1, "'nothing.nc' does not exist"),
        (["report", "IMAGES", "-o", "report.txt"], 1, ".html"),
        (["sweep", "status", "IMAGES"], 1, "holds no sweep"),
        (["sweep", "collect", ".", "-o", "table.txt"], 1, ".csv"),
        (["run", "MODEL", "--images", "IMAGES", "--weights", "IMAGES"], 1, "no effect"),
        (["convert", "MODEL", "-o", "net.nir", "-n", "ASN"], 1, "NIR"),
        (["study", "nothing"], 1, "precision"),
        (["sweep", "status", "."], 1, "holds no sweep"),
        (["fly"], 2, "fly"),
    ],
)  # fmt: skip
def test_refusals_are_one_message_without_a_traceback(
    model_file, images_file, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    answer = brainsnn(*({"MODEL": model_file, "IMAGES": images_file}.get(word, word) for word in arguments))
    assert answer.exit_code == code and message in answer.output and "Traceback" not in answer.output
    assert set(tmp_path.rglob("*")) == before


def test_files_are_replaced_only_by_force_and_before_anything_is_computed(
    model_file, images_file, tmp_path, monkeypatch
):
    out = tmp_path / "tables.md"
    out.write_text("mine")
    assert "--force" in brainsnn("convert", model_file, "-n", "IF", "-o", out).output and out.read_text() == "mine"
    assert brainsnn("convert", model_file, "-n", "IF", "-o", out, "--force").exit_code == 0
    with pytest.warns(bs.UncalibratedWarning):
        assert (
            out.read_text().strip() == bs.convert(bs.load_model(model_file), bs.IF()).describe().to_markdown().strip()
        )
    monkeypatch.setattr("brainsnn.command_line.runs.read_graph", lambda *_: pytest.fail("read the model first"))
    (tmp_path / "r.nc").write_text("mine")
    answer = brainsnn("run", model_file, "-i", images_file, "-o", tmp_path / "r.nc")
    assert answer.exit_code == 1 and "exists" in answer.output and (tmp_path / "r.nc").read_text() == "mine"


def test_debug_shows_where_an_error_arose():
    command = [sys.executable, "-m", "brainsnn", "--debug", "layers", "digitz"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1 and "Traceback" in answer.stderr
    assert "UnknownNameError" in answer.stderr and "digits" in answer.stderr and "Brian 2" not in answer.stderr


def test_studies_are_listed_with_their_questions_and_get_their_options():
    shown = brainsnn("study").output
    assert all(name in shown for name in study_files()) and "What does precision cost?" in shown
    command = [sys.executable, "-m", "brainsnn", "study", "precision", "--n-images", "0"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2 and "--n-images" in answer.stderr


SWEEP = """
import sys
import brainsnn as bs

def square(x):
    if x == 2 and len(sys.argv) > 1 and not __import__("os").path.exists("repaired"):
        raise ValueError("not yet")
    return {"y": x * x}

if __name__ == "__main__":
    bs.sweep(square, {"x": [1, 2, 3]}, folder="out", workers=1, progress=False)
"""


def test_a_sweep_that_failed_is_resumed_and_collected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text(SWEEP)
    failed = subprocess.run([sys.executable, "squares.py", "fail"], capture_output=True, check=False)
    assert failed.returncode != 0
    assert "2 of 3 units of" in brainsnn("sweep", "status", "out").output
    answer = brainsnn("sweep", "collect", "out", "-o", "squares.csv")
    assert (
        answer.exit_code == 1
        and "brainsnn sweep resume out" in answer.output
        and not (tmp_path / "squares.csv").exists()
    )
    (tmp_path / "repaired").touch()
    assert brainsnn("sweep", "resume", "out").exit_code == 1  # nobody confirmed
    assert "2 of 3" in brainsnn("sweep", "status", "out").output
    assert brainsnn("sweep", "resume", "out", "--yes").exit_code == 0
    assert "3 of 3" in brainsnn("sweep", "status", "out").output
    assert brainsnn("sweep", "collect", "out", "-o", "squares.csv").exit_code == 0
    lines = (tmp_path / "squares.csv").read_text().split()
    assert lines == ["x,y", "1,1", "2,4", "3,9"]


def test_a_nir_file_brings_its_neurons(model_file, images_file, tmp_path):
    assert (
        brainsnn("convert", model_file, "-n", "IF", "--calibrate", images_file, "-o", tmp_path / "net.nir").exit_code
        == 0
    )
    assert (
        brainsnn("run", tmp_path / "net.nir", "-i", images_file, "-t", "40ms", "-o", tmp_path / "r.npz").exit_code == 0
    )
    with np.load(images_file) as data:
        expected = bs.convert(bs.read_nir(tmp_path / "net.nir")).run(data["images"], 40 * bs.ms)
    np.testing.assert_array_equal(bs.Result.load(tmp_path / "r.npz").output, expected.output)


def test_pictures_stay_8_bit_for_a_network_that_scales_them(tmp_path):
    inputs = keras.Input((6, 6, 1), name="pixels")
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(inputs))
    keras.Model(inputs, keras.layers.Dense(4, name="classes")(keras.layers.Flatten()(x))).save(
        tmp_path / "scales.keras"
    )
    pixels = np.random.default_rng(1).integers(0, 256, (6, 6), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    answer = brainsnn(
        "run",
        tmp_path / "scales.keras",
        "-i",
        tmp_path / "0.png",
        "--calibrate",
        "-t",
        "20ms",
        "-o",
        tmp_path / "r.npz",
    )
    assert answer.exit_code == 0, answer.output
    images = pixels[None, ..., None].astype(float)
    graph = bs.calibrate(bs.load_model(tmp_path / "scales.keras"), images)
    expected = bs.convert(graph).run(images, 20 * bs.ms)
    np.testing.assert_allclose(bs.Result.load(tmp_path / "r.npz").output, expected.output, rtol=1e-5)
