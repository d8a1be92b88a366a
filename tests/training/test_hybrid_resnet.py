"""Residual networks of the hybrid code as spiking networks: unrolled in TensorFlow as in Brian2, balanced, and trained."""

from contextlib import nullcontext

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

import brainsnn as bs  # noqa: E402
from brainsnn.training.balancing import balance_thresholds, stem_of  # noqa: E402
from brainsnn.training.hybrid_resnet import hybrid_resnet  # noqa: E402
from brainsnn.training.predictive_options import command_of, parse_options  # noqa: E402
from brainsnn.training.predictive_recipe import Recipe, published_recipe  # noqa: E402
from brainsnn.training.predictive_training import Trainer  # noqa: E402
from brainsnn.training.unroll import SpikingUnroll  # noqa: E402

N_STEPS = 25
STEM = ["stem1", "stem2", "stem3"]


@pytest.fixture(scope="module")
def model():
    network, random = hybrid_resnet(12, (16, 16, 3), 4, width=1 / 16, conv_dropout=0.2), np.random.default_rng(0)
    for layer in network.layers:
        layer.set_weights([random.normal(0.1, 0.4, w.shape) / np.prod(w.shape[:2]) ** 0.5 for w in layer.get_weights()])
    return network


@pytest.fixture(scope="module")
def images():
    """Pixels of 0 and 1, which leave nothing to chance."""
    return np.random.default_rng(1).integers(0, 2, (3, 16, 16, 3)).astype(np.float32)


def test_spikes_equal_those_of_brian2(model, images):
    """Neuron 2 of a block gets its convolution and the input of the block in the same step, as published."""
    unroll = SpikingUnroll(model)
    thresholds = balance_thresholds(unroll, images, 20, 0.5)
    counts = unroll.run(tf.constant(images), N_STEPS)["spikes"]
    snn = bs.convert(model, neuron=bs.IF(), thresholds=thresholds, encoder="poisson", dtype="float64")
    result = snn.run(images, N_STEPS * bs.ms)
    assert len(counts) == 12 and min(values.numpy().min() for values in counts.values()) > 100
    for name, values in counts.items():
        np.testing.assert_array_equal(values.numpy(), result.spike_counts[name], err_msg=name)


def test_thresholds_of_blocks_stay_at_1_as_published(model, images):
    unroll = SpikingUnroll(model)
    assert stem_of(unroll.stages) == STEM
    balanced = balance_thresholds(unroll, images, 20, 0.5)
    published = balance_thresholds(unroll, images, 20, 0.5, blocks=False)
    assert {name: balanced[name] for name in STEM} == {name: published[name] for name in STEM}
    assert {published[name] for name in balanced if name not in STEM} == {1.0} and set(published) == set(balanced)


def test_fewer_input_spikes(model):
    white, stages = tf.ones((4, 16, 16, 3)), SpikingUnroll(model).stages
    thresholds = {stage.name: 1.0 for stage in stages if stage.spikes}
    for rate in (1.0, 0.9):
        sent = SpikingUnroll(model, thresholds, input_rate=rate).run(white, 50)["spikes"]["input"]
        assert sent.numpy().mean() / (50 * 768) == pytest.approx(rate, abs=0.01)
    with pytest.raises(ValueError, match="input_rate=0.9 has no effect beside contrast='published'"):
        SpikingUnroll(model, contrast="published", input_rate=0.9)
    for rate in (0.0, 1.1):
        with pytest.raises(ValueError, match="input_rate"):
            Recipe(input_rate=rate)


def test_options():
    words = "--preset published --variant plain --architecture resnet --dataset cifar10 --out r.keras".split()
    options = parse_options(words)
    assert (options.depth, options.width, options.input_rate, options.balance_blocks) == (20, 1.0, 0.9, False)
    assert published_recipe("plain", residual=True).ann_optimizer == "sgd"
    assert command_of(parse_options([*words, "--depth", "12"])).split()[2:] == [
        "brainsnn.training.train_predictive", "--preset", "published", "--variant", "plain", "--architecture", "resnet",
        "--dataset", "cifar10", "--depth", "12", "--out", "r.keras",
    ]  # fmt: skip
    assert "resnet" in parse_options(["--variant", "plain", "--architecture", "resnet"]).out.name  # not a shipped file


@pytest.mark.parametrize(
    "words, message",
    [
        ("--variant feedback --architecture resnet", "no generator"),
        ("--variant plain --architecture resnet --depth 9", "invalid choice: 9"),
        ("--variant plain --architecture resnet --dense 100", "unrecognized arguments"),
    ],
)
def test_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        parse_options(words.split())
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("n_steps", "silent"), [(40, False), (8, True)])
def test_both_stages_train(tmp_path, n_steps, silent):
    """Too few steps for spikes to reach the last block are told."""
    random = np.random.default_rng(2)
    images, labels = random.random((16, 16, 16, 3)).astype(np.float32), np.arange(16) % 4
    keras.utils.set_random_seed(0)
    network = hybrid_resnet(6, (16, 16, 3), 4, width=1 / 16, conv_dropout=0.2)
    recipe = Recipe(
        ann_epochs=2, snn_epochs=2, steps=n_steps, training_steps=n_steps, snn_images=16, batch_size=8, augmentation="none",
        balance_images=8,
        ann_conv_dropout=0.2, snn_conv_dropout=0.2, balance_blocks=False, input_rate=0.9,
    )  # fmt: skip
    trainer = Trainer(network, recipe, tmp_path, images, labels, (images, labels), report=lambda line: None)
    before = [w.copy() for w in network.get_weights()]
    trainer.train_ann()
    middle = [w.copy() for w in network.get_weights()]
    told = pytest.warns(UserWarning, match="'block2_1_second' sent no spike") if silent else nullcontext()
    with told:
        trainer.train_snn()
    for old, new in ((before, middle), (middle, network.get_weights())):
        assert all((a != b).any() for a, b in zip(old, new)) or (silent and old is middle)
    assert {trainer.thresholds[name] for name in trainer.thresholds if name not in STEM} == {1.0}
