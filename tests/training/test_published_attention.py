"""Each deviation from the protocol of Soerensen et al. (2022) that the networks and their training had, by its name."""

import numpy as np
import pytest
from coco_files import write_coco

import brainsnn as bs
from brainsnn.attention import GaussianField, SpatialAttention, pixel_widths, residual_layers
from brainsnn.training import ASNTransfer, asn_resnet
from brainsnn.training.train_resnet import _coco_reader, _options

keras = pytest.importorskip("keras")
L = keras.layers


@pytest.fixture(scope="module")
def model():
    return asn_resnet()


@pytest.fixture(scope="module")
def graph(model):
    return bs.read_keras(model, average_pooling="membrane")


def spiking(graph):
    return [name for name, population in graph.populations.items() if population.kind == "spiking"]


def published_numbers(model):
    """Return layer -> its number k in the published spiking network, in the order of the Keras model."""
    numbers, k = {}, 0
    for layer in model.layers:
        if isinstance(layer, L.Conv2D | L.Add | L.Flatten | L.Dense):
            k += 1
        if layer.name == "stem_conv" or layer.name.endswith("_conv1"):
            k -= 1  # a convolution whose batch norm an ASN follows: they are one layer
        if isinstance(layer, ASNTransfer):
            k += 1
        numbers[layer.name] = k
    return numbers


def test_architecture(model, graph):
    assert model.count_params() == 11_193_492
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 11_184_654
    assert asn_resnet(classes=1000, classifier_activation="softmax").count_params() == 11_702_388
    assert sum(graph.populations[name].size for name in spiking(graph)) == 1_857_024
    assert [readout.size for readout in graph.readouts] == [8]
    maps = [graph.populations[name].shape for name in spiking(graph)]
    blocks = [(n, n, c) for n, c in ((56, 64), (28, 128), (14, 256), (7, 512)) for _ in range(4)]
    assert maps == [(224, 224, 3), (56, 56, 64), *blocks, (1, 1, 512)]
    norms = [layer for layer in model.layers if isinstance(layer, L.BatchNormalization)]
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1e-3, 0.99)}
    numbers = published_numbers(model)
    assert [numbers[name] for name in residual_layers(graph)] == [3, 7, 11, 16, 20, 25, 29, 34]
    assert [numbers[f"stage{s}_block{b}_asn2"] for s in (1, 2, 3, 4) for b in (1, 2)] == [6, 10, 15, 19, 24, 28, 33, 37]
    assert [numbers[name] for name in ("encoding_asn", "stem_asn", "final_asn", "flatten", "readout")] == [
        1,
        2,
        38,
        39,
        40,
    ]
    index = {layer.name: k for k, layer in enumerate(model.layers)}
    assert (index["stage4_block2_asn2"], index["readout"]) == (65, 70)


def test_conv_biases_and_l2(model):
    convolutions = [layer for layer in model.layers if isinstance(layer, L.Conv2D)]
    assert len(convolutions) == 17 + 3
    for layer in convolutions:
        assert layer.use_bias and layer.bias_regularizer is None
    squares = sum(float(np.sum(np.square(np.asarray(c.kernel, dtype=float)))) for c in convolutions)
    assert float(sum(model.losses)) == pytest.approx(1e-4 * squares, rel=1e-4)


def test_shortcut(model):
    shortcuts = [layer for layer in model.layers if "shortcut" in layer.name]
    assert [layer.name for layer in shortcuts] == [f"stage{s}_block1_shortcut" for s in (2, 3, 4)]
    for layer in shortcuts:
        assert (layer.kernel_size, layer.strides, layer.padding) == ((1, 1), (2, 2), "valid")
        assert isinstance(layer.input._keras_history.operation, ASNTransfer)  # of spikes, not of a linear stream
        name = layer.name.replace("shortcut", "add")
        assert layer.output in model.get_layer(name).input  # without batch norm
    first = model.get_layer("stage1_block1_add").input
    assert any(tensor is model.get_layer("stem_pool").output for tensor in first)


def test_stem(model):
    names = [layer.name for layer in model.layers[:7]]
    assert names == ["pixels", "encoding_bn", "encoding_asn", "stem_conv", "stem_bn", "stem_asn", "stem_pool"]
    pool = model.get_layer("stem_pool")
    assert (pool.pool_size, pool.strides, pool.padding) == ((3, 3), (2, 2), "same")


