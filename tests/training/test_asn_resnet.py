"""The residual networks of Soerensen et al. (2022): parameters, layers, and their conversion spike for spike."""

import numpy as np
import pytest
from chosen_device import DEVICE
from dense_reference import simulate
from example_models import randomise
from locations import WEIGHTS

import brainsnn as bs
from brainsnn.attention import pixel_widths, residual_layers
from brainsnn.stimuli import load_search_scenes
from brainsnn.training import ASNTransfer, asn_resnet, preactivation_resnet
from brainsnn.training.train_search import build_search_network
from brainsnn.training.train_search import main as train_search

keras = pytest.importorskip("keras")
L = keras.layers


def layers_of(model, layer_class):
    return [layer for layer in model.layers if isinstance(layer, layer_class)]


@pytest.fixture(scope="module")
def resnet18():
    return asn_resnet()


@pytest.mark.parametrize("depth, blocks", [(18, 8), (34, 16), (50, 16), (101, 33), (152, 50)])
@pytest.mark.parametrize("order", ["post_activation", "pre_activation"])
def test_every_depth(order, depth, blocks):
    model = asn_resnet(depth, order, width=4)
    convolutions, norms = layers_of(model, L.Conv2D), layers_of(model, L.BatchNormalization)
    assert len([c for c in convolutions if "shortcut" not in c.name]) == depth - 1  # the classifier is the last one
    assert len(layers_of(model, L.Add)) == blocks
    top = 2 if order == "pre_activation" else 1
    per_block = 3 if depth >= 50 else 2
    # The stem and the pixels; in a pre-activation network, the very first block lacks one.
    assert len(norms) == blocks * per_block + top + 2 - (order == "pre_activation")
    assert len(layers_of(model, ASNTransfer)) == len(norms)


def test_34_layers_have_the_weights_of_other_packages():
    """torchvision's convolutions, whose number is published, plus a bias for each filter."""
    model = asn_resnet(34)
    convolutions = layers_of(model, L.Conv2D)
    biases = sum(c.filters for c in convolutions)
    # less those of its batch norms (4 per filter here, 2 there) and of its classifier
    assert sum(c.count_params() for c in convolutions) - biases == 21_797_672 - 17_024 - 513_000


def test_pre_activation_has_a_bare_first_convolution_and_a_doubled_top():
    model = asn_resnet(18, "pre_activation", width=2)
    names = [layer.name for layer in model.layers]
    assert "stage1_block1_bn1" not in names and "stage1_block2_bn1" in names
    assert names[-7:] == ["last_bn", "last_asn", "final_bn", "final_asn", "average_pool", "flatten", "readout"]
    assert model.get_layer("stage2_block1_shortcut").input is model.get_layer("stage1_block2_add").output


@pytest.mark.parametrize("order", ["post_activation", "pre_activation"])
def test_images_of_32_rows(order):
    model = asn_resnet(18, order, input_shape=(32, 32, 3))
    assert model.get_layer("stem_conv").kernel.shape == (3, 3, 3, 16)
    assert not layers_of(model, L.MaxPooling2D)
    assert len(layers_of(model, L.Add)) == 6
    assert model.get_layer("average_pool").input.shape[1:] == (8, 8, 64)
    assert asn_resnet(input_shape=(33, 33, 3), width=2).get_layer("stem_conv").kernel_size == (7, 7)


def test_the_last_kernel_starts_as_published(resnet18):
    assert type(resnet18.get_layer("readout").kernel_initializer).__name__ == "GlorotUniform"
    softmax = asn_resnet(classes=10, classifier_activation="softmax", width=2)
    assert type(softmax.get_layer("readout").kernel_initializer).__name__ == "HeNormal"
    assert {type(c.kernel_initializer).__name__ for c in layers_of(resnet18, L.Conv2D)} == {"HeNormal"}


@pytest.mark.parametrize("argument, value", [
    ("depth", 20), ("order", "post"), ("classes", 0), ("width", 2.5), ("stem", "tiny"), ("input_shape", (32, 32)),
])  # fmt: skip
def test_nonsense_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"asn_resnet: {argument}"):
        asn_resnet(**{argument: value})


def small_model(seed=0):
    """Four stages and every part of the architecture, on 16x16 pixels."""
    return randomise(asn_resnet(18, classes=3, input_shape=(16, 16, 3), width=2, stem="medium"), seed)


