"""Data sets in the files of their publishers, and a published training from the first to the last file."""

import gzip
import io
import json
import pickle
import tarfile

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

import brainsnn as bs
from brainsnn.feedback import read_settings
from brainsnn.stimuli import fashion, load_cifar100
from brainsnn.training.predictive_data import load_dataset
from brainsnn.training.predictive_options import command_of, parse_options
from brainsnn.training.predictive_vgg import spiking_layers
from brainsnn.training.train_predictive import main

RNG = np.random.default_rng(0)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keras's cache with a few made-up images in the files of the data sets, whose checksums cannot be right."""
    from keras.src.backend import config
    from keras.src.utils import file_utils

    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path / "keras"))
    monkeypatch.setattr(file_utils, "validate_file", lambda *arguments, **options: True)
    digits = {f"x_{part}": RNG.integers(0, 256, (n, 28, 28), np.uint8) for part, n in (("train", 9), ("test", 5))}
    np.savez(folder / "mnist.npz", **digits, y_train=np.arange(9, dtype=np.uint8), y_test=np.arange(5, dtype=np.uint8))
    with tarfile.open(folder / "cifar-100-python-target_archive", "w:gz") as archive:
        for part, n in (("train", 7), ("test", 3)):
            content = {b"data": RNG.integers(0, 256, (n, 3072), np.uint8), b"fine_labels": list(range(90, 90 + n))}
            content[b"data"][0] = np.repeat([0, 255, 0], 1024)  # green
            data, info = pickle.dumps(content), tarfile.TarInfo(f"cifar-100-python/{part}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder


def test_data_and_range(cache, monkeypatch, tmp_path):
    """Official splits; gray values from 0 to 1, colours from -1 to 1."""
    mnist = load_dataset("mnist")
    assert mnist.images.shape == (9, 28, 28, 1) and mnist.test_images.shape == (5, 28, 28, 1) and mnist.n_classes == 10
    assert mnist.images.min() == 0 and mnist.images.max() == 1 and mnist.test_labels.tolist() == [0, 1, 2, 3, 4]
    cifar = load_dataset("cifar100")
    assert cifar.images.shape == (7, 32, 32, 3) and cifar.n_classes == 100 and cifar.labels.tolist() == [*range(90, 97)]
    np.testing.assert_array_equal(cifar.images[0, 5, 7], [-1, 1, -1])
    assert cifar.images.dtype == np.float32 and load_cifar100("test")[0].min() == 0
    ten = (RNG.integers(0, 256, (4, 32, 32, 3), np.uint8), np.array([[3], [4], [5], [6]]))
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (ten, ten))
    assert load_dataset("cifar10").images.min() < -0.9 and load_dataset("cifar10").n_classes == 10
    for prefix, n in (("train", 6), ("t10k", 2)):  # as in Debian's package
        pixels = np.array([2051, n, 28, 28], ">u4").tobytes() + bytes(RNG.integers(0, 256, n * 784, np.uint8))
        labels = np.array([2049, n], ">u4").tobytes() + bytes(range(n))
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path)
    assert load_dataset("fashion").images.shape == (6, 28, 28, 1)
    with pytest.raises(ValueError, match="'svhn'; choose one of 'digits'"):
        load_dataset("svhn")


def test_published_training_from_command_to_spikes(cache, tmp_path, capsys):
    """Both stages on a few images of MNIST, resumed; the network that it writes runs with the gate in Brian2."""
    words = (
        "--preset published --variant feedback --dataset mnist --ann-trade-off 1 --width 0.0625 --generator-width 0.0625 "
        "--dense 8 8 --ann-epochs 3 --snn-epochs 2 --steps 9 --balance-steps 6 --balance-images 3 --batch-size 4"
    )
    arguments = [*words.split(), "--out", str(tmp_path / "net.keras"), "--checkpoints", str(tmp_path / "ck")]
    settings = main(arguments)
    first = (tmp_path / "net.keras").read_bytes()
    assert settings == read_settings(tmp_path / "net.keras") and settings["epsilon"] is None
    assert settings["recipe"]["seed"] == 0 and settings["gate_squash"] == "rescaled_sigmoid"
    log = (tmp_path / "ck" / "log.csv").read_text()
    assert (log.count("ann,"), log.count("snn,")) == (2, 1)  # E - 1 epochs
    assert settings["measures"]["snn, epsilon None"]["spikes"].keys() >= {"conv1", "prediction", "dense2"}
    command = command_of(parse_options(arguments))
    assert (
        command in (tmp_path / "net.md").read_text()
        and "to choose the epoch whose weights are kept" in (tmp_path / "net.md").read_text()
    )
    assert vars(parse_options(command.split()[3:])) | {"checkpoints": 0} == vars(parse_options(arguments)) | {
        "checkpoints": 0
    }
    capsys.readouterr()
    assert main(arguments)["thresholds"] == settings["thresholds"]
    assert "resumed after 2 ANN and 1 SNN epochs" in capsys.readouterr().out
    model = bs.load_model(tmp_path / "net.keras")
    graph = bs.read_keras(model, spiking=settings["thresholds"])
    assert set(spiking_layers(model)) < set(settings["thresholds"]) and first
    gate = bs.PredictiveGate(
        epsilon=0.1, squash=settings["gate_squash"], squash_step=settings["squash_step"], strict=True
    )
    snn = bs.convert(graph, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"], feedback=gate)
    assert snn.run(load_dataset("mnist").test_images, duration=9 * bs.ms).output.shape == (5, 9, 10)


def test_ann_stage_alone(cache, tmp_path):
    words = "--preset published --variant plain --dataset mnist --stages ann --width 0.0625 --dense 8 --ann-epochs 2"
    settings = main([*words.split(), "--out", str(tmp_path / "a.keras"), "--checkpoints", str(tmp_path / "ck")])
    assert settings["thresholds"] == {} and list(settings["measures"]) == ["ann"]
    assert "only the ANN was trained" in " ".join((tmp_path / "a.md").read_text().split())
    assert json.loads((tmp_path / "a.json").read_text())["recipe"]["ann_optimizer"] == "sgd"
