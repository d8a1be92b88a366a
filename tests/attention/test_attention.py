"""Tests of attention: fields and parameters against plain loops, spikes against the dense reference."""

import math

import dense_reference as ref
import keras
import numpy as np
import pytest
from chosen_device import DEVICE
from dense_graph import read_model
from example_models import example_images, example_models
from numpy.testing import assert_allclose, assert_array_equal

import brainsnn as bs
from brainsnn.attention import ArrayField, Attention, FeatureField, GaussianField, SpatialAttention
from brainsnn.training import ASNTransfer

M_F = 0.2
N_STEPS = 60  # every layer of both models spikes within 60 ms
#: One cue inside and one on the border, different for the two images.
CUES = np.array([[0.3, 0.2], [0.9, 1.0]])
WIDTH = 0.2
#: The strengths of the last case push m_f of some neurons below 0.
CASES = [
    {"input_gain": 0.5},
    {"output_gain": 0.6},
    {"precision": 0.1},
    {"input_gain": 0.3, "output_gain": 0.4},
    {"precision": 0.4, "input_gain": 0.2, "output_gain": 0.3},
]


def field_by_hand(n_rows, n_cols, center, width, cross=False, peak=2.0, base=1.0, exponent=1.0):
    """Return R of a Gaussian field, computed pixel by pixel in plain Python."""
    E = [[0.0] * n_cols for _ in range(n_rows)]
    for i in range(n_rows):
        for j in range(n_cols):
            row = math.exp(-(((i + 0.5) / n_rows - center[0]) ** 2) / (2 * width[0] ** 2))
            col = math.exp(-(((j + 0.5) / n_cols - center[1]) ** 2) / (2 * width[1] ** 2))
            if cross:
                row, col = base + (peak - base) * row, base + (peak - base) * col
            E[i][j] = base + (peak - base) * (row * col) ** exponent
    mean = sum(map(sum, E)) / (n_rows * n_cols)
    return np.array([[round(e / mean - 1, 4) for e in row] for row in E])


def parameters_by_hand(shape, R, input_gain=0.0, output_gain=0.0, precision=0.0, m_f=M_F, floor=1e-3):
    """Return gain, m_f and h of one layer, computed neuron by neuron."""
    gain, new_m_f, h = (np.zeros(shape) for _ in range(3))
    total = sum(m_f - precision * R[i, j] for i, j, _ in np.ndindex(shape))
    for i, j, c in np.ndindex(shape):
        gain[i, j, c] = 1 + input_gain * R[i, j]
        new_m_f[i, j, c] = max(0.0, (m_f - precision * R[i, j]) * (m_f * np.prod(shape)) / total)
        h[i, j, c] = ref.spike_height(max(new_m_f[i, j, c], floor)) * (1 + output_gain * R[i, j])
    return {"gain": gain, "m_f": new_m_f, "h": h}


# Fields --------------------------------------------------------------------------------------------
def test_a_center_in_pixels_is_refused():
    with pytest.raises(ValueError, match=r"fractions of the image.*\(7, 21\) lies outside.*For pixel k of n"):
        bs.SpatialAttention(center=(7, 21), input_gain=0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (5, 7), (9, 9), (28, 14)])
@pytest.mark.parametrize("center", [(0.5, 0.5), (0.0, 1.0), (0.13, 0.77), (-0.2, 0.4)])
@pytest.mark.parametrize("shape", ["oval", "cross"])
def test_gaussian_field_equals_its_definition(size, center, shape):
    for width, exponent, peak, base in [((0.25, 0.25), 1.0, 2.0, 1.0), ((0.1, 0.4), 2.5, 3.0, 0.5)]:
        field = GaussianField(center, width, shape, peak, base, exponent)
        expected = field_by_hand(*size, center, width, shape == "cross", peak, base, exponent)
        assert_array_equal(field.modulation((*size, 3))[..., 0], expected)


def test_modulation_is_rounded_and_has_no_mean():
    R = GaussianField((0.2, 0.9), 0.15).modulation((17, 13, 1))
    assert_array_equal(R, np.round(R, 4))
    assert abs(R.mean()) < 0.5e-4
    assert_array_equal(GaussianField((0.2, 0.9), 0.15).modulation((1, 1, 64)), 0)