def test_top(model):
    names = [layer.name for layer in model.layers[-6:]]
    assert names == ["stage4_block2_asn2", "final_bn", "final_asn", "average_pool", "flatten", "readout"]
    pool = model.get_layer("average_pool")
    assert (pool.pool_size, pool.strides, pool.padding) == ((7, 7), (1, 1), "valid")


def test_bn_folding():
    """A channel of small variance is amplified by 1/(sqrt(var) + 1e-5), and with epsilon is not."""
    variance, gamma, beta, mean = (np.array(v) for v in ([1e-8, 0.5], [0.7, -1.3], [0.1, 0.2], [0.03, -0.4]))
    pixels = keras.Input((1, 1, 2))
    x = L.Conv2D(2, 1, name="conv")(pixels)
    model = keras.Model(pixels, ASNTransfer(0.1, name="asn")(L.BatchNormalization(name="bn")(x)))
    kernel, bias = np.array([[1.0, 2.0], [-3.0, 0.5]]), np.array([0.2, -0.6])
    model.get_layer("conv").set_weights([kernel[None, None], bias])
    model.get_layer("bn").set_weights([gamma, beta, mean, variance])
    for how, deviation in (("exact", np.sqrt(variance + 1e-3)), ("published", np.sqrt(variance) + 1e-5)):
        graph = bs.read_keras(model, batch_norm=how)
        (projection,) = graph.incoming("asn")
        matrix = np.zeros((2, 2))
        i, j, weights = projection.operator.to_coo()
        matrix[i, j] = weights
        factor = gamma / deviation
        np.testing.assert_allclose(matrix, kernel * factor, rtol=1e-6)
        np.testing.assert_allclose(np.ravel(graph.populations["asn"].bias), factor * (bias - mean) + beta, rtol=1e-6)


def test_average_pooling(graph):
    """Maximum and average are taken of membranes: 56x56x64 and 512 neurons fire, not 112x112x64 and 7x7x512."""
    assert graph.population("stem_asn").name == graph.population("stem_pool").name
    assert graph.population("stem_pool").shape == (56, 56, 64)
    assert graph.population("average_pool").shape == (1, 1, 512)
    assert graph.averages_membranes


def test_timing(graph):
    """With the synchronous schedule all layers act in the same step; one step per layer is 19 ms up to the readout."""
    steps = {graph.input.name: 0}
    for name, projections in graph.by_target().items():
        steps[name] = max((steps[p.source] + (p.source in spiking(graph)) for p in projections), default=0)
    assert steps["readout"] == 19
    small = asn_resnet(18, classes=2, input_shape=(16, 16, 1), width=2, stem="medium")
    for layer in small.layers:  # every neuron fires as soon as its input does
        if layer.name.endswith(("conv1", "conv2", "stem_conv")):
            layer.set_weights([np.full(layer.kernel.shape, 50.0), np.zeros(layer.bias.shape)])
    read = bs.read_keras(small, average_pooling="membrane")
    names, first = spiking(read), {}
    for schedule in ("synchronous", "pipelined"):
        snn = bs.convert(read, bs.ASN(m_f=0.45), schedule=schedule, record={name: ["spikes"] for name in names})
        result = snn.run(np.ones((1, 16, 16, 1)), duration=40 * bs.ms)
        assert all(result.spike_counts[name][0] for name in names)
        first[schedule] = [int(result.raster(name)[0].reshape(40, -1).any(axis=1).argmax()) for name in names]
    assert max(first["synchronous"][:-1]) == 0
    assert first["pipelined"] == sorted(first["pipelined"]) and first["pipelined"][:6] == [0, 1, 2, 3, 4, 5]


def test_m_f_in_training(model, graph):
    assert {layer.m_f for layer in model.layers if isinstance(layer, ASNTransfer)} == {0.1}
    assert {layer.threshold for layer in model.layers if isinstance(layer, ASNTransfer)} == {0.0}
    assert bs.ASN(m_f=0.45).parameters["h"] == pytest.approx(0.49765, abs=1e-5)


def test_attended_layers(graph):
    assert residual_layers(graph) == [f"stage{s}_block{b}_asn1" for s in (1, 2, 3, 4) for b in (1, 2)]
    assert len([name for name in spiking(graph) if "block" in name]) == 16


