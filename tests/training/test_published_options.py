"""Options of the published code beyond its main runs: another ANN to begin with, an SNN from scratch, other kernels."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
from locations import ROOT

from brainsnn.training import read_published_feedback
from brainsnn.training.checkpoints import copy_fitting_weights
from brainsnn.training.predictive_data import DATASETS, crop_and_flip, load_dataset
from brainsnn.training.predictive_options import command_of, outside_recipe, parse_options, recipe_of
from brainsnn.training.predictive_recipe import Recipe, published_recipe
from brainsnn.training.predictive_training import Trainer
from brainsnn.training.predictive_vgg import predictive_vgg
from brainsnn.training.train_predictive import main

IMAGES = np.random.default_rng(0).random((8, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(8) % 4
SHORT = {"ann_epochs": 2, "snn_epochs": 2, "steps": 4, "balance_images": 4, "balance_steps": 4, "batch_size": 4}


def small(seed=0, n_classes=4, **options):
    keras.utils.set_random_seed(seed)
    return predictive_vgg(5, (8, 8, 1), n_classes, width=1 / 16, dense=(6,), published=True, conv_dropout=0.3, dropout=0.5,
                          **options)  # fmt: skip


def trainer(folder, report=lambda line: None, model=None, **changes):
    recipe = Recipe(**{**vars(published_recipe()), **SHORT, **changes})
    return Trainer(small() if model is None else model, recipe, folder, IMAGES, LABELS, (IMAGES, LABELS), report)


@pytest.mark.parametrize("feedback", [True, False])
def test_kernels_of_another_size(feedback):
    """All maps keep their size; pooling and up-sampling stay 2x2; the published weights follow the size."""
    usual, wide = small(feedback=feedback), small(feedback=feedback, kernel_size=5)
    assert [layer.output.shape for layer in usual.layers] == [layer.output.shape for layer in wide.layers]
    kernels = {
        layer.name: layer.kernel.shape[:2] for layer in wide.layers if len(layer.weights) and "dense" not in layer.name
    }
    twos = {name for name, size in kernels.items() if tuple(size) == (2, 2)}
    assert twos == ({"pool1", "pool2", "up1", "up2"} if feedback else set())
    assert {tuple(size) for name, size in kernels.items() if name not in twos and name != "classifier"} == {(5, 5)}
    assert np.std(wide.get_layer("conv3").get_weights()[0]) == pytest.approx(np.sqrt(2 / (25 * 8)), rel=0.1)


@pytest.mark.parametrize("size", [2, 0, -1, 3.0])
def test_kernels_that_change_the_size_of_a_map_are_refused(size):
    with pytest.raises(ValueError, match=f"kernel_size={size!r} must be odd"):
        predictive_vgg(5, kernel_size=size)


def test_published_weights_with_kernels_of_another_size(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    shapes = {"features.0.weight": (4, 1, 5, 5), "features.3.weight": (8, 4, 5, 5), "features.6.weight": (8, 8, 5, 5),
              "classifier.0.weight": (6, 8 * 7 * 7), "classifier.3.weight": (10, 6)}  # fmt: skip
    random = np.random.default_rng(0)
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    safetensors.save_file(tensors, tmp_path / "net.safetensors")
    model = read_published_feedback(tmp_path / "net.safetensors").model
    kernel = model.get_layer("conv2").get_weights()[0]
    np.testing.assert_array_equal(kernel, tensors["features.3.weight"].transpose(2, 3, 1, 0))


def test_an_snn_from_scratch_has_the_default_threshold_and_is_not_balanced(tmp_path, monkeypatch):
    monkeypatch.setattr("brainsnn.training.predictive_training.balance_thresholds", None)  # cannot be called
    own = trainer(tmp_path, default_threshold=1.5)
    before = [w.numpy().copy() for w in own.model.trainable_variables]
    own.train_snn()
    layers = {"conv1", "conv2", "conv3", "generator1", "generator2", "prediction", "dense1"}
    assert own.thresholds == dict.fromkeys(layers, 1.5)
    assert "snn," in (tmp_path / "log.csv").read_text() and "ann," not in (tmp_path / "log.csv").read_text()
    assert any((w.numpy() != old).any() for w, old in zip(own.model.trainable_variables, before))
    for value in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="must be greater than 0, or None to balance"):
            Recipe(default_threshold=value)


def test_an_ann_of_another_task_gives_the_layers_that_fit(tmp_path):
    """CIFAR100 was meant to begin with CIFAR10: all layers but the last have the same shapes."""
    source, path, lines = small(seed=5, n_classes=7), tmp_path / "source.keras", []
    source.save(path)
    own = trainer(tmp_path / "ck", lines.append, pretrained_ann=str(path))
    assert own.new_layers == ["classifier"] and "new weights: classifier" in lines[0] and "conv1, " in lines[0]
    for layer in source.layers:
        if layer.weights and layer.name != "classifier":
            np.testing.assert_array_equal(own.model.get_layer(layer.name).get_weights()[0], layer.get_weights()[0])
    own.train_ann()
    trained = own.model.get_layer("conv1").get_weights()[0]
    assert (trained != source.get_layer("conv1").get_weights()[0]).any()
    again = trainer(tmp_path / "ck", pretrained_ann=str(path))  # resumes, and does not begin with that ANN again
    np.testing.assert_array_equal(again.model.get_layer("conv1").get_weights()[0], trained)
    with pytest.raises(ValueError, match=r"other settings \(pretrained_ann: .*source.keras' there, None now\)"):
        trainer(tmp_path / "ck")


def test_an_ann_of_which_nothing_fits_is_refused(tmp_path):
    other = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, name="head")])
    other.save(tmp_path / "other.keras")
    with pytest.raises(
        ValueError, match=r"no layer has the name and shape of one of .*; its layers with weights: head"
    ):
        copy_fitting_weights(small(), tmp_path / "other.keras")


def test_checkpoints_of_older_versions_go_on(tmp_path):
    """They lack the newer fields of a recipe."""
    trainer(tmp_path).train_ann()
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as data:
        arrays = dict(data)
    state = json.loads(str(arrays.pop("state")))
    for name in ("pretrained_ann", "default_threshold"):
        state["recipe"].pop(name)
    np.savez(tmp_path / "checkpoint.npz", state=json.dumps(state), **arrays)
    lines = []
    trainer(tmp_path, lines.append)
    assert lines == ["resumed after 1 ANN and 0 SNN epochs"]
    with pytest.raises(ValueError, match=r"other settings \(default_threshold: None there, 1.0 now\)"):
        trainer(tmp_path, default_threshold=1.0)
    state["recipe"]["stop_below"], log = None, state.pop("log")  # of the first version: log and accuracy lay beside it
    del state["settings"], state["ann_accuracy"]
    np.savez(tmp_path / "checkpoint.npz", state=json.dumps(state), **arrays)
    (tmp_path / "ann_accuracy.json").write_text("0.25")
    own = trainer(tmp_path, lines.append, stop_below=None)
    assert "data and network are not compared" in lines[-1] and own.ann_accuracy == 0.25
    assert [float(row["loss"]) for row in own.log] == [row["loss"] for row in log]


@pytest.mark.parametrize("change", [{"images": 300}, {"dense": [5]}, {"stages": "both"}])
def test_a_checkpoint_of_other_data_or_another_network_is_refused(tmp_path, change):
    settings = {"images": 64, "dense": [6], "stages": "snn"}
    recipe = Recipe(**{**vars(published_recipe()), **SHORT})

    def make(model, images=IMAGES, **options):
        return Trainer(model, recipe, tmp_path, images, LABELS, (IMAGES, LABELS), lambda line: None, **options)

    make(small(), settings=settings).save()
    before = (tmp_path / "checkpoint.npz").read_bytes()
    ((name, value),) = change.items()
    expected = (
        f"({name}: {settings[name]!r} there, {value!r} now). Give the settings of that training, choose another folder"
    )
    with pytest.raises(ValueError) as error:
        make(small(), settings=settings | change)
    assert expected in str(error.value) and (tmp_path / "checkpoint.npz").read_bytes() == before
    (tmp_path / "checkpoint.npz").unlink()
    make(small()).save()  # by default, the shapes tell
    for model, images, shown in (
        (small(n_classes=5), IMAGES, "classifier: [[6, 4]] there, [[6, 5]] now"),
        (small(), IMAGES[:7], "images: [8, 8, 8, 1] there, [7, 8, 8, 1] now"),
    ):
        with pytest.raises(ValueError) as error:
            make(model, images)
        assert f"({shown})" in str(error.value)


def test_a_folder_that_lost_its_checkpoint_is_refused(tmp_path):
    """Its log would be continued, and the accuracy of its ANN would skip the stage."""
    own = trainer(tmp_path)
    own.train_ann()
    own.ann_accuracy = 0.5
    own.save()
    assert trainer(tmp_path).ann_accuracy == 0.5 and not (tmp_path / "ann_accuracy.json").exists()
    (tmp_path / "checkpoint.npz").unlink()
    with pytest.raises(
        ValueError, match="log.csv of an earlier training, whose checkpoint.npz is missing. Remove the whole"
    ):
        trainer(tmp_path)
    (tmp_path / "log.csv").rename(tmp_path / "ann_accuracy.json")
    with pytest.raises(ValueError, match="holds ann_accuracy.json"):
        trainer(tmp_path)


OTHER_WORDS = (
    "--preset published", "--dataset fashion", "--stages ann", "--images 9", "--quick", "--depth 9", "--width 0.5", "--dense 7",
    "--dropout 0.3", "--kernel-size 5", "--seed 7", "--ann-epochs 3",
)  # fmt: skip


@pytest.mark.parametrize("words", OTHER_WORDS)
def test_other_options_have_files_of_their_own(words):
    """What is left out is as shipped; other networks neither replace a shipped file nor share a folder of checkpoints."""
    usual, other = (parse_options(["--variant", "plain", *more.split()]) for more in ("", words))
    assert usual.out.as_posix() == "weights/digits_plain_if.keras"
    assert other.out != usual.out and other.checkpoints != usual.checkpoints
    assert (outside_recipe(other), recipe_of(other)) != (outside_recipe(usual), recipe_of(usual))


def test_names_of_files_tell_all_options_apart():
    made = [parse_options(["--variant", "plain", *words.split()]) for words in OTHER_WORDS]
    assert len({options.out for options in made}) == len(OTHER_WORDS)
    assert made[7].out.as_posix() == "results/train_predictive/digits_vgg5_plain_dense-7.keras"
    long = ["--dense", *["128"] * 30]
    names = {parse_options(["--variant", "plain", *long, *more]).out.name for more in ([], ["--seed", "1"])}
    assert len(names) == 2 and max(map(len, names)) < 60


def test_a_training_is_not_resumed_with_other_images(tmp_path):
    words = "--variant plain --stages ann --ann-epochs 0 --width 0.03125 --dense 4 --images"
    folders = ["--out", str(tmp_path / "a.keras"), "--checkpoints", str(tmp_path / "ck")]
    main([*words.split(), "40", *folders])
    card = (tmp_path / "a.md").read_text()
    assert "| training | 0 epochs as ANN, 0 as SNN" in card
    with pytest.raises(ValueError, match=r"\(images: 40 there, 50 now\)"):
        main([*words.split(), "50", *folders])
    assert (tmp_path / "a.md").read_text() == card


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--stages snn", "--stages snn needs --pretrained-ann FILE, or --default-threshold 1"),
        ("--pretrained-ann none.keras", "none.keras does not exist"),
        ("--gate-epsilon 0.1", "--gate-epsilon needs a generator; use --variant feedback, or leave it out"),
        ("--generator-width=9", "--generator-width needs a generator"),
        ("--ann-trade-off 99", "--ann-trade-off needs a generator"),
        ("--alpha 7", "--alpha needs --surrogate spike_time"),
        ("--gamma 7 --surrogate spike_time", "--gamma needs --surrogate linear"),
        ("--ann-momentum 0.5", "--ann-momentum needs --ann-optimizer sgd"),
        ("--snn-momentum 0.5 --preset published", "--snn-momentum needs --snn-optimizer sgd"),
        ("--amsgrad true --ann-optimizer sgd --snn-optimizer sgd", "--amsgrad needs --ann-optimizer adam"),
        ("--ann-stop-after 3", "--ann-stop-after needs --stop-below"),
        ("--balance-steps 3 --default-threshold 1", "--balance-steps has no effect beside --default-threshold"),
        ("--balance-blocks true", "--balance-blocks needs --architecture resnet"),
        ("--width -1", "argument --width: -1 must be greater than 0"),
        ("--dropout 2", "argument --dropout: 2 must be 0 or more, and less than 1"),
        ("--dense 0", "argument --dense: 0 must be 1 or more"),
        ("--threads 0", "argument --threads: 0 must be 1 or more"),
        ("--ann-epochs -3", "argument --ann-epochs: -3 must be 0 or more"),
        ("--learning-rate-drop nan", "argument --learning-rate-drop: nan must be greater than 0, and 1 at most"),
        ("--pres published", "unrecognized arguments: --pres published"),
        ("--kernel-size 2", "--kernel-size must be odd, got 2"),
        ("--colours statistics --dataset cifar10", "--colours statistics needs --stages ann"),
        ("--colours statistics --stages ann", "and --dataset cifar10 or cifar100"),
    ],
)
def test_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        parse_options(["--variant", "plain", *words.split()])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("batch_size", 0), ("ann_epochs", -3), ("leak", -2.0), ("leak", 1.5), ("gamma", -1.0), ("snn_images", 0),
     ("threshold_scale", -1.0), ("learning_rate_drop", float("nan")), ("ann_learning_rate", -1.0), ("seed", -1),
     ("snn_momentum", 1.0), ("gate_epsilon", -0.1), ("stop_below", 2.0), ("weight_decay", "much")],
)  # fmt: skip
def test_numbers_out_of_their_range(name, value):
    with pytest.raises(ValueError, match=f"Recipe: {name}={value!r} must be "):
        Recipe(**{name: value})


def test_all_published_commands_of_the_pages_are_accepted(tmp_path, monkeypatch):
    """No command of the documentation gives an option that another one leaves unused."""
    monkeypatch.chdir(tmp_path)
    for name in ("ANN.keras", "CIFAR10.keras"):
        (tmp_path / name).touch()
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    commands = [
        words
        for text in texts
        for words in re.findall(r"^python -m brainsnn.training.train_predictive (.*)", text, re.M)
    ]
    assert len(commands) > 9
    for words in commands:
        parse_options(words.split())


def test_colours_by_the_statistics_of_each_channel(monkeypatch):
    """As the published script of plain ANNs; what a crop shows beyond the image is black, and black is not 0 there."""
    white_and_black = np.stack([np.ones((32, 32, 3)), np.zeros((32, 32, 3))]).astype(np.float32)
    images = (white_and_black, np.arange(2))
    monkeypatch.setitem(DATASETS, "cifar10", (lambda split: images, 10, True))
    found = load_dataset("cifar10", "statistics")
    np.testing.assert_allclose(
        found.images[0, 3, 4], (1 - np.array([0.4914, 0.4822, 0.4465])) / [0.2023, 0.1994, 0.2010], 1e-5
    )
    np.testing.assert_array_equal(found.images[1, 3, 4], found.black)
    cropped = crop_and_flip(found.images[[0] * 20], np.random.default_rng(1), black=found.black)
    colours = np.unique(cropped.reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(colours, np.stack([found.black, found.images[0, 3, 4]]))
    as_range = load_dataset("cifar10")
    np.testing.assert_array_equal(as_range.black, [-1, -1, -1])
    np.testing.assert_array_equal(as_range.images, 2 * white_and_black - 1)
    with pytest.raises(ValueError, match="colours='statistics' for 'digits'; choose 'range'"):
        load_dataset("digits", "statistics")
    with pytest.raises(ValueError, match="colours='mean' for 'cifar10'; choose 'range' or 'statistics'"):
        load_dataset("cifar10", "mean")


def test_the_command_names_a_file_as_it_is_written(tmp_path):
    path = tmp_path / "An ANN.keras"
    path.touch()
    words = ["--variant", "plain", "--stages", "snn", "--pretrained-ann", str(path), "--kernel-size", "5"]
    command = command_of(parse_options([*words, "--out", "x.keras"]))
    assert f"--pretrained-ann '{path}'" in command and "--kernel-size 5" in command and "--stages snn" in command


@pytest.mark.slow
def test_the_snn_alone_from_an_ann(tmp_path):
    """From the command line: an ANN, then an SNN that begins with its weights, and one from scratch."""
    words = "--preset published --variant plain --width 0.03125 --dense 4 --images 12 --batch-size 4 --ann-epochs 2 "
    words += "--snn-epochs 2 --steps 4"
    balancing = ["--balance-steps", "4", "--balance-images", "4"]

    def run(name, *more):
        return main(
            [*words.split(), *more, "--out", str(tmp_path / f"{name}.keras"), "--checkpoints", str(tmp_path / name)]
        )

    run("ann", "--stages", "ann")
    settings = run("snn", "--stages", "snn", "--pretrained-ann", str(tmp_path / "ann.keras"), *balancing)
    assert set(settings["thresholds"]) == {"conv1", "conv2", "conv3", "dense1"}
    ann = json.loads((tmp_path / "ann.json").read_text())["measures"]["ann"]["accuracy"]
    assert settings["measures"]["ann"]["first_stage_accuracy"] == ann
    assert "0 epochs as ANN, 1 as SNN" in (tmp_path / "snn.md").read_text()
    assert "--stages snn" in settings["command"] and str(tmp_path / "ann.keras") in settings["command"]
    assert set(run("scratch", "--stages", "snn", "--default-threshold", "1")["thresholds"].values()) == {1.0}
    with pytest.raises(ValueError, match="has no weights for dense1, classifier"):
        run("other", "--stages", "snn", "--pretrained-ann", str(tmp_path / "ann.keras"), "--dense", "5")


TINY = "--variant plain --width 0.03125 --dense 4 --images 12 --batch-size 4 --steps 4 --training-steps 4"


def test_the_card_says_how_many_epochs_were_trained(tmp_path):
    words = f"{TINY} --stages ann --ann-epochs 6 --stop-below 1 --ann-stop-after 1"
    main([*words.split(), "--out", str(tmp_path / "a.keras"), "--checkpoints", str(tmp_path / "ck")])
    assert "| training | 2 epochs as ANN, 0 as SNN" in (tmp_path / "a.md").read_text()


def test_thresholds_without_an_epoch(tmp_path):
    """An ANN is only balanced: files are written, and a plot of no epochs is not."""
    words = f"{TINY} --stages snn --default-threshold 1 --snn-epochs 0"
    settings = main([*words.split(), "--out", str(tmp_path / "a.keras"), "--checkpoints", str(tmp_path / "ck")])
    assert settings["thresholds"] == json.loads((tmp_path / "a.json").read_text())["thresholds"]
    assert "snn, epsilon None" in settings["measures"] and settings["thresholds"]["conv1"] == 1
    assert not list((tmp_path / "ck").glob("log.*"))


@pytest.mark.parametrize("changes", [{"batch_size": 9}, {"batch_size": 5, "snn_images": 4}])
def test_an_epoch_of_less_than_a_batch_is_refused(tmp_path, changes):
    n, stage = (4, "SNN") if "snn_images" in changes else (8, "ANN")
    with pytest.raises(
        ValueError, match=f"batch_size={changes['batch_size']} is more than the {n} images of .* {stage}"
    ):
        trainer(tmp_path / "ck", keep_remainder=False, **changes)
    assert not (tmp_path / "ck").exists()
    trainer(tmp_path / "ck", **changes)
