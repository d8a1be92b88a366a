"""Networks with attention: spikes against the dense reference, and what users set beside it."""

import warnings

import dense_reference as ref
import keras
import numpy as np
import pytest
from attention_by_hand import CASES, CUES, M_F, WIDTH, field_by_hand, parameters_by_hand
from chosen_device import DEVICE
from dense_graph import read_model
from example_models import example_images, example_models
from numpy.testing import assert_allclose, assert_array_equal

import brainsnn as bs
from brainsnn.attention import ArrayField, Attention, FeatureField, SpatialAttention, switchable
from brainsnn.training import ASNTransfer

N_STEPS = 60  # every layer of both models spikes within 60 ms


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


@pytest.mark.parametrize("attention", [SpatialAttention((0.5, 0.5)), Attention(FeatureField([1, 0, 0, 0]))])
def test_attention_without_a_strength_is_refused(networks, attention):
    with pytest.raises(ValueError, match=f"attend: {type(attention).__name__} without a strength changes nothing"):
        networks["plain_cnn"].attend(attention)


@pytest.mark.parametrize("precision", [0, {}])
def test_a_strength_of_0_changes_nothing(models, networks, precision):
    model, snn = models["plain_cnn"], networks["plain_cnn"]
    images = example_images(model, 2)
    snn.attend(SpatialAttention(CUES, WIDTH, precision=precision))
    result = snn.run(images, duration=N_STEPS * bs.ms)
    snn.attend(None)
    assert_same_spikes(result, ref.simulate(model, images, N_STEPS, m_f=M_F))


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


def test_attention_that_would_change_nothing_is_said_or_refused():
    snn = bs.convert(bs.load_model("digits"), neuron=switchable(bs.ASN(m_f=0.1)), device="runtime")
    images = np.full((1, 28, 28, 1), 0.5)
    for field in (bs.ArrayField(np.ones((4, 4))), bs.GaussianField((0.5, 0.5), 0.001)):
        with pytest.warns(
            UserWarning, match="attend: the field is uniform in 'conv2_asn', so attention changes nothing"
        ):
            snn.attend(bs.Attention(field, output_gain=0.5), layers=["conv2"])
    with pytest.warns(UserWarning, match="uniform in 'dense1_asn'"):
        snn.attend(bs.SpatialAttention((0.3, 0.3), 0.2, output_gain=0.5), layers=["dense1"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snn.attend(bs.SpatialAttention((0.3, 0.3), 0.2, output_gain=0.5))  # in other layers it differs
    with pytest.raises(
        ValueError, match="attend: onset=10.5 ms is not a multiple of the time step 1 ms; the nearest one is 10 ms"
    ):
        snn.attend(bs.SpatialAttention((0.3, 0.3), 0.2, output_gain=0.5, onset=10.5 * bs.ms))
    snn.attend(bs.SpatialAttention((0.3, 0.3), 0.2, output_gain=0.5, onset=100 * bs.ms))
    with pytest.raises(
        ValueError, match="attention comes on at onset=100 ms, which is not before the end of the trial at 30 ms"
    ):
        snn.run(images, 30 * bs.ms)