#: Rows -> width, largest and smallest R for a cue at the centre, and largest for one at (0.1, 0.1).
FIELDS = {
    56: (0.1786, 0.667, -0.165, 0.815), 28: (0.1786, 0.661, None, 0.812), 14: (0.2143, 0.544, None, 0.763),
    7: (0.2857, 0.392, None, 0.647),
}  # fmt: skip


def test_field_width(graph):
    layers = residual_layers(graph)
    widths = pixel_widths(graph, layers)
    rows = {layer: graph.populations[layer].shape[0] for layer in layers}
    assert [round(widths[layer] * rows[layer], 9) for layer in layers] == [10, 10, 5, 5, 3, 3, 2, 2]
    for cue, column in ((0.5, 1), (0.1, 3)):
        field = GaussianField((cue, cue), widths)
        for layer in layers:
            expected = FIELDS[rows[layer]]
            assert widths[layer] == pytest.approx(expected[0], abs=5e-5)
            R = field.modulation((rows[layer], rows[layer], 4), layer=layer)
            assert R.max() == pytest.approx(expected[column], abs=5e-4)
    central = GaussianField((0.5, 0.5), widths).modulation((56, 56, 64), layer=layers[0])
    assert central.min() == pytest.approx(-0.165, abs=5e-4)


def attended_m_f(cue, strength, rows=56):
    model, shape = bs.ASN(m_f=0.45), (rows, rows, 2)
    attention = SpatialAttention(cue, 10 / 56, precision=strength)
    size = int(np.prod(shape))
    values = {"m_f": np.full(size, 0.45), "h": np.full(size, float(model.parameters["h"]))}
    return attention.parameters_for("layer", shape, values, model)


def test_m_is_0():
    """The chosen strength never reaches m = 0; where a larger one does, h stays finite."""
    central = attended_m_f((0.5, 0.5), 0.45)["m_f"]
    assert (round(central.min(), 3), round(central.max(), 3)) == (0.150, 0.524)
    corners = [attended_m_f((0.0, 0.0), 0.45, rows)["m_f"].min() for rows in (224, 56)]
    assert np.round(corners, 3).tolist() == [0.043, 0.044]  # 0.043 on the pixels of the image
    assert central.sum() == pytest.approx(0.45 * central.size)
    # m = 0 from a = 0.50 (corner), 0.552 (0.1, 0.1) and 0.675 (centre) on
    for cue, limit in ((0.0, 0.50), (0.1, 0.552), (0.5, 0.675)):
        assert attended_m_f((cue, cue), limit - 0.005)["m_f"].min() > 0
        clipped = attended_m_f((cue, cue), limit + 0.005)
        assert clipped["m_f"].min() == 0
        assert np.isfinite(clipped["h"]).all()


def test_a_width_for_each_layer():
    """In the network, each layer gets the field of its own width."""
    small = asn_resnet(18, classes=2, input_shape=(32, 32, 1), width=2)
    snn = bs.convert(bs.read_keras(small), bs.ASN(m_f=0.45))
    widths = pixel_widths(snn.graph, residual_layers(snn.graph), 6)
    snn.attend(SpatialAttention((0.3, 0.6), widths, input_gain=0.5), layers=widths)
    for layer, width in widths.items():
        shape = snn.graph.populations[layer].shape
        R = GaussianField((0.3, 0.6), width).modulation(shape)
        expected = 1 + 0.5 * np.broadcast_to(R, shape).ravel()
        np.testing.assert_allclose(snn.populations[layer].gain[:], expected, rtol=1e-6)
    assert len(set(widths.values())) == 2


# --- training, strengths and scenes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Scenes from a small data set in COCO's format."""
    pytest.importorskip("pycocotools")
    from brainsnn.stimuli.coco import STREET, select

    return select(write_coco(tmp_path_factory.mktemp("coco")), STREET)


def test_training_scripts():
    """ImageNet, then COCO; the runs are in test_train_resnet.py, here the committed settings."""
    own = ["coco", "folder", "--scenes", "s.json", "--weights", "w.keras", "--published"]
    imagenet, coco = _options(["imagenet", "folder", "--published"]), _options(own)
    assert (imagenet.epochs, imagenet.batch, imagenet.first_rate, imagenet.rate, imagenet.decay) == (
        90,
        240,
        1.0,
        0.1,
        1e-4,
    )
    assert (imagenet.keep, imagenet.rescale, imagenet.remainder) == ("last", "undone", "drop")
    assert (coco.epochs, coco.batch, coco.rate, coco.schedule, coco.trained) == (100, 200, 1e-4, "constant", "all")
    assert (coco.keep, coco.interpolation, coco.remainder) == ("last", "nearest", "drop")


