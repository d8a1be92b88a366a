"""Values of parameters, thresholds and attention: checked for unit, shape and range before any of them is set."""

import numpy as np
import pytest
from brian2 import ms, mV, second
from example_models import current_based_lif

import brainsnn as bs

LAYER = "conv1_asn"


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(bs.load_model("digits"))


@pytest.fixture(scope="module")
def snn(graph):
    """No test changes it: all values are refused, or set back."""
    return bs.convert(graph)


def values_of(snn, layer=LAYER):
    group = snn.populations[layer]
    return {name: np.array(group.variables[name].get_value()) for name in snn.parameters[layer]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gain": 1 * second}, "unit"),
        ({"gain": np.ones(3) * mV}, "unit"),
        ({"gain": np.inf}, "NaN or infinity"),
        ({"gain": -np.inf}, "NaN or infinity"),
        ({"gain": 1e39}, "NaN or infinity"),
        ({"gain": None}, "NaN or infinity"),
        ({"gain": "much"}, "give numbers"),
        ({"gain": 1j}, "give numbers"),
        ({"gain": np.ma.masked_array([1.0], [True])}, "masked array"),
        ({"m_f": 0}, "m_f: must be greater than 0, since 'h' is computed from it"),
        ({"m_f": -0.1}, "m_f: must be greater than 0"),
        ({"m_f": np.nan}, "NaN"),
        ({"bias": np.inf}, "NaN or infinity"),
        ({"gain": 1e-50}, r"gain: 1e-50 would be rounded to 0; .* float32 is 1.2e-38. Give 0 .* dtype=\"float64\""),
        ({"gain": np.full(1, -1e-60)}, "gain: -1e-60 would be rounded to 0"),
        ({"m_f": 1e-300}, "m_f: 1e-300 would be rounded to 0"),
    ],
)
def test_bad_values_change_nothing(snn, values, message):
    before = values_of(snn)
    # Good values come first: none of them may be set.
    good = {
        name: value for name, value in {"h": 0.5, "gain": 2.0}.items() if name not in values and "m_f" not in values
    }
    with pytest.raises(ValueError, match=message):
        snn.set_parameters(LAYER, **good, **values)
    for name, array in values_of(snn).items():
        np.testing.assert_array_equal(array, before[name])


def test_numbers_that_only_double_precision_holds(graph):
    neuron = bs.ASN(m_f=1e-100)
    with pytest.raises(ValueError, match=r"m_f: 1e-100 would be rounded to 0; .* dtype=\"float64\""):
        bs.convert(graph, neuron=neuron)
    snn = bs.convert(graph, neuron=neuron, dtype="float64")
    assert (values_of(snn)["m_f"] == 1e-100).all()
    with pytest.raises(ValueError, match="v_th: 1e-50 would be rounded to 0"):
        bs.convert(graph, neuron=bs.IF(), thresholds={"conv1_asn": 1e-50})


def test_tiny_biases_and_zeros_are_kept(snn):
    before = values_of(snn)
    snn.set_parameters(LAYER, bias=1e-60, gain=0)
    assert not values_of(snn)["bias"].any() and not values_of(snn)["gain"].any()
    snn.set_parameters(LAYER, bias=before["bias"], gain=before["gain"])


def test_an_unknown_parameter_changes_nothing(snn):
    before = values_of(snn)
    with pytest.raises(bs.UnknownNameError, match="parameter of"):
        snn.set_parameters(LAYER, gain=2.0, gian=1.0)
    np.testing.assert_array_equal(values_of(snn)["gain"], before["gain"])


