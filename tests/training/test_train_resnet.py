"""The training of the published attention experiments, on a few made-up pictures in the layouts of ImageNet and COCO."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from coco_files import write_coco
from locations import ROOT
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import brainsnn as bs
from brainsnn.stimuli.coco import read_selection
from brainsnn.stimuli.coco.__main__ import main as select_scenes
from brainsnn.training import epochs
from brainsnn.training.epochs import fit_resumably
from brainsnn.training.photographs import Pictures, central_crop, imagenet_files, random_crop
from brainsnn.training.rates import CyclicRate, StepRate, plateau_rate
from brainsnn.training.train_resnet import PUBLISHED, _options, main, null_f1

keras = pytest.importorskip("keras")
pytest.importorskip("pycocotools")

TINY = ["--size", "32", "--width", "2", "--batch", "4", "--threads", "1"]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Two classes, red and blue, six pictures each for training and three for validation."""
    folder, random = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for split, n in (("train", 6), ("val", 3)):
        for channel, name in ((0, "n01"), (2, "n02")):
            (folder / split / name).mkdir(parents=True)
            for k in range(n):
                pixels = random.integers(0, 60, (40 + k, 52, 3), dtype=np.uint8)
                pixels[..., channel] += 180
                Image.fromarray(pixels).save(folder / split / name / f"{name}_{k}.JPEG", quality=95)
    return folder


@pytest.fixture(scope="module")
def trained(imagenet, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "resnet.keras"
    history = main(["imagenet", imagenet, *TINY, "--epochs", "3", "--out", out])
    return out, history


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    write_coco(folder)
    select_scenes([str(folder), "--out", str(folder / "street.json")])
    return folder


# --- learning rates ---------------------------------------------------------------------------------------------------


def test_the_published_rates():
    """Epoch 0: 1.0, then 0.1, 0.01, 0.001; the decay divides by 17 at epoch 30 and by 49 at epoch 90."""
    steps = 1_281_167 // 240
    assert steps == 5_338
    sane, faulty = StepRate(steps), StepRate(steps, first=1.0)
    expected = {0: 0.1, 1: 0.1, 30: 0.1, 31: 0.01, 60: 0.01, 61: 0.001, 89: 0.001}
    assert_allclose([float(sane(steps * epoch)) for epoch in expected], list(expected.values()), rtol=1e-5)
    assert_allclose([float(faulty(steps * e)) for e in (0, 1)], [1.0, 0.1], rtol=1e-6)
    assert float(faulty(steps - 1)) == 1.0
    decayed = StepRate(steps, first=1.0, decay=1e-4)
    for epoch, divisor in ((30, 17), (90, 49)):
        ratio = float(faulty(steps * epoch)) / float(decayed(steps * epoch))
        assert round(ratio) == divisor
    assert_allclose(float(decayed(1)), 1 / (1 + 1e-4), rtol=1e-6)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(decayed))
    assert float(again(777)) == float(decayed(777))


def test_the_alternatives():
    assert float(CyclicRate()(100)) == pytest.approx(1e-4)
    cyclic = CyclicRate(1.0, 3.0)
    assert_allclose([float(cyclic(step)) for step in (0, 132, 264, 396, 528)], [1, 2, 3, 2, 1], atol=1e-5)
    falling = list(np.linspace(1, 0.5, 10))
    assert plateau_rate(falling) == 1e-4
    assert plateau_rate([*falling, *[0.6] * 4]) == 1e-4
    assert plateau_rate([*falling, *[0.6] * 5]) == pytest.approx(1e-5)
    assert plateau_rate([*falling, *[0.6] * 50]) == 1e-6