def test_halves(street):
    """Stratified by target with seed 3, stored, and the same each time."""
    targets = np.array([picture.target for picture in street.test])
    stored = [picture.half for picture in street.test]
    for target in range(8):
        n = [sum(half == which for half in np.array(stored)[targets == target]) for which in ("search", "test")]
        assert abs(n[0] - n[1]) <= 1 and sum(n)
    assert abs(stored.count("search") - stored.count("test")) <= 1


def test_categories():
    from brainsnn.stimuli.coco import STREET

    assert list(STREET.categories) == [
        "person", "bicycle", "car", "motorcycle", "bus", "truck", "fire hydrant", "stop sign",
    ]  # fmt: skip


def test_scenes(street):
    """Several entries of one photograph, one for each category of which its crop holds one object; others may be visible."""
    from brainsnn.stimuli.coco import STREET

    assert STREET.stuff == ("road",)
    keys = [(picture.file_name, picture.target) for picture in street.test]
    assert len(set(keys)) == len(keys) > len({name for name, _ in keys})
    assert min(picture.area for picture in street.test) >= 0.005


def test_centre_disc_occlusion_salience_and_coherence(street):
    """The first two from masks, the last two from a table (test_coco.py compares all with brute force)."""
    from brainsnn.stimuli.coco.selection import MAX_COHERENCE, MIN_SALIENCE
    from brainsnn.stimuli.coco.windows import single_window

    assert (MAX_COHERENCE, MIN_SALIENCE) == (1.2, 0.04)
    central, half_out = np.zeros((2, 40, 60), dtype=bool)
    central[18:22] = True  # at the centre of every window
    half_out[0:8, 0:60] = True  # a third is outside of every window
    for mask in (central, half_out):
        assert single_window([mask], np.random.default_rng(0)) == (None, None)
    assert single_window([half_out[:, :40].copy()], np.random.default_rng(0)) == (0, 0)  # not required of squares


def test_crop_and_size(street, tmp_path):
    """A sliding square, then nearest neighbour: in training as where scenes are read."""
    from PIL import Image

    from brainsnn.stimuli.coco import read_photograph

    assert {picture.side for picture in street.test} == {40}
    assert len({max(picture.row, picture.column) for picture in street.test}) > 5
    picture = street.test[0]
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    (tmp_path / picture.folder).mkdir()
    Image.fromarray(pixels).save((tmp_path / picture.folder / picture.file_name).with_suffix(".png"))
    (tmp_path / picture.folder / picture.file_name).with_suffix(".png").rename(
        tmp_path / picture.folder / picture.file_name
    )
    crop = pixels[picture.row : picture.row + 40, picture.column : picture.column + 40]
    places = np.floor((np.arange(224) + 0.5) * 40 / 224).astype(int)
    expected = crop[places][:, places] / np.float32(255)
    np.testing.assert_array_equal(read_photograph(tmp_path, picture, 224), expected)
    options = _options(["coco", str(tmp_path), "--scenes", "s.json", "--weights", "w.keras"])
    np.testing.assert_array_equal(_coco_reader(options)(picture), expected)


def test_sampling(street):
    """All selected pictures, as many as each category has."""
    counts = [sum(picture.target == k for picture in street.test) for k in range(8)]
    assert counts == street.steps["one target of the category in the window"]
    assert len(set(counts)) > 1


def test_invalid_cue(street):
    valid, invalid = (np.array([getattr(p, name) for p in street.test]) for name in ("cue", "invalid_cue"))
    assert np.linalg.norm(valid - invalid, axis=1).min() >= 0.5
    others = valid[np.random.RandomState(3).permutation(len(valid))]
    far = np.linalg.norm(others - valid, axis=1) >= 0.5
    assert 0 < far.sum() < len(far)
    np.testing.assert_array_equal(invalid[far], others[far])
    assert (invalid >= valid.min(axis=0)).all() and (invalid <= valid.max(axis=0)).all()


def test_labels(street):
    """One-hot for the target: visible objects of other categories are negatives."""
    assert all(isinstance(picture.target, int) for picture in street.test)
    assert any(len(picture.labels) > 1 for picture in street.training)  # those for training are multi-hot
