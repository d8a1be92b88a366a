"""The published recipe of predictive-feedback networks, one test per deviation that the older recipe had."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

from brainsnn.training.balancing import balance_thresholds  # noqa: E402
from brainsnn.training.predictive_data import augmented, crop_and_flip  # noqa: E402
from brainsnn.training.predictive_options import parse_options, recipe_of  # noqa: E402
from brainsnn.training.predictive_recipe import Recipe, learning_rate_of, published_recipe  # noqa: E402
from brainsnn.training.predictive_training import Trainer  # noqa: E402
from brainsnn.training.predictive_vgg import predictive_vgg, spiking_layers  # noqa: E402
from brainsnn.training.surrogate import time_weights  # noqa: E402
from brainsnn.training.unroll import SpikingUnroll  # noqa: E402

RNG = np.random.default_rng(0)
IMAGES = RNG.random((10, 8, 8, 1)).astype(np.float32)
LABELS = RNG.integers(0, 4, 10)
SMALL = {"ann_epochs": 3, "snn_epochs": 2, "steps": 3, "batch_size": 4, "balance_images": 6, "balance_steps": 5}


def _small(**options):
    keras.utils.set_random_seed(0)
    model = predictive_vgg(
        5, (8, 8, 1), 4, width=1 / 16, dense=(6,), published=True, conv_dropout=0.3, dropout=0.5, **options
    )
    for layer in model.layers:
        layer.set_weights([np.abs(w) for w in layer.get_weights()])
    return model


def _trainer(tmp_path, report=lambda line: None, validation=None, variant="feedback", **changes):
    recipe = Recipe(**{**vars(published_recipe(variant)), **SMALL, **changes})
    model = _small(feedback=variant == "feedback")
    return Trainer(model, recipe, tmp_path, IMAGES, LABELS, validation or (IMAGES, LABELS), report)


def _parsed(line):
    options = parse_options([*line.split(), "--out", "x.keras"])
    return options, recipe_of(options)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_adam(tmp_path, optimizer):
    """AMSGrad with the decay added to the gradient, or SGD with momentum: three steps as by the formulas of PyTorch."""
    trainer = _trainer(tmp_path, ann_optimizer=optimizer, ann_learning_rate=1e-2)
    variable = trainer.model.trainable_variables[0]
    others = [tf.zeros_like(v) for v in trainer.model.trainable_variables[1:]]
    w, m, v, largest, speed = variable.numpy().astype(float), 0.0, 0.0, 0.0, 0.0
    for t in range(1, 4):
        given = np.random.default_rng(t).normal(0, 1 / t, w.shape)
        trainer._apply([tf.constant(given, tf.float32), *others])
        g = given + 5e-4 * w
        if optimizer == "sgd":
            speed = 0.9 * speed + g
            w = w - 1e-2 * speed
            continue
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        largest = np.maximum(largest, v)
        w = w - 1e-2 * m / (1 - 0.9**t) / (np.sqrt(largest / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(variable, w, rtol=1e-4, atol=1e-6)
    recipe = published_recipe()
    assert (recipe.ann_learning_rate, recipe.snn_learning_rate, recipe.adam_epsilon, recipe.amsgrad) == (
        1e-4,
        1e-4,
        1e-8,
        True,
    )
    plain = published_recipe("plain")
    assert (plain.ann_optimizer, plain.ann_learning_rate, plain.ann_momentum, plain.snn_optimizer) == (
        "sgd",
        1e-2,
        0.9,
        "adam",
    )


def test_learning_rate_schedule():
    """A tenth at the start of epochs 60, 80 and 90 of 100, numbered from 1; 99 epochs; falls that coincide count once."""
    recipe = published_recipe()
    rates = [learning_rate_of(recipe, "snn", done) for done in range(99)]
    falls = [done + 1 for done in range(1, 99) if rates[done] < rates[done - 1]]
    assert falls == [60, 80, 90]
    np.testing.assert_allclose([rates[0], rates[-1]], [1e-4, 1e-7])
    short = Recipe(**{**vars(recipe), "ann_epochs": 4})  # at 2, 3 and 3
    np.testing.assert_allclose([learning_rate_of(short, "ann", done) for done in range(3)], [1e-4, 1e-5, 1e-6])
    one = Recipe(**{**vars(recipe), "ann_epochs": 1})  # epoch 0 never comes
    assert learning_rate_of(one, "ann", 0) == 1e-4
    shipped = [learning_rate_of(Recipe(), "ann", done) for done in range(25)]
    np.testing.assert_allclose(np.array(shipped)[[0, 14, 15, 20, 22]], 1e-3 * 0.2 ** np.array([0, 0, 1, 2, 3]))


def test_trade_off():
    """One per stage: 10 by default in the ANN, 1 in the SNN."""
    recipe = published_recipe()
    assert (recipe.ann_trade_off, recipe.snn_trade_off) == (10, 1)
    _, recipe = _parsed("--preset published --variant feedback --ann-trade-off 2.5")
    assert (recipe.ann_trade_off, recipe.snn_trade_off) == (2.5, 1)


def test_conv_dropout_of_both_stages(tmp_path):
    """0.2 in the ANN and 0.3 in the SNN after convolutions; 0.5 in both after dense layers."""
    trainer = _trainer(tmp_path / "rates")

    def rates():
        return {layer.name: layer.rate for layer in trainer.model.layers if isinstance(layer, keras.layers.Dropout)}

    assert sorted(rates().values()) == [0.2, 0.2, 0.5]
    trainer._begin("snn")
    assert sorted(rates().values()) == [0.3, 0.3, 0.5]
    bare = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,), published=True)
    with pytest.raises(ValueError, match="have no effect on a network without dropout after convolutions"):
        Trainer(bare, trainer.recipe, tmp_path / "bare", IMAGES, LABELS, (IMAGES, LABELS))


def test_time_of_reconstruction(tmp_path):
    """The last step; or t/T^2 at each, as a sum over the batch."""
    assert published_recipe().reconstruct_at == "last"
    weights = time_weights("published_linear", 5)
    np.testing.assert_allclose(weights, np.arange(1, 6) / 25)
    assert weights.sum() == pytest.approx(6 / 10)
    trainer = _trainer(tmp_path)
    logits, labels = tf.zeros((2, 4)), tf.constant([0, 1])
    predictions = [tf.fill((2, 8, 8, 1), value) for value in (0.5, 0.75, 1.0)]
    images = tf.ones((2, 8, 8, 1))
    error = sum(t / 9 * 2 * 64 * (1 - value) ** 2 for t, value in ((1, 0.5), (2, 0.75), (3, 1.0)))
    found = trainer._loss(logits, predictions, time_weights("published_linear", 3), images, labels, 3.0, batch_sum=True)
    np.testing.assert_allclose(found, np.log(4) + 3 * error, rtol=1e-6)
    found = trainer._loss(logits, predictions[:1], time_weights("last", 1), images, labels, 3.0)
    np.testing.assert_allclose(found, np.log(4) + 3 * 64 * 0.25, rtol=1e-6)


def test_snn_loss(tmp_path):
    """Sums as logits, no limit on the gradient: one step of SGD from the plain gradient."""
    recipe = published_recipe()
    assert recipe.logit_scale is None and recipe.clip_norm is None
    images = (IMAGES > 0.3).astype(np.float32)  # nothing is left to chance
    trainer = _trainer(
        tmp_path, snn_optimizer="sgd", snn_learning_rate=0.01, snn_momentum=0.0, snn_dropout=False, weight_decay=0.0, steps=12
    )  # fmt: skip
    trainer.balance()
    unroll, variables = trainer.unroll(), trainer.model.trainable_variables
    before = [v.numpy() for v in variables]
    with tf.GradientTape() as tape:
        outputs = unroll.run(tf.constant(images), 12)
        error = tf.reduce_sum((outputs["predictions"][-1] - images) ** 2) / len(images)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, outputs["logits"])) + error
    gradients = tape.gradient(loss, variables)
    assert tf.linalg.global_norm(gradients) > 1  # the shipped recipe would shorten it
    found, _ = trainer._snn_step()(tf.constant(images), LABELS)
    np.testing.assert_allclose(found, loss, rtol=1e-5)
    for old, gradient, variable in zip(before, gradients, variables):
        np.testing.assert_allclose(variable, old - 0.01 * gradient, rtol=1e-4, atol=1e-5)


def test_snn_epoch():
    """All images, all steps; "none" and "all" parse, and a number that is none is refused by its name."""
    recipe = published_recipe()
    assert (recipe.training_steps, recipe.snn_images, recipe.steps) == (None, None, 50)
    _, recipe = _parsed("--variant feedback --gate-epsilon none --training-steps none --snn-images all")
    assert (recipe.gate_epsilon, recipe.training_steps, recipe.snn_images) == (None, None, None)
    _, recipe = _parsed("--variant feedback --gate-epsilon 0.2 --snn-images 100")
    assert (recipe.gate_epsilon, recipe.snn_images) == (0.2, 100)


@pytest.mark.parametrize("words", ["--gate-epsilon x", "--amsgrad 1", "--keep best", "--dataset svhn", "--images 0"])
def test_wrong_options(words, capsys):
    with pytest.raises(SystemExit):
        _parsed(f"--variant feedback {words}")
    assert words.split()[0] in capsys.readouterr().err


def test_balancing_sample(tmp_path):
    """512 new random images for each layer, 1000 steps, no leak."""
    recipe = published_recipe()
    assert (recipe.balance, recipe.balance_images, recipe.balance_steps, recipe.threshold_scale) == (
        "published",
        512,
        1000,
        0.7,
    )
    trainer, seen = _trainer(tmp_path, leak=0.5), []

    class Watched(SpikingUnroll):
        def steps(self, images, n_steps, *rest, **options):
            seen.append((images.numpy(), n_steps, self.leak))
            return super().steps(images, n_steps, *rest, **options)

    make = trainer.unroll
    trainer.unroll = lambda: Watched(make().model, spiking=spiking_layers(trainer.model), leak=0.5)
    trainer.balance()
    assert len(seen) == 7 and {(n, leak) for _, n, leak in seen} == {(5, 1.0)}
    assert all(images.shape == (6, 8, 8, 1) for images, *_ in seen)
    assert len({images.tobytes() for images, *_ in seen}) == 7
    assert list(trainer.thresholds) == ["conv1", "conv2", "conv3", "generator1", "generator2", "prediction", "dense1"]


def test_balancing_scale():
    """Earlier layers have unscaled thresholds; all are scaled at the end. Pixels of 0 and 1 leave nothing to chance."""
    model, images = _small(), (IMAGES > 0.3).astype(np.float32)
    unroll = SpikingUnroll(model, spiking=spiking_layers(model))
    found = balance_thresholds(unroll, images, 12, 0.7, unscaled=True)
    assert found == unroll.thresholds
    unscaled = {name: value / 0.7 for name, value in found.items()}
    again = SpikingUnroll(model, unscaled, spiking=spiking_layers(model))
    largest = dict.fromkeys(found, 0.0)
    for moment in again.steps(tf.constant(images), 12):
        largest = {name: max(value, float(tf.reduce_max(moment["currents"][name]))) for name, value in largest.items()}
    assert min(largest.values()) > 0
    assert unscaled == pytest.approx(largest, rel=1e-5)
    scaled = balance_thresholds(unroll, images, 12, 0.7)
    assert scaled["conv1"] == pytest.approx(found["conv1"]) and scaled["conv3"] != pytest.approx(found["conv3"])


def test_batches(tmp_path):
    """64 images, and the rest of an epoch as well; means weigh batches by their size."""
    assert published_recipe().batch_size == 64 and published_recipe().keep_remainder
    for keep, sizes in ((True, [4, 4, 2]), (False, [4, 4])):
        trainer, seen = _trainer(tmp_path / str(keep), keep_remainder=keep), []

        def step(images, labels, seen=seen):
            seen.append(len(images))
            return len(images), 0.0

        loss, _ = trainer._epoch("ann", 0, step)
        assert seen == sizes and loss == pytest.approx(np.average(sizes, weights=sizes))


def test_augmentation():
    """None for MNIST; for CIFAR a crop out of 4 black pixels around the image, and a flip."""
    assert published_recipe().augmentation == "none" and published_recipe(colour=True).augmentation == "crop_flip"
    random = np.random.default_rng(0)
    assert augmented("none", IMAGES, random) is IMAGES
    images = np.broadcast_to(np.arange(1, 65, dtype=float).reshape(1, 8, 8, 1) / 64, (400, 8, 8, 3)).copy()
    images[0] *= -1
    found = crop_and_flip(images, random)
    padded = np.pad(images[1], ((4, 4), (4, 4), (0, 0)), constant_values=-1)
    crops = {padded[r : r + 8, c : c + 8][:, ::flip].tobytes() for r in range(9) for c in range(9) for flip in (1, -1)}
    shown = {image.tobytes() for image in found[1:]}
    assert len(crops) == 162 and shown <= crops and len(shown) > 100
    with pytest.raises(ValueError, match="augmentation='warp' is for digits"):
        augmented("warp", images, random)


def test_kept_weights_and_early_stop(tmp_path):
    """The best epoch on the test images; a stage ends below 15 % after epoch 30 or 5; resuming keeps both."""
    recipe = published_recipe()
    assert (recipe.keep, recipe.stop_below, recipe.ann_stop_after, recipe.snn_stop_after) == ("best-test", 0.15, 30, 5)
    trainer = _trainer(tmp_path / "best", ann_epochs=4)
    accuracies, weights = iter([0.5, 0.75, 0.25]), []

    def measure(stage):
        weights.append(trainer.model.get_weights())
        return {"accuracy": next(accuracies), "reconstruction": 0.0, "spikes": {}}

    trainer._measure = measure
    trainer.train_ann()
    assert len(weights) == 3
    for kept, best in zip(trainer.model.get_weights(), weights[1]):
        np.testing.assert_array_equal(kept, best)
    assert any((best != last).any() for best, last in zip(weights[1], weights[2]))
    resumed = _trainer(tmp_path / "best", ann_epochs=4)
    resumed.train_ann()  # nothing is left to do
    np.testing.assert_array_equal(resumed.model.get_weights()[0], weights[1][0])
    lines = []
    wrong = IMAGES, np.full(10, 4)  # a class that the network does not have
    stopping = _trainer(tmp_path / "stop", lines.append, wrong, ann_epochs=9, ann_stop_after=2)
    stopping._measure = lambda stage: {"accuracy": 0.0, "reconstruction": 0.0, "spikes": {}}
    stopping.train_ann()
    assert sum(line.startswith("ann epoch") for line in lines) == 3 and any("stopped" in line for line in lines)


def test_ann_iterations(tmp_path):
    """f_t = f_{t-1} + F(x - p_{t-1}); all errors count, and the classifier sees the last features."""
    trainer = _trainer(tmp_path, ann_iterations=3)
    model = trainer.model
    features = keras.Model(model.input, model.get_layer("pool2").output)
    rest = keras.Model(model.get_layer("pool2").output, model.outputs)
    f, errors, predictions = 0.0, IMAGES, []
    for _ in range(3):
        f = f + features(errors)
        logits, raw = rest(f)
        predictions.append(tf.sigmoid(raw))
        errors = IMAGES - predictions[-1]
    found_logits, found = trainer._ann_outputs(tf.constant(IMAGES), False)
    np.testing.assert_allclose(found_logits, logits, rtol=1e-4, atol=1e-6)
    for one, other in zip(found, predictions, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    trainer.train_ann()
    assert np.isfinite(trainer.measure_ann(IMAGES, LABELS)["reconstruction"])
    with pytest.raises(ValueError, match="ann_iterations=0"):
        Recipe(ann_iterations=0)


def test_recipe_refuses_unknown_values():
    with pytest.raises(ValueError, match="keep='best'"):
        Recipe(keep="best")


PUBLISHED_COMMANDS = {
    "--variant plain --dataset mnist": {"ann_optimizer": "sgd", "ann_learning_rate": 1e-2, "snn_learning_rate": 1e-4},
    "--variant feedback --dataset mnist --ann-trade-off 1 --snn-trade-off 1": {"ann_trade_off": 1, "ann_learning_rate": 1e-4},
    "--variant feedback --stages ann --ann-trade-off 7 --ann-learning-rate 3e-4": {"ann_trade_off": 7, "ann_learning_rate": 3e-4},
    "--variant feedback --width 0.5 --generator-width 0.5 --dense 4096 4096": {"ann_trade_off": 10},
    "--variant feedback --width 0.5 --generator-width 0.5 --dense 1024 512": {"ann_trade_off": 10},
    "--variant feedback --depth 9 --dataset cifar10": {"squash": "tanh", "augmentation": "crop_flip"},
    "--variant feedback --depth 9 --dataset cifar100": {"gate_squash": "rescaled_tanh"},
    "--variant feedback --surrogate spike_time --reconstruct-at published_linear --leak 0.9 --steps 100 --ann-iterations 2": {
        "surrogate": "spike_time", "reconstruct_at": "published_linear", "leak": 0.9, "steps": 100, "ann_iterations": 2,
        "alpha": 0.3, "beta": 0.01,
    },
}  # fmt: skip


@pytest.mark.parametrize("line", PUBLISHED_COMMANDS)
def test_published_commands(line):
    """Each published configuration is one command, which changes nothing else."""
    options, recipe = _parsed(f"--preset published {line}")
    assert options.dropout == 0.5
    expected = vars(published_recipe(options.variant, colour=options.dataset.startswith("cifar")))
    assert vars(recipe) == {**expected, **PUBLISHED_COMMANDS[line]}
