"""What commands say beside their results is short, in the words of the command line, and never a traceback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import pytest
from called_command import brainsnn
from PIL import Image
from typer.main import get_command

import brainsnn as bs
from brainsnn.builders.devices.registry import DEVICES
from brainsnn.command_line.app import app
from brainsnn.command_line.messages import ADVICE, plain_warnings
from brainsnn.command_line.runs import _devices


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 6, 1), name="pixels")
    x = keras.layers.Conv2D(3, 3, activation="relu", use_bias=False, name="conv")(inputs)
    path = tmp_path_factory.mktemp("model") / "small.keras"
    keras.Model(inputs, keras.layers.Dense(4, name="classes")(keras.layers.Flatten()(x))).save(path)
    return path


@pytest.fixture
def images_file(tmp_path):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).random((2, 6, 6, 1)))
    return tmp_path / "images.npy"


def warned(*arguments):
    answer = brainsnn(*arguments)
    assert answer.exit_code == 0, answer.output
    found = [line for line in answer.output.splitlines() if line.startswith("Warning: ")]
    assert ".py" not in " ".join(found) and "brainsnn.calibrate" not in answer.output
    return found


def test_a_warning_is_one_line_with_advice_that_works(model_file, images_file):
    run = ["run", model_file, "-i", images_file, "-t", "20ms"]
    (line,) = warned(*run, "-n", "IF")
    assert line.startswith("Warning: convert: the ReLU layers 'conv' have") and "--calibrate" in line
    assert warned(*run, "-n", "IF", "--calibrate") == []
    (line,) = warned(*run, "-n", "LIF", "--calibrate")
    assert "silent" in line and (advice := re.search(r"--neuron (\S+)\.$", line))
    assert warned(*run, "-n", advice[1], "--calibrate") == []


def test_neurons_for_a_network_that_was_trained_for_others(tmp_path):
    np.save(tmp_path / "images.npy", np.full((1, 28, 28, 1), 0.5))
    run = ["run", "digits", "-i", tmp_path / "images.npy", "-t", "5ms"]
    (line,) = warned(*run, "-n", "IF")
    assert line.endswith("Leave --neuron out, or use --neuron ASN.")
    assert warned(*run) == warned(*run, "-n", "ASN") == []


def test_advice_names_options_that_commands_have():
    commands = get_command(app).commands
    options = {name for command in ("run", "convert") for p in commands[command].params for name in p.opts}
    for advice in ADVICE.values():
        assert set(re.findall(r"--[a-z-]+", advice)) <= options
    assert _devices() == list(DEVICES)


def test_warnings_of_other_packages_are_shown_once_without_their_place(capsys):
    with plain_warnings():
        for _ in range(3):
            warnings.warn("two\nlines", RuntimeWarning, stacklevel=1)
            warnings.warn("not of interest", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "Warning: two lines\n"


def test_json_is_alone_on_its_stream(monkeypatch):
    monkeypatch.setenv("BRAINSNN_CACHE", "relative")
    answer = brainsnn("info", "--json")
    assert json.loads(answer.stdout)["versions"] and "Warning: BRAINSNN_CACHE='relative'" in answer.stderr


def test_no_color(monkeypatch):
    from typer.testing import CliRunner

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in CliRunner().invoke(app, ["layers", "digitz"], color=True).output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in CliRunner().invoke(app, ["layers", "digitz"], color=True).output


BAD_ARRAYS = {
    "labels of shape (1,)": {"images": np.zeros((2, 6, 6, 1)), "labels": np.zeros(1, int)},
    "labels of type <U1": {"images": np.zeros((2, 6, 6, 1)), "labels": np.array(["a", "b"])},
    "a label is -1": {"images": np.zeros((2, 6, 6, 1)), "labels": np.array([0, -1])},
    "a label is 4": {"images": np.zeros((2, 6, 6, 1)), "labels": np.array([0, 4])},
    "holds pixels; it needs an array 'images'": {"pixels": np.zeros((2, 6, 6, 1))},
    "Python objects": {"images": np.array([None])},
    "images of shape ()": {"images": np.array(1.0)},
    "images of shape (6, 1)": {"images": np.zeros((6, 6, 1))},
    "holds no image": {"images": np.zeros((0, 6, 6, 1))},
}


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_that_are_no_images_are_refused(model_file, tmp_path, message):
    np.savez(tmp_path / "bad.npz", **BAD_ARRAYS[message])
    answer = brainsnn("run", model_file, "-i", tmp_path / "bad.npz", "-n", "IF", "-o", tmp_path / "r.npz")
    assert answer.exit_code in (1, 2) and message in answer.output and not (tmp_path / "r.npz").exists()
    (tmp_path / "bad.npz").write_bytes(b"PK")
    assert "is damaged" in brainsnn("run", model_file, "-i", tmp_path / "bad.npz").output


def bad_picture(kind, path):
    """Write a file that ends in .png and cannot be taken as a picture of the network."""
    pixels = np.full((6, 6), 200, np.uint8)
    if kind == "16 bits":
        Image.fromarray(pixels.astype(np.uint16) * 256).save(path)
    elif kind == "transparent":
        picture = Image.fromarray(pixels).convert("RGBA")
        picture.putalpha(100)
        picture.save(path)
    else:
        path.write_text("not a picture")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("16 bits", "more than 8 bits"), ("transparent", "transparent pixels"), ("text", "is not a picture")],
)
def test_pictures_whose_values_are_not_known_are_refused(model_file, tmp_path, kind, message):
    bad_picture(kind, tmp_path / "a.png")
    answer = brainsnn("run", model_file, "-i", tmp_path / "a.png", "-n", "IF")
    assert answer.exit_code == 1 and message in answer.output and "'" + str(tmp_path / "a.png") in answer.output


def test_photographs_are_turned_as_viewers_show_them(model_file, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (6, 6), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "upright.png")
    counts = []
    for name in ("turned", "upright"):
        args = ["run", model_file, "-i", tmp_path / f"{name}.png", "-n", "IF", "--calibrate", "-t", "20ms", "-o"]
        assert brainsnn(*args, tmp_path / f"{name}.npz").exit_code == 0
        counts.append(bs.Result.load(tmp_path / f"{name}.npz").spike_counts["conv"])
    np.testing.assert_array_equal(*counts)


def test_report_names_a_script_that_cannot_be_read(model_file, images_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert brainsnn("run", model_file, "-i", images_file, "-n", "IF", "-t", "5ms", "-o", "r.npz").exit_code == 0
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    for script, message in (("no.py", "'no.py' does not exist"), (".", "is a folder"), ("binary.py", "is not text")):
        answer = brainsnn("report", "r.npz", "--script", script)
        assert answer.exit_code == 1 and message in answer.output and "script" in answer.output
        assert not (tmp_path / "report.html").exists()
    (tmp_path / "mine.py").write_text("x = 'my own script'")
    assert brainsnn("report", "r.npz", "--script", "mine.py").exit_code == 0
    assert "my own script" in (tmp_path / "report.html").read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("when", ["imports", "TensorFlow", pytest.param("run", marks=pytest.mark.slow)])
def test_interrupts_end_commands_without_a_traceback(model_file, images_file, tmp_path, when):
    command = [
        "run",
        str(model_file),
        "-i",
        str(images_file),
        "-n",
        "IF",
        "-t",
        "100000 s",
        "-o",
        str(tmp_path / "r.npz"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "brainsnn", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    line = process.stderr.readline() if when != "imports" else ""
    time.sleep({"imports": 0.5, "TensorFlow": 0.1, "run": 15}[when])
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in out + errors and "Written" not in out
    assert when == "imports" or line == "Importing TensorFlow ...\n"
    assert os.listdir(tmp_path) == [images_file.name]