def test_the_published_optimizer_steps_as_keras_did():
    """Nesterov momentum, with the rate of the update counted from 0, in numbers."""
    x = keras.Variable([2.0])
    optimizer = keras.optimizers.SGD(StepRate(2, first=1.0, decay=1e-4), momentum=0.9, nesterov=True)
    value, velocity = 2.0, 0.0
    for step in range(5):
        rate = (1.0 if step < 2 else 0.1) / (1 + 1e-4 * step)
        gradient = 0.3 * value
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [x])
        velocity = 0.9 * velocity - rate * gradient
        value += 0.9 * velocity - rate * gradient
        assert float(x[0]) == pytest.approx(value, rel=1e-5)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_random_crop(tmp_path):
    """A gradient from left to right shows scale, place and flip of a crop."""
    width = 512
    gradient = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (256, width, 3)).astype(np.uint8)
    Image.fromarray(gradient).save(tmp_path / "a.png")
    for rescale in ("kept", "undone"):
        crops = [random_crop(tmp_path / "a.png", np.random.default_rng(k), 56, rescale) for k in range(60)]
        slopes = np.array([np.polyfit(np.arange(56), crop[20, :, 0], 1)[0] for crop in crops])
        shorter = 1 / (2 * np.abs(slopes))  # pixels: the gradient runs over twice as many columns
        assert 20 < (slopes > 0).sum() < 40  # flips
        assert len({float(crop[0, 0, 0]) for crop in crops}) > 40  # places
        if rescale == "kept":
            assert (
                shorter.min() > 62 and shorter.max() < 122 and np.ptp(shorter) > 40
            )  # 256 to 480 of 224 are 64 to 120 of 56
        else:
            assert_allclose(shorter, 64, atol=1.5)
        assert crops[0].shape == (56, 56, 3) and crops[0].dtype == np.float32
    same = [random_crop(tmp_path / "a.png", np.random.default_rng(3), 56) for _ in range(2)]
    assert_array_equal(*same)


def test_a_central_crop(tmp_path):
    pixels = np.zeros((256, 400, 3), dtype=np.uint8)
    pixels[:, 196:204] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    crop = central_crop(tmp_path / "a.png", size=224)
    assert crop.shape == (224, 224, 3)
    assert_array_equal(np.flatnonzero(crop[100, :, 0] > 0.5), np.arange(108, 116))


def test_batches_depend_on_seed_and_epoch_alone():
    def make(**options):
        labels = np.arange(10)
        return Pictures(
            list(range(10)), labels, lambda item, random: np.array([item, random.integers(1000)]), 4, **options
        )

    pictures = make(seed=1)
    assert len(pictures) == 3 and len(make(seed=1, drop=True)) == 2
    first = [pictures[k] for k in range(3)]
    assert sorted(np.concatenate([labels for _, labels in first])) == list(range(10))
    for (images, labels), (same, _) in zip(first, [make(seed=1)[k] for k in range(3)]):
        assert_array_equal(images, same)
        assert_array_equal(images[:, 0], labels)
    pictures.epoch = 1
    assert not np.array_equal(pictures[0][0], first[0][0])
    assert_array_equal(make()[0][1], [0, 1, 2, 3])


def test_folders_that_are_not_of_imagenet_are_refused(imagenet, tmp_path):
    with pytest.raises(ValueError, match="must hold one folder of pictures for each class"):
        imagenet_files(tmp_path, "train")
    with pytest.raises(ValueError, match=r"the same as in train; these differ: \['n03'\]"):
        imagenet_files(imagenet, "val", ["n01", "n02", "n03"])
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="hold no pictures"):
        imagenet_files(tmp_path, "train")


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["imagenet", "coco"])
def test_published_switches_every_fault(command):
    own = ["--scenes", "s.json", "--weights", "w.keras"] if command == "coco" else []
    sane, faulty = (vars(_options([command, "folder", *own, *more])) for more in ([], ["--published"]))
    changed = {name for name in sane if sane[name] != faulty[name]} - {"published"}
    assert changed == set(PUBLISHED[command])
    assert {name: faulty[name] for name in changed} == PUBLISHED[command]
    assert _options([command, "folder", *own, "--published", "--keep", "best"]).keep == "best"
    expected = {"imagenet": (90, 240, 0.1), "coco": (100, 200, 1e-4)}[command]
    assert (sane["epochs"], sane["batch"], sane["rate"]) == expected