@pytest.mark.parametrize("schedule", ["synchronous", pytest.param("pipelined", marks=pytest.mark.slow)])
def test_spikes_equal_the_dense_reference(schedule):
    model, steps = small_model(), 80
    graph = bs.read_keras(model, average_pooling="membrane")
    names = [p.name for p in graph.populations.values() if p.kind == "spiking"]
    snn = bs.convert(
        graph,
        bs.ASN(m_f=0.45),
        schedule=schedule,
        dtype="float64",
        device=DEVICE,
        record={n: ["spikes"] for n in names},
    )
    images = np.random.default_rng(0).random((2, 16, 16, 3))
    result = snn.run(images, duration=steps * bs.ms)
    expected = simulate(model, images, steps, m_f=0.45, schedule=schedule, average_pooling="membrane")
    assert set(expected["spikes"]) == set(names)
    for name, spikes in expected["spikes"].items():
        assert spikes.any(), name
        np.testing.assert_array_equal(result.raster(name).reshape(spikes.shape), spikes, err_msg=name)
    np.testing.assert_allclose(result.output, expected["output"], atol=1e-12)


def test_attended_layers_are_found_by_their_connections():
    for shape, stem in (((16, 16, 3), "medium"), ((32, 32, 3), None), ((48, 48, 3), "large")):
        for depth in (18, 50):
            graph = bs.read_keras(asn_resnet(depth, input_shape=shape, stem=stem, width=2), average_pooling="membrane")
            layers = residual_layers(graph)
            blocks = [name for name in layers if name.endswith("_asn1")]
            assert layers == blocks and len(blocks) == sum("_add" in row.name for row in graph.rows)
    with pytest.raises(ValueError, match="residual_layers: .* has no block"):
        residual_layers(bs.read_keras(preactivation_resnet(20, (32, 32, 3), width=2)))


def test_widths_refuse_what_has_no_rows_and_columns():
    graph = bs.read_keras(asn_resnet(18, input_shape=(32, 48, 3), width=2))
    with pytest.raises(ValueError, match="pixel_widths: layer .* must be square"):
        pixel_widths(graph, residual_layers(graph))
    with pytest.raises(ValueError, match="pixel_widths: pixels=0"):
        pixel_widths(graph, [], 0)


# --- the small network that ships -------------------------------------------------------------------------------------


def test_the_shipped_network_has_the_architecture():
    model, built = bs.load_model("search_post"), build_search_network(order="post_activation")
    assert [layer.name for layer in model.layers] == [layer.name for layer in built.layers]
    assert [w.shape for w in model.weights] == [w.shape for w in built.weights]
    assert {layer.m_f for layer in layers_of(model, ASNTransfer)} == {0.1}
    assert (WEIGHTS / "search_post.keras").stat().st_size < 2e6
    graph = bs.read_keras(model, average_pooling="membrane")
    widths = pixel_widths(graph, residual_layers(graph), 10)  # as 40 of 224
    rows = [graph.populations[layer].shape[0] for layer in widths]
    assert rows == [28, 28, 14, 14, 7, 7, 4, 4]
    assert [round(width * n, 9) for width, n in zip(widths.values(), rows)] == [5, 5, 3, 3, 2, 2, 1, 1]


def test_the_shipped_network_leaves_room_for_attention():
    from brainsnn.analysis import target_auc

    scenes = load_search_scenes(300, seed=5)
    model, at_run = bs.load_model("search_post"), build_search_network(0.45, order="post_activation")
    at_run.set_weights(model.get_weights())
    for each in (model, at_run):
        outputs = each.predict(scenes.images, batch_size=100, verbose=0)
        assert 0.78 < target_auc(outputs, scenes.targets, scenes.labels) < 0.95  # see the card for 2,000 scenes


def test_an_unknown_search_network_is_refused():
    with pytest.raises(ValueError, match="order must be one of pre_activation, post_activation, got 'both'"):
        build_search_network(order="both")


@pytest.mark.slow
def test_the_search_command(tmp_path):
    out = tmp_path / "search.keras"
    train_search(["post_activation", "--quick", "--out", str(out), "--threads", "1"])
    card = out.with_suffix(".md").read_text()
    assert "train_search post_activation --quick" in card and "m_f = 0.1)" in card and "m_f = 0.45)" in card
    assert bs.load_model(out).name == "search_post"