def test_shapes(snn):
    shape = snn.graph.populations[LAYER].shape
    n = int(np.prod(shape))
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    for given in (values, values.ravel(), values[:, :1, :1], values[0, 0], values[:1], 3.0, [3.0], [[[3.0]]]):
        snn.set_parameters(LAYER, gain=given)
        flat = np.size(given) == n
        expected = np.reshape(given, shape) if flat else np.broadcast_to(given, shape)
        np.testing.assert_array_equal(values_of(snn)["gain"], expected.ravel())
    snn.set_parameters(LAYER, gain=1.0)
    wrong = [
        values.transpose(2, 1, 0),
        values[None],
        values.reshape(1, -1),
        values.ravel()[:, None],
        values.ravel()[1:],
    ]
    for given in wrong:
        with pytest.raises(ValueError, match="values of shape"):
            snn.set_parameters(LAYER, gain=given)
    np.testing.assert_array_equal(values_of(snn)["gain"], 1)


def test_a_precision_of_zero_is_allowed_with_its_spike_height(snn):
    before = values_of(snn)
    snn.set_parameters(LAYER, m_f=0, h=1.0)
    assert not values_of(snn)["m_f"].any()
    snn.set_parameters(LAYER, **before)


def test_units_and_infinite_times(graph):
    snn = bs.convert(graph, neuron=bs.switchable(bs.ASN()))
    snn.set_parameters(LAYER, t_attend_on=5 * ms, t_attend_off=np.inf * second)
    assert values_of(snn)["t_attend_off"] == np.inf
    for value, message in ((np.nan * second, "NaN"), (5, "needs the unit"), ([1, 2] * ms, "values of shape")):
        with pytest.raises(ValueError, match=message):
            snn.set_parameters(LAYER, t_attend_on=value)
    own = bs.convert(graph, neuron=current_based_lif())
    with pytest.raises(ValueError, match="needs the unit"):
        own.set_parameters(LAYER, bias=1.0)


def test_time_constants_of_single_neurons_are_positive_and_finite(graph):
    plain = bs.LIF()
    neuron = plain.edit(equations=f"{plain.equations}\ntau_m : second", readout=plain.readout)
    snn = bs.convert(graph, neuron=neuron)
    snn.set_parameters(LAYER, tau_m=10 * ms)
    for value, message in ((0 * ms, "must be greater than 0"), (-5 * ms, "greater than 0"), (np.inf * ms, "infinity")):
        with pytest.raises(ValueError, match=message):
            snn.set_parameters(LAYER, tau_m=value)


@pytest.mark.parametrize(
    ("thresholds", "error", "message"),
    [
        ({"nowhere": 1.0}, bs.UnknownNameError, "nowhere"),
        ({"readout": 1.0}, ValueError, "has no threshold"),
        ({LAYER: [1.0, 2.0, 3.0, 4.0, 5.0]}, ValueError, "values of shape"),
        ({LAYER: np.nan}, ValueError, "NaN"),
        ({LAYER: np.inf}, ValueError, "infinity"),
        ({LAYER: 1 * mV}, ValueError, "unit"),
        ({LAYER: 1.0, "conv1": 2.0}, ValueError, "'conv1_asn' and 'conv1' are both"),
    ],
)
def test_bad_thresholds(graph, thresholds, error, message):
    with pytest.raises(error, match=message):
        bs.convert(graph, neuron=bs.LIF(), thresholds=thresholds)


def test_bad_attention_changes_nothing(snn):
    before = {name: values_of(snn, name) for name in snn.populations}
    cue = (0.5, 0.5)
    cases = [
        (bs.SpatialAttention(cue, input_gain={"conv1": 0.5, "nowhere": 0.5}), None, bs.UnknownNameError, "nowhere"),
        (bs.SpatialAttention(cue, input_gain=0.5), ["conv1", "nowhere"], bs.UnknownNameError, "nowhere"),
        (bs.SpatialAttention(cue, input_gain=0.5), ["conv1", "readout"], ValueError, "has no input_gain"),
        (
            bs.SpatialAttention(cue, output_gain={"conv1": 0.5, "conv2": 1e308}),
            None,
            ValueError,
            "inhibition in 'conv2_asn'",
        ),
    ]
    for attention, layers, error, message in cases:
        with pytest.raises(error, match=message):
            snn.attend(attention, layers=layers)
        for layer, values in before.items():
            for name, array in values_of(snn, layer).items():
                np.testing.assert_array_equal(array, values[name])
