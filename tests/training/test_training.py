"""The TensorFlow side: transfer layer, architectures, digits, and the command that remakes the shipped network."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from locations import ROOT

from brainsnn.equations.transfer import spike_height, transfer_function
from brainsnn.stimuli.digits import load_cifar10, load_digits, load_mnist
from brainsnn.training import ASNTransfer, load_model, preactivation_resnet, small_vgg, vgg16

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

SHIPPED = ROOT / "weights" / "digits.keras"
EXTREMES = [-np.inf, -3e38, -3.4, -10 / 3, -0.1943, -1e-30, 0.0, 1e-30, 1e4, 3e38, np.inf]


# --- transfer layer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m_f", [0.01, 0.1, 0.45, 2.0])
@pytest.mark.parametrize("threshold", [0.0, 0.3, -1.0])
def test_layer_equals_numpy(m_f, threshold):
    x = np.linspace(-4, 30, 4001).astype("float32")
    y = np.asarray(ASNTransfer(m_f, threshold)(x))
    np.testing.assert_allclose(y, transfer_function(x, m_f, threshold), atol=5e-6)


def test_layer_equals_the_published_form():
    """Against the formula as it is printed, numbers and all, at m_f = 0.1."""
    m, tg, te = 0.1, 15.0, 50.0
    c1, c2, c3, c4 = 2 * m * tg**2, 2 * m * te * tg, tg * (m * tg + 2 * (m + 1) * te), m * te * (tg + te)
    h = 0.12443

    def rate(S):
        return h / (np.exp((c1 * S + c2) / (c3 * S + c4)) - 1)

    x = np.linspace(0.1, 4, 40)
    y = np.asarray(ASNTransfer(0.1)(x.astype("float32")))
    np.testing.assert_allclose(y, rate(x) - rate(m / 2) + h / 2, rtol=1e-4)
    assert spike_height(0.1) == pytest.approx(h, abs=1e-5)


@pytest.mark.parametrize("m_f", [0.02, 0.1, 0.45, 3.0])
def test_one_stays_one_and_silence_is_silent(m_f):
    y = np.asarray(ASNTransfer(m_f)(np.array([1.0, -1.0, 0.0], "float32")))
    # the formula is an approximation: at small m_f, f(0) is not quite 0
    np.testing.assert_allclose(y, [1, 0, 0], atol=2e-4)
    assert y[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.5, -np.inf])
def test_finite_everywhere(threshold):
    x = tf.constant(np.concatenate([np.linspace(-5, 50, 5001), EXTREMES]), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ASNTransfer(0.1, threshold)(x)
    gradient = tape.gradient(y, x).numpy()
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(gradient).all()
    assert gradient.min() >= 0
    # the slope is about one where networks work, hence no rescaling of the gradient with depth
    assert np.all((0.5 < gradient[(x > 0.5) & (x < 2)]) & (gradient[(x > 0.5) & (x < 2)] < 1.5))


def test_layer_refuses_nonsense():
    for m_f in (0, -0.1, np.nan, np.inf, "much"):
        with pytest.raises(ValueError, match="ASNTransfer.m_f"):
            ASNTransfer(m_f)
    with pytest.raises(ValueError, match="ASNTransfer.threshold"):
        ASNTransfer(0.1, threshold=np.nan)


def test_layer_round_trip(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, ASNTransfer(0.37, 0.2, name="asn")(keras.layers.Dense(5)(inputs)))
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    for loaded in (load_model(tmp_path / "m.keras"), keras.saving.load_model(tmp_path / "m.keras")):
        assert (loaded.get_layer("asn").m_f, loaded.get_layer("asn").threshold) == (0.37, 0.2)
        np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(model(x)))


def test_importing_brainsnn_does_not_import_tensorflow():
    code = "import sys, brainsnn, brainsnn.training, brainsnn.training.keras_files, brainsnn.stimuli\n"
    code += "assert not {'tensorflow', 'keras', 'h5py'} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- architectures ----------------------------------------------------------------------------------------------------


# Weights of the convolutions. 18, 34, 50: the counts published for torchvision's networks, which have the same
# convolutions, less their batch norms and classifier; 20: He et al.'s CIFAR network with projections.
CONVOLUTIONS = {
    18: 11_689_512 - 9_600 - 513_000,
    34: 21_797_672 - 17_024 - 513_000,
    50: 25_557_032 - 53_120 - 2_049_000,
    20: 432 + 13_824 + (4_608 + 46_080 + 512) + (18_432 + 184_320 + 2_048),
}


@pytest.mark.parametrize("depth", sorted(CONVOLUTIONS))
def test_resnet_has_the_published_weights(depth):
    size = 32 if depth == 20 else 224
    model = preactivation_resnet(depth, (size, size, 3), n_classes=7, classifier_activation="sigmoid")
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert sum(layer.count_params() for layer in convolutions) == CONVOLUTIONS[depth]
    assert not any(layer.use_bias for layer in convolutions)
    # the shortcuts do not count as depth; the classifier does
    assert len([layer for layer in convolutions if "shortcut" not in layer.name]) == depth - 1
    n_nonlinear = sum(isinstance(layer, ASNTransfer) for layer in model.layers)
    assert n_nonlinear == (depth - 1 - 1) + 2  # one before each convolution but the stem, on the pixels, at the end
    assert n_nonlinear == sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    assert model.output_shape == (None, 7)
    assert model.get_layer("readout").activation is keras.activations.sigmoid


def test_resnet_shapes_at_224():
    model = preactivation_resnet(18, m_f=0.45)
    names = [layer.name for layer in model.layers]
    assert names[:6] == ["pixels", "encoding_bn", "encoding_asn", "stem_conv", "stem_pool", "stage1_block1_bn1"]
    assert model.get_layer("stage1_block1_add").input[0] is model.get_layer("stage1_block1_asn1").output
    assert names[-5:] == ["stage4_block2_add", "final_bn", "final_asn", "global_pool", "readout"]
    sizes = {"stem_conv": 112, "stem_pool": 56, "stage1_block2_add": 56, "stage2_block1_add": 28, "final_asn": 7}
    assert {name: model.get_layer(name).output.shape[1] for name in sizes} == sizes
    assert {layer.m_f for layer in model.layers if isinstance(layer, ASNTransfer)} == {0.45}


@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_at_224_converts(depth):
    from brainsnn.builders.from_keras.reader import read_keras

    graph = read_keras(preactivation_resnet(depth, n_classes=8, width=8))
    spiking = [population for population in graph.populations.values() if population.kind == "spiking"]
    assert len(spiking) == depth  # one before each layer with weights, and on the pixels


def test_resnet_runs_and_loads_again(tmp_path):
    images = np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 3)).astype("float32")
    for depth in (18, 50):
        model = preactivation_resnet(depth, (32, 32, 3), n_classes=5, width=4)
        outputs = np.asarray(model(images))
        assert np.isfinite(outputs).all()
        np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
        model.save(tmp_path / "m.keras")
        np.testing.assert_array_equal(np.asarray(load_model(tmp_path / "m.keras")(images)), outputs)


def test_resnet_without_encoding_and_with_a_chosen_stem():
    model = preactivation_resnet(20, (32, 32, 3), n_classes=3, encoding=False, stem="imagenet", width=4)
    assert [layer.name for layer in model.layers][1:3] == ["stem_conv", "stem_pool"]


def test_small_vgg(tmp_path):
    model = small_vgg(
        (12, 16, 3), 4, channels=(4, 6), convolutions_per_stage=2, dense=(8, 5), pooling="max", dropout=0.1
    )
    weights = 9 * (3 * 4 + 4 * 4 + 4 * 6 + 6 * 6) + 3 * 4 * 6 * 8 + 8 * 5 + 5 * 4 + 4
    norms = 4 * (4 + 4 + 6 + 6 + 8 + 5)
    assert model.count_params() == weights + norms
    names = [layer.name for layer in model.layers if layer.weights and not layer.name.endswith("_bn")]
    assert names == ["conv1", "conv2", "conv3", "conv4", "dense1", "dense2", "readout"]
    images = np.random.default_rng(0).uniform(0, 1, (2, 12, 16, 3)).astype("float32")
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(np.asarray(load_model(tmp_path / "m.keras")(images)), np.asarray(model(images)))


def test_vgg16_has_the_published_layers():
    model = vgg16((32, 32, 3), n_classes=5, width=2, m_f=0.2)
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.filters for layer in convolutions] == [2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16]
    pooled_after = [
        sum(layer in convolutions for layer in model.layers[:k])
        for k, layer in enumerate(model.layers)
        if type(layer).__name__ == "MaxPooling2D"
    ]
    assert pooled_after == [2, 4, 7, 10, 13]
    assert [layer.units for layer in model.layers if type(layer).__name__ == "Dense"] == [128, 128, 5]
    assert {layer.m_f for layer in model.layers if isinstance(layer, ASNTransfer)} == {0.2}


def test_architectures_refuse_nonsense():
    with pytest.raises(ValueError, match="depth must be one of .*19"):
        preactivation_resnet(19)
    with pytest.raises(ValueError, match="stem"):
        preactivation_resnet(18, stem="no")
    with pytest.raises(ValueError, match="input_shape"):
        preactivation_resnet(18, (224, 224))
    with pytest.raises(ValueError, match="pooling"):
        small_vgg(pooling="median")
    with pytest.raises(ValueError, match="too small"):
        small_vgg((4, 4, 1), channels=(2, 2, 2))
    with pytest.raises(ValueError, match="convolutions_per_stage=.*one for each of the 2 stages"):
        small_vgg(channels=(2, 2), convolutions_per_stage=(1, 2, 3))


# --- data -------------------------------------------------------------------------------------------------------------


def test_split_is_fixed_stratified_and_without_overlap():
    train, train_labels = load_digits("train")
    test, test_labels = load_digits("test")
    assert train.shape == (4000, 28, 28, 1) and test.shape == (1000, 28, 28, 1)
    assert train.dtype == np.float32 and train.min() == 0 and train.max() == 1
    assert np.all(np.bincount(train_labels) == 400) and np.all(np.bincount(test_labels) == 100)
    assert len(set(test_labels[:60])) == 10  # the first images are not all of one class
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}
    images, labels = load_digits("all")
    np.testing.assert_array_equal(images, np.concatenate([train, test]))
    # every result in this repository refers to this split; if this fails, all of them change
    digest = hashlib.sha256(np.round(255 * test).astype("uint8").tobytes() + test_labels.astype("uint8").tobytes())
    assert digest.hexdigest() == "af0bd952b941c622fed68e65572827391a901aef90fadb2a4767482bd6a68d8e"


def test_unknown_split():
    for load in (load_digits, load_mnist, load_cifar10):
        with pytest.raises(ValueError, match="'valid'"):
            load("valid")


def test_downloads_are_scaled_or_fail_clearly(monkeypatch):
    data = (
        (np.full((2, 32, 32, 3), 255, "uint8"), np.array([[3], [4]])),
        (np.zeros((1, 32, 32, 3), "uint8"), np.array([[5]])),
    )
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: data)
    images, labels = load_cifar10("all")
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.float32 and images.max() == 1
    assert labels.tolist() == [3, 4, 5]

    def offline():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", offline)
    with pytest.raises(RuntimeError, match="load_digits"):
        load_mnist()


# --- the shipped network ----------------------------------------------------------------------------------------------


def test_shipped_network():
    assert SHIPPED.stat().st_size < 1e6
    model = load_model(SHIPPED)
    images, labels = load_digits("test")
    outputs = model.predict(images, batch_size=250, verbose=0)
    assert np.mean(outputs.argmax(axis=1) == labels) >= 0.985
    for name in ("conv1", "conv2", "dense1", "readout"):
        assert model.get_layer(name).weights
    # activations stay where one ASN neuron can follow: a neuron saturates at about 4
    nonlinear = [layer for layer in model.layers if isinstance(layer, ASNTransfer)]
    for activations in keras.Model(model.input, [layer.output for layer in nonlinear]).predict(images[:200], verbose=0):
        assert np.percentile(activations, 99.9) < 3


def test_card_belongs_to_the_checkpoint():
    from brainsnn.training.checkpoints import weights_hash

    card = SHIPPED.with_suffix(".md").read_text(encoding="utf-8")
    assert weights_hash(load_model(SHIPPED)) in card
    for word in (
        "python -m brainsnn.training.train_digits --epochs",
        "MNIST",
        "seed",
        "licence",
        "accuracy on 1000 test",
    ):
        assert word in card


def test_augmentation_keeps_digits_digits():
    from brainsnn.training.train_digits import augment

    images, _ = load_digits("test")
    warped = augment(images[:50], np.random.default_rng(0))
    assert warped.shape == (50, 28, 28, 1) and warped.dtype == np.float32
    assert 0 <= warped.min() and warped.max() <= 1
    np.testing.assert_allclose(warped.mean(), images[:50].mean(), rtol=0.15)
    assert np.abs(warped - images[:50]).mean() > 0.02
    np.testing.assert_array_equal(warped, augment(images[:50], np.random.default_rng(0)))


def test_augmentation_by_nothing_is_the_identity(monkeypatch):
    from brainsnn.training import train_digits

    for name in ("MAX_SHIFT", "MAX_ROTATION", "MAX_ZOOM", "MAX_SHEAR"):
        monkeypatch.setattr(train_digits, name, 0.0)
    images, _ = load_digits("test")
    np.testing.assert_allclose(train_digits.augment(images[:5], np.random.default_rng(0)), images[:5], atol=1e-6)


def test_quick_training_writes_checkpoint_and_card(tmp_path, capsys):
    from brainsnn.training.train_digits import main

    before = SHIPPED.read_bytes()
    out = tmp_path / "new" / "quick.keras"
    accuracy = main(["--quick", "--out", str(out)])
    assert 0 <= accuracy <= 1
    assert "epoch   1/1" in capsys.readouterr().out
    assert sorted(file.name for file in out.parent.iterdir()) == ["quick.keras", "quick.md"]
    assert "--quick --epochs 1" in out.with_suffix(".md").read_text(encoding="utf-8")
    assert load_model(out).output_shape == (None, 10)
    assert SHIPPED.read_bytes() == before


def test_quick_training_spares_the_shipped_network(tmp_path, monkeypatch):
    from brainsnn.training import train_digits

    assert train_digits._parse(["--quick"]).out != train_digits.SHIPPED
    for wrong in (["--epochs", "0"], ["--seed", "-1"], ["--out", "digits.h5"]):
        with pytest.raises(SystemExit):
            train_digits._parse(wrong)