@pytest.mark.parametrize("folder", ["benchmarks", "brainsnn/training"])
def test_options_are_not_abbreviated(folder, capsys):
    """A part of ``--published`` would set the option without the values that belong to it."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / folder).glob("*.py")]
    parsers = [call for text in texts for call in re.findall(r"\b(?:ArgumentParser|add_parser)\(([^)]*)", text)]
    assert parsers and all("allow_abbrev=False" in call for call in parsers)
    with pytest.raises(SystemExit):
        _options(["imagenet", "folder", "--pub"])
    assert "unrecognized arguments: --pub" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--rate -1", "--rate must be greater than 0, got -1"),
        ("--width 0", "--width must be 1 or more, got 0"),
        ("--seed -1", "--seed must be from 0 to 4294967295, or none, got -1"),
        ("--top-rate 0.5", "--top-rate needs --schedule cyclic, got --schedule constant"),
        ("--top-rate 0.5 --schedule plateau", "--top-rate needs --schedule cyclic, got --schedule plateau"),
        ("--top-rate 1e-5 --schedule cyclic", "--top-rate must be at least --rate 0.0001, got 1e-05"),
    ],
)
def test_numbers_without_sense_are_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        _options(["coco", "folder", "--scenes", "s.json", "--weights", "w.keras", *words.split()])
    assert message in capsys.readouterr().err


def test_the_page_lists_all_faults():
    text = (ROOT / "docs" / "published_network.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `--([\w-]+)`", text, re.MULTILINE))
    assert listed == {name.replace("_", "-") for own in PUBLISHED.values() for name in own} | {"published"}


def test_imagenet_end_to_end(trained):
    out, history = trained
    assert len(history) == 3 and {"loss", "accuracy", "val_loss", "val_accuracy"} == set(history[0])
    model = bs.load_model(out)
    assert model.output_shape == (None, 2) and model.get_layer("readout").activation is keras.activations.softmax
    card = out.with_suffix(".md").read_text()
    assert "train_resnet imagenet" in card and "validation accuracy of the kept epoch (best)" in card
    assert len(bs.read_keras(model, average_pooling="membrane").readouts) == 1


def test_an_interrupted_training_goes_on(imagenet, trained, tmp_path, capsys):
    """After one epoch and two more, the weights are those of three epochs: momentum, rate and order go on as well."""
    out, arguments = tmp_path / "again.keras", ["imagenet", imagenet, *TINY]
    main([*arguments, "--epochs", "1", "--out", out])
    history = main([*arguments, "--epochs", "3", "--out", out])
    assert "going on after epoch 1" in capsys.readouterr().out
    assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in trained[1]], rel=1e-4)
    for ours, theirs in zip(bs.load_model(out).get_weights(), bs.load_model(trained[0]).get_weights()):
        assert_allclose(ours, theirs, atol=1e-4)
    with pytest.raises(ValueError, match=r"holds a training with other settings \(batch: '4' there, '3' now\)"):
        main(["imagenet", imagenet, "--size", "32", "--width", "2", "--batch", "3", "--epochs", "3", "--out", out])


class FakeModel:
    """Its weights are the number of epochs that it was trained; their validation losses are given."""

    def __init__(self, losses):
        self.losses, self.weights = losses, 0
        self.optimizer, self.trainable_variables = SimpleNamespace(build=lambda variables: None), []

    def fit(self, *arguments, **options):
        self.weights += 1
        return SimpleNamespace(history={"val_loss": [self.losses[self.weights - 1]]})

    def save_weights(self, path):
        path.write_text(str(self.weights))

    def load_weights(self, path):
        self.weights = int(path.read_text())


def fit(folder, losses, keep="best", report=lambda line: None):
    model = FakeModel(losses)
    history = fit_resumably(model, SimpleNamespace(), None, len(losses), folder, {}, "val_loss", keep, report)
    return model.weights, [row["val_loss"] for row in history]


def test_an_epoch_without_a_loss_is_not_the_best(tmp_path):
    losses = [float("nan"), 3.0, 2.0, float("nan"), 2.0]
    assert fit(tmp_path, losses)[0] == 3 and fit(tmp_path, losses, "last")[0] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch3.weights.h5", "epoch5.weights.h5", "log.json"]
    (tmp_path / "epoch5.weights.h5").unlink()
    with pytest.raises(ValueError, match="epoch5.weights.h5 is missing, the weights of the last epoch in log.json"):
        fit(tmp_path, losses)


def test_no_epoch_is_trained_twice_after_a_kill(tmp_path, monkeypatch):
    """Killed between the weights and the log of epoch 2, a training goes on with the weights of epoch 1."""
    losses, write, seen = [3.0, 2.0, 1.0], epochs.write_atomically, []

    def killed(path):
        seen.append(path)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return write(path)

    monkeypatch.setattr(epochs, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, losses)
    assert fit(tmp_path, losses, "last") == (3, losses)


def test_published_imagenet(imagenet, tmp_path):
    out = tmp_path / "p.keras"
    history = main(["imagenet", imagenet, *TINY, "--epochs", "1", "--published", "--out", out])
    assert len(history) == 1 and "(last)" in out.with_suffix(".md").read_text()
    with pytest.raises(ValueError, match="are less than a batch of 9"):  # six validation pictures, remainder dropped
        main(
            [
                "imagenet",
                imagenet,
                "--size",
                "32",
                "--width",
                "2",
                "--batch",
                "9",
                "--published",
                "--out",
                tmp_path / "q.keras",
            ]
        )


@pytest.mark.parametrize("more", [[], ["--published"], ["--schedule", "plateau", "--trained", "readout"]])
def test_coco_end_to_end(coco, trained, tmp_path, more, capsys):
    out = tmp_path / "street.keras"
    scenes = ["--scenes", coco / "street.json", "--weights", trained[0]]
    history = main(["coco", coco, *scenes, *TINY, "--epochs", "1", "--out", out, *more])
    assert set(history[0]) == {"loss", "binary_accuracy", "val_loss", "val_binary_accuracy"}
    model, before = bs.load_model(out), bs.load_model(trained[0])
    assert model.output_shape == (None, 8) and model.get_layer("readout").activation is keras.activations.sigmoid
    same = [
        all(
            np.array_equal(a, b)
            for a, b in zip(model.get_layer(name).get_weights(), before.get_layer(name).get_weights())
        )
        for name in ("stem_conv", "final_bn")
    ]
    assert same == [("readout" in more)] * 2
    printed = capsys.readouterr().out
    n = len(read_selection(coco / "street.json").training)
    n_held = -(-n // 5)
    assert f"{n - n_held} training and {n_held} validation pictures of 8 classes" in printed
    assert "weighted F1 of the first" in printed and "95th percentile" in printed


def test_weights_of_another_network_are_refused(coco, trained, tmp_path):
    wrong = ["--size", "32", "--width", "3", "--batch", "4", "--scenes", coco / "street.json", "--weights", trained[0]]
    with pytest.raises(ValueError, match="has no layer 'stem_conv' with the weights of this network. Give the --depth"):
        main(["coco", coco, *wrong, "--out", tmp_path / "a.keras"])
    assert not list(tmp_path.iterdir())


def test_null_f1_needs_a_class():
    with pytest.raises(ValueError, match="null_f1: labels hold no 1"):
        null_f1(np.ones((3, 2)), np.zeros((3, 2)))


def test_null_f1_equals_scikit_learn():
    from sklearn.metrics import f1_score

    random = np.random.default_rng(0)
    labels = random.random((60, 5)) < 0.3
    outputs = np.where(random.random((60, 5)) < 0.8, labels, ~labels) * 0.9
    f1, null = null_f1(outputs, labels, 50, seed=4)
    assert f1 == pytest.approx(f1_score(labels, outputs > 0.5, average="weighted"))
    orders = np.random.default_rng(4)
    expected = [f1_score(labels, outputs[:, orders.permutation(5)] > 0.5, average="weighted") for _ in range(50)]
    assert_allclose(null, expected)