@pytest.mark.parametrize("left_out", [{"center": (0.3, None)}, {"center": (0.3, 0.9), "width": (0.2, None)}])
def test_an_axis_left_out(left_out):
    R = GaussianField(**{"width": 0.2, **left_out}).modulation((6, 5, 1))[..., 0]
    assert_array_equal(R, R[:, :1].repeat(5, axis=1))
    assert R[1, 0] > 0 > R[5, 0]


def test_cues_per_image():
    field = GaussianField(CUES, WIDTH)
    assert field.n_images == 2
    for k, cue in enumerate(CUES):
        assert_array_equal(field.modulation((5, 4, 2), image=k), GaussianField(cue, WIDTH).modulation((5, 4, 2)))


def test_arrays_as_fields():
    saliency = np.random.default_rng(0).random((12, 12))
    same = ArrayField(saliency).modulation((12, 12, 3))[..., 0]
    assert_allclose(same, saliency / saliency.mean() - 1, atol=0.5001e-4)
    pooled = saliency.reshape(4, 3, 6, 2).mean(axis=(1, 3))
    assert_allclose(ArrayField(saliency).modulation((4, 6, 1))[..., 0], pooled / saliency.mean() - 1, atol=0.5001e-4)
    # From 12 rows to 5, fractional pixels preserve the mean. Upsampling repeats pixels.
    assert_allclose(ArrayField(saliency).envelope((5, 12, 1)).mean(), saliency.mean())
    assert_allclose(ArrayField(saliency).envelope((24, 24, 1))[::2, ::2, 0], saliency)
    maps = np.stack([saliency, saliency.T])[..., None]
    assert_array_equal(ArrayField(maps).modulation((5, 5, 2), 1), ArrayField(saliency.T).modulation((5, 5, 2)))


def test_feature_fields_and_products():
    weights = np.array([1.0, 0.0, 3.0])
    assert_array_equal(FeatureField(weights).modulation((4, 4, 3))[0, 0], np.round(weights / weights.mean() - 1, 4))
    product = GaussianField((0.3, 0.6), 0.2) * FeatureField({"conv": weights})
    R = np.broadcast_to(product.modulation((4, 5, 3), layer="conv"), (4, 5, 3))
    E = GaussianField((0.3, 0.6), 0.2).envelope((4, 5, 3)) * weights
    assert_array_equal(R, np.round(E / E.mean() - 1, 4))
    space = GaussianField((0.3, 0.6), 0.2).modulation((4, 5, 3))
    assert_array_equal(product.modulation((4, 5, 7), layer="other"), space)
    with pytest.raises(ValueError, match="3 values for the 4 channels of layer 'conv'"):
        FeatureField(weights).modulation((2, 2, 4), layer="conv")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianField((0.5, 0.5), width=0), "width"),
        (lambda: GaussianField((0.5,)), "center"),
        (lambda: GaussianField((0.5, 0.5), shape="round"), "'oval'"),
        (lambda: GaussianField((0.5, 0.5), peak=1, base=1), "base < peak"),
        (lambda: ArrayField([[-1.0, 1.0]]), "not negative"),
        (lambda: ArrayField(np.zeros((2, 2))).modulation((2, 2, 1)), "somewhere positive"),
        (lambda: GaussianField(CUES) * GaussianField(np.zeros((3, 2))), "2 images, the other for 3"),
        (lambda: SpatialAttention((0.5, 0.5), input_gain=np.nan), "input_gain"),
        (lambda: SpatialAttention((0.5, 0.5), onset=3), "unit of time"),
        (lambda: SpatialAttention((0.5, 0.5), floor=0), "floor"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_plot():
    ax = GaussianField((0.3, 0.6), 0.2).plot(np.random.default_rng(0).random((20, 20)))
    assert len(ax.images) == 2
    import matplotlib.pyplot as plt

    plt.close(ax.figure)


# Parameters ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 4), (4, 4, 1)])
@pytest.mark.parametrize("case", CASES)
def test_parameters_equal_their_definitions(shape, case):
    model = bs.ASN(m_f=M_F)
    base = {"gain": np.ones(1), "m_f": np.full(1, M_F), "h": np.array([model.parameters["h"]])}
    R = field_by_hand(*shape[:2], CUES[1], (WIDTH, WIDTH))
    expected = parameters_by_hand(shape, R, **case)
    changed = SpatialAttention(CUES, WIDTH, **case).parameters_for("layer", shape, base, model, image=1)
    for name, values in changed.items():
        assert_allclose(values.reshape(shape), expected[name], rtol=1e-12, err_msg=name)
    for name in set(expected) - set(changed):
        assert_allclose(expected[name], base[name].item(), rtol=1e-12)


def test_precision_keeps_its_sum_and_is_clipped():
    model = bs.ASN(m_f=0.3)
    base = {name: np.array([model.parameters[name]]) for name in ("gain", "m_f", "h")}
    attention = SpatialAttention((0.2, 0.7), 0.15, precision=0.1)
    m_f = attention.parameters_for("layer", (9, 7, 2), base, model)["m_f"]
    assert_allclose(m_f.sum(), 0.3 * m_f.size, rtol=1e-12)
    strong = SpatialAttention((0.2, 0.7), 0.15, precision=2.0, floor=0.01).parameters_for(
        "layer", (9, 7, 2), base, model
    )
    assert strong["m_f"].min() == 0
    assert_allclose(strong["h"].min(), ref.spike_height(0.01))


# Networks ------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def models():
    return example_models(ASNTransfer, ["plain_cnn", "resnet"])


def build(model, neuron=None, record=True, **kwds):
    names = [p.name for p in bs.read_keras(model).populations.values() if p.kind == "spiking"]
    return bs.convert(
        model, neuron=neuron or bs.ASN(m_f=M_F), device=DEVICE, schedule="synchronous", dtype="float64",
        record={name: ["spikes"] for name in names} if record else None, **kwds,
    )  # fmt: skip


@pytest.fixture(scope="module")
def networks(models):
    return {name: build(model) for name, model in models.items()}


def reference_shapes(model):
    return {node.name: tuple(node.shape) for node in read_model(model) if node.kind == "population"}


def reference_parameters(model, shapes, case):
    """Return layer -> gain, m_f and h of both images, in the shapes of the reference."""
    wanted, parameters = reference_shapes(model), {}
    for name, full in wanted.items():
        shape = shapes[name]
        images = [
            parameters_by_hand(shape, field_by_hand(*shape[:2], cue, (WIDTH, WIDTH)), **case).items() for cue in CUES
        ]
        parameters[name] = {
            variable: np.stack([dict(image)[variable] for image in images]).reshape((2, *full))
            for variable in ("gain", "m_f", "h")
        }
    return parameters


def assert_same_spikes(result, dense):
    for name, spikes in dense["spikes"].items():
        assert spikes.sum() > 20, name  # otherwise the comparison is empty
        assert_array_equal(result.raster(name).reshape(spikes.shape), spikes, err_msg=name)


@pytest.mark.parametrize("name", ["plain_cnn", "resnet"])
@pytest.mark.parametrize("case", CASES)
def test_spikes_equal_the_dense_reference(models, networks, name, case):
    model, snn = models[name], networks[name]
    images = example_images(model, 2)
    snn.attend(SpatialAttention(CUES, WIDTH, **case))
    result = snn.run(images, duration=N_STEPS * bs.ms)
    snn.attend(None)
    parameters = reference_parameters(model, result.shapes, case)
    assert_same_spikes(result, ref.simulate(model, images, N_STEPS, m_f=M_F, parameters=parameters))


def test_no_attention_is_as_before(models, networks):
    model, snn = models["plain_cnn"], networks["plain_cnn"]
    images = example_images(model, 2)
    snn.attend(SpatialAttention(CUES, WIDTH, output_gain=0.5))
    snn.attend(None)
    assert_same_spikes(snn.run(images, duration=N_STEPS * bs.ms), ref.simulate(model, images, N_STEPS, m_f=M_F))


@pytest.mark.slow
def test_runtime_equals_standalone(models, networks):
    model = models["plain_cnn"]
    images = example_images(model, 2)
    spikes = {name: ["spikes"] for name in networks["plain_cnn"].run(images, duration=bs.ms).spikes}
    runtime = bs.convert(model, neuron=bs.ASN(m_f=M_F), schedule="synchronous", dtype="float64", record=spikes)
    for case in (CASES[3], CASES[4], None):
        attention = None if case is None else SpatialAttention(CUES, WIDTH, **case)
        results = []
        for snn in (runtime, networks["plain_cnn"]):
            snn.attend(attention)
            results.append(snn.run(images, duration=N_STEPS * bs.ms))
        for name in spikes:
            assert_array_equal(results[0].raster(name), results[1].raster(name), err_msg=name)
    assert_array_equal(runtime.populations["asn_1"].gain[:], 1)


def test_nothing_compiles_after_the_first_run(models, monkeypatch):
    snn = build(models["plain_cnn"], record=False)
    images = example_images(models["plain_cnn"], 2)
    before = snn.run(images, duration=20 * bs.ms)

    def compiler(*args, **kwds):
        raise AssertionError("a compiler was started")

    monkeypatch.setattr("brainsnn.builders.devices.standalone.backend.compiled_program", compiler)
    monkeypatch.setattr("brian2.devices.cpp_standalone.device.CPPStandaloneDevice.build", compiler)
    monkeypatch.setenv("CXX", "/nowhere")
    monkeypatch.setenv("PATH", "")
    attentions = [SpatialAttention((0.2, 0.3), width=w, **case) for w in (0.1, 0.4) for case in CASES]
    attentions += [
        SpatialAttention(CUES, input_gain=0.3),
        Attention(ArrayField(np.eye(9)), output_gain={"asn_1": 0.7}),
        Attention(FeatureField({"asn_2": [0, 1, 2, 3, 4]}), input_gain=1.0),
        None,
    ]
    outputs = []
    for attention in attentions:
        snn.attend(attention)
        outputs.append(snn.run(images, duration=20 * bs.ms).output)
    assert_array_equal(outputs[-1], before.output)
    assert all(not np.array_equal(output, before.output) for output in outputs[:-1])


def test_arrays_can_be_read_back_and_changed(networks):
    snn = networks["plain_cnn"]
    snn.attend(SpatialAttention((0.5, 0.1), 0.3, input_gain=0.5, precision=0.1), layers=["asn_2", "asn_3"])
    shape = snn.graph.populations["asn_2"].shape
    expected = parameters_by_hand(shape, field_by_hand(*shape[:2], (0.5, 0.1), (0.3, 0.3)), 0.5, 0.0, 0.1)
    for variable in ("gain", "m_f", "h"):
        assert_allclose(getattr(snn.populations["asn_2"], variable)[:], expected[variable].ravel(), rtol=1e-12)
    assert_array_equal(snn.populations["asn_1"].gain[:], 1)
    snn.set_parameters("asn_2", gain=7.0)  # set by hand while attention is on: it persists
    snn.attend(None)
    assert_array_equal(snn.populations["asn_2"].gain[:], 7)
    assert_array_equal(snn.populations["asn_3"].gain[:], 1)
    assert_allclose(snn.populations["asn_2"].m_f[:], M_F)
    snn.attend(SpatialAttention((0.5, 0.1), 0.3, input_gain=0.5), layers=["asn_2"])  # on top of what the user set
    assert_allclose(snn.populations["asn_2"].gain[:], 7 * expected["gain"].ravel(), rtol=1e-12)
    snn.attend(None)
    snn.set_parameters("asn_2", gain=1.0)


@pytest.mark.parametrize("device", ["cpp_standalone", "runtime"])
def test_elements_that_are_assigned_keep_their_values_and_the_others_follow_attention(models, device):
    """An array that is written by hand for each image is the reference."""
    model, cues = models["plain_cnn"], [(0.2, 0.3), (0.7, 0.5)]
    snn, plain = (bs.convert(model, bs.ASN(m_f=M_F), device=device) for _ in range(2))
    group, images = snn.populations["asn_2"], example_images(model, 2)
    n = len(group)

    def gains(cue, base):
        snn.attend(SpatialAttention(cue, input_gain=0.5), layers=["asn_2"])
        found = group.gain[:].copy()
        snn.attend(None)
        assert_array_equal(group.gain[:], base)
        return found / base

    factors = [gains(cue, np.ones(n)) for cue in cues]
    snn.attend(SpatialAttention(cues, input_gain=0.5), layers=["asn_2"])
    group.gain[3:6] = 3.0
    result = snn.run(images, duration=30 * bs.ms)
    for k, factor in enumerate(factors):
        plain.populations["asn_2"].gain = np.where((np.arange(n) >= 3) & (np.arange(n) < 6), 3.0, factor)
        assert_array_equal(plain.run(images[k : k + 1], duration=30 * bs.ms).output[0], result.output[k])
    expected = np.ones(n)
    expected[3:6] = 3.0
    snn.attend(None)
    assert_array_equal(group.gain[:], expected)  # not the values of the cue
    for cue, factor in zip(cues, factors):  # on top of what was assigned
        assert_allclose(gains(cue, expected), factor, rtol=1e-6)


def test_a_value_for_all_is_kept_where_attention_had_given_the_same(networks):
    snn = networks["plain_cnn"]
    snn.attend(SpatialAttention((0.5, 0.1), 0.3, input_gain=0.5), layers=["asn_2"])
    value = snn.populations["asn_2"].gain[7]
    snn.populations["asn_2"].gain = value
    snn.attend(None)
    assert_array_equal(snn.populations["asn_2"].gain[:], value)
    snn.set_parameters("asn_2", gain=1.0)


def test_strengths_per_layer(networks):
    snn = networks["plain_cnn"]
    snn.attend(SpatialAttention((0.5, 0.1), 0.3, output_gain={"asn_1": 0.4, "asn_3": -0.2}))
    height = bs.ASN(m_f=M_F).parameters["h"]
    for name, strength in {"asn_1": 0.4, "asn_2": 0.0, "asn_3": -0.2}.items():
        shape = snn.graph.populations[name].shape
        R = np.broadcast_to(field_by_hand(*shape[:2], (0.5, 0.1), (0.3, 0.3))[..., None], shape)
        assert_allclose(snn.populations[name].h[:], height * (1 + strength * R.ravel()), rtol=1e-12)
    snn.attend(None)


def test_widths_per_layer(networks):
    """Named by populations or by layers that were folded into them, one number or one for each axis."""
    snn, widths = networks["plain_cnn"], {"asn_1": 0.4, "conv_2": (0.1, None)}
    attention = SpatialAttention((0.5, 0.1), widths, output_gain=0.5)
    assert attention.layers == set(widths)
    snn.attend(attention, layers=widths)
    height = bs.ASN(m_f=M_F).parameters["h"]
    for name, width in {"asn_1": (0.4, 0.4), "asn_2": (0.1, 1e6)}.items():
        shape = snn.graph.populations[name].shape
        R = np.broadcast_to(field_by_hand(*shape[:2], (0.5, 0.1), width)[..., None], shape)
        assert_allclose(snn.populations[name].h[:], height * (1 + 0.5 * R.ravel()), rtol=1e-12)
    assert (snn.populations["asn_3"].h[:] == height).all()
    before = snn.populations["asn_1"].h[:].copy()
    for wrong, layers, message in (
        (widths, ["asn_1", "asn_3"], "has no width for layer 'asn_3'|without effect"),
        ({"asn_1": 0.1, "conv_1": 0.2}, ["asn_1"], "are both 'asn_1'; give one of them"),
        ({"asn_1": 0.1}, None, "has no width for layer 'asn_2'. Give one, or attend to the others alone"),
    ):
        with pytest.raises(ValueError, match=message):
            snn.attend(SpatialAttention((0.5, 0.1), wrong, output_gain=0.5), layers=layers)
    with pytest.raises(bs.UnknownNameError):
        snn.attend(SpatialAttention((0.5, 0.1), {"asn_11": 0.1}, output_gain=0.5))
    assert_array_equal(snn.populations["asn_1"].h[:], before)
    snn.attend(None)


def test_a_refused_attention_changes_nothing(models, networks):
    snn = networks["plain_cnn"]
    snn.attend(SpatialAttention((0.5, 0.1), input_gain=0.5))
    gain = snn.populations["asn_1"].gain[:].copy()
    with pytest.raises(bs.UnknownNameError, match="asn_1"):
        snn.attend(SpatialAttention((0.5, 0.5), input_gain=0.5), layers=["asn_11"])
    with pytest.raises(bs.UnknownNameError):
        snn.attend(SpatialAttention((0.5, 0.5), input_gain={"asn_11": 1.0}))
    with pytest.raises(ValueError, match="switchable"):
        snn.attend(SpatialAttention((0.5, 0.5), input_gain=0.5, onset=10 * bs.ms))
    assert_array_equal(snn.populations["asn_1"].gain[:], gain)
    snn.attend(SpatialAttention(CUES, input_gain=0.5))
    with pytest.raises(ValueError, match="3 images, but attention has cues for 2"):
        snn.run(example_images(models["plain_cnn"], 3), duration=10 * bs.ms)
    snn.attend(None)


def test_layers_whose_names_are_not_valid_in_brian():
    keras.utils.set_random_seed(0)  # with some weights nothing spikes
    inputs = keras.layers.Input((5, 5, 1))
    x = ASNTransfer(name="asn-1")(keras.layers.Conv2D(2, 3, name="1st conv")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="read-out")(keras.layers.Flatten()(x)))
    snn = bs.convert(model, device=DEVICE)
    images = np.random.default_rng(0).random((2, 5, 5, 1))
    neutral = snn.run(images, duration=30 * bs.ms).output
    for center in ((0.1, 0.1), CUES):
        snn.attend(SpatialAttention(center, input_gain={"asn-1": 0.9}))
        assert not np.array_equal(snn.run(images, duration=30 * bs.ms).output, neutral)


# Attention that switches on and off ---------------------------------------------------------------------
def simulate_switching(model, images, case, shapes, on, off):
    """Run the dense reference with attended parameters from step `on` to step `off` of each image."""
    nodes = read_model(model)
    attended = reference_parameters(model, shapes, case)
    height, traces = ref.spike_height(M_F), []
    units = ref.build_units(nodes, lambda node, bias: ref.ASNPopulation(node, bias, m_f=M_F), "asn")
    delay = ref.Delay("synchronous")

    def stimuli():
        for t in range(N_STEPS):
            for node in nodes:
                if node.kind == "population":
                    is_on = ((on <= t) & (t < off)).reshape(-1, *[1] * len(node.shape))
                    new, unit = attended[node.name], units[node.target]
                    unit.m_f = np.where(is_on, new["m_f"], M_F)
                    unit.h = np.where(is_on, new["h"], height)
                    unit.membrane.gain = np.where(is_on, new["gain"], 1.0)
            traces.append(t)
            yield {"stimulus": images}

    return ref.record(nodes, units, stimuli(), delay)


def test_switching_during_a_trial(models):
    model = models["plain_cnn"]
    images = example_images(model, 2)
    snn = build(model, neuron=bs.switchable(bs.ASN(m_f=M_F)))
    neutral = snn.run(images, duration=N_STEPS * bs.ms)
    assert_same_spikes(neutral, ref.simulate(model, images, N_STEPS, m_f=M_F))
    on, off = np.array([15, 23]), np.array([40, 41])
    for case in CASES[2:]:
        snn.attend(SpatialAttention(CUES, WIDTH, **case, onset=on * bs.ms, offset=off * bs.ms))
        result = snn.run(images, duration=N_STEPS * bs.ms)
        assert_same_spikes(result, simulate_switching(model, images, case, result.shapes, on, off))
    # Without times, attention lasts the whole trial.
    snn.attend(SpatialAttention(CUES, WIDTH, **CASES[0]))
    parameters = reference_parameters(model, result.shapes, CASES[0])
    dense = ref.simulate(model, images, N_STEPS, m_f=M_F, parameters=parameters)
    assert_same_spikes(snn.run(images, duration=N_STEPS * bs.ms), dense)
    snn.attend(None)
    assert_array_equal(snn.run(images, duration=N_STEPS * bs.ms).output, neutral.output)


def test_neurons_without_gain_are_refused(models):
    model = bs.IF()
    with pytest.raises(ValueError, match="has no precision"):
        SpatialAttention((0.5, 0.5), precision=0.1).parameters_for("layer", (2, 2, 1), {"h": np.ones(1)}, model)


@pytest.mark.parametrize(
    "strengths, nearest", [({"input_gain": 1.5}, "1 at most"), ({"output_gain": -2.0}, "-1 at most")]
)
def test_gains_that_would_invert_spikes_are_refused(strengths, nearest):
    half = np.zeros((4, 4))
    half[:2] = 1  # R is 1 and -1
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), ASNTransfer(m_f=0.1, name="layer"), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    snn = bs.convert(model, device=DEVICE)
    before = np.array(snn["layer"].gain)
    with pytest.raises(ValueError, match=f"makes excitation inhibition in 'layer'.*{nearest}"):
        snn.attend(Attention(ArrayField(np.stack([np.ones((4, 4)), half])[..., None]), **strengths))
    assert_array_equal(snn["layer"].gain, before)
    snn.attend(Attention(ArrayField(half), **{name: np.sign(a) for name, a in strengths.items()}))
