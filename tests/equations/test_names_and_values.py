"""Names that Brian2 has taken, values that do not fit, and constants that change: an error, or what is printed is simulated."""

import numpy as np
import pytest
from brian2 import ms
from keras_graphs import sequential

import brainsnn as bs

keras = pytest.importorskip("keras")
L = keras.layers
LIF = bs.LIF(threshold=0.2)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    model = sequential(
        L.Conv2D(2, 3, activation="relu", name="conv"), L.Flatten(), L.Dense(3, activation="relu", name="hidden"), L.Dense(2),
        shape=(4, 4, 1),
    )  # fmt: skip
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([np.abs(kernel), bias])  # positive images drive all neurons
    return model


IMAGES = np.random.default_rng(0).random((1, 4, 4, 1)) * 3


@pytest.mark.parametrize(
    "name, kind",
    [("e", "a constant"), ("pi", "a constant"), ("i", "a variable"), ("N", "a variable"), ("lastspike", "a variable"),
     ("t", "a variable"), ("xi", "noise"), ("mV", "a unit"), ("exp", "a function")],
)  # fmt: skip
def test_names_that_mean_something_else_in_brian2_are_no_parameters(name, kind):
    with pytest.raises(ValueError, match=f"'{name}' is {kind}.* in Brian2.*another name, such as {name}_0"):
        LIF.edit(threshold=f"S > v_th*(1 + {name})", **{name: 0.1})


REFUSED = {
    "tau_m has 2 values.*set_parameters": {"tau_m": [5, 6] * ms},
    "'S' is computed: 'S = v": {"initial": {"S": 1}},
    "'v_th' is a parameter with a value of its own": {"initial": {"v_th": 0.7}},
    "tresh = .*Did you mean 'threshold'": {"tresh": "v > 1"},
    "'V = 0' assigns 'V', which is not a variable .*Did you mean 'v'": {"reset": "V = 0"},
    "update: .*assigns 'vv', which is not a variable .*Did you mean 'v'": {"update": "vv = 0"},
    "assigns 'tau_m', which is a constant.*Declare it": {"reset": "v -= v_th; tau_m = 4*ms"},
    "on_pre: .*writes 'S_post', which follows from": {"on_pre": "S_post += w*h_pre"},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_a_model_cannot_mean_is_refused_when_it_is_made(reason):
    with pytest.raises(ValueError, match=reason):
        LIF.edit(**REFUSED[reason])


def test_membranes_may_start_at_values_of_their_own(model):
    n = 2 * 2 * 2
    snn = bs.convert(model, {"conv": LIF.edit(initial={"v": np.linspace(-1, 0, n)}), ...: LIF})
    np.testing.assert_allclose(np.array(snn["conv"].v), np.linspace(-1, 0, n), atol=1e-6)
    with pytest.raises(
        ValueError, match=f"LIF.v starts with 3 values, and 'conv' has {n} neurons. Give one value, or one for"
    ):
        bs.convert(model, {"conv": LIF.edit(initial={"v": np.arange(3)}), ...: LIF})


def test_a_threshold_that_is_no_condition_is_refused_by_convert(model):
    with pytest.raises(ValueError, match="the threshold 'S . 1' of 'LIF' is no condition"):
        bs.convert(model, LIF.edit(threshold="S + 1"))


def test_a_spike_that_writes_to_its_source_needs_synapses(model):
    neuron = bs.LIF(threshold=0.02).edit(on_pre="I_post += w*h_pre; v_pre -= 1")
    with pytest.raises(ValueError, match=r"writes 'v_pre', a variable of the source. Only connectivity='synapses' can"):
        bs.convert(model, neuron)
    counts = [
        bs.convert(model, n, device="cpp_standalone", connectivity="synapses")
        .run(IMAGES, duration=20 * ms)
        .spike_counts["conv"]
        for n in (neuron, bs.LIF(threshold=0.02))
    ]
    assert counts[0] < counts[1]


WRONG_OPTIONS = {
    "neuron=ASN is what makes a model; call it": {"neuron": bs.ASN},
    "neuron=LIF is what makes a model; call it": {"neuron": bs.LIF},
    "record='conv' is not a dict of layers": {"record": "conv"},
    "record=True is not a dict": {"record": True},
    "record: 'conv' has True; name variables": {"record": {"conv": True}},
    "thresholds=0.5 is not a dict of layers": {"thresholds": 0.5},
}


@pytest.mark.parametrize("reason", WRONG_OPTIONS)
def test_options_of_the_wrong_kind_are_refused(reason, model):
    with pytest.raises(ValueError, match=f"convert: {reason}"):
        bs.convert(model, **WRONG_OPTIONS[reason])


@pytest.mark.parametrize("device", ["cpp_standalone", "runtime"])
def test_a_threshold_may_depend_on_a_condition(model, device):
    """Until 10 ms as with the lower threshold, afterwards no spike at all."""
    changing, constant = (
        bs.convert(model, LIF.edit(threshold=code), device=device, record={"conv": ["spikes"]}).run(
            IMAGES, duration=30 * ms
        )
        for code in ("S > v_th*(1 + 1e9*int(t >= 10*ms))", "S > v_th")
    )
    (neurons, steps), (all_neurons, all_steps) = changing.spikes["conv"][0], constant.spikes["conv"][0]
    early = np.asarray(all_steps) < 10
    assert 0 < early.sum() < len(early)
    np.testing.assert_array_equal(neurons, np.asarray(all_neurons)[early])
    np.testing.assert_array_equal(steps, np.asarray(all_steps)[early])


def test_a_refused_value_leaves_the_equations(model):
    snn = bs.convert(model, LIF)
    before = str(snn.models["hidden"])
    for values in ({"tau_m": -5 * ms}, {"tau_m": 5}, {"tau_m": np.ones(7) * ms}, {"tau_m": 5 * ms, "v_th": np.nan}):
        with pytest.raises(ValueError, match="hidden"):
            snn.set_parameters("hidden", **values)
        assert str(snn.models["hidden"]) == before


def test_what_each_run_sets_is_no_parameter(model):
    snn = bs.convert(model, LIF)
    for values in ({"image": 1}, {"t_on": 3 * ms}):
        with pytest.raises(ValueError, match="is set by each run. Pass the images, onset=..."):
            snn.set_parameters("conv", **values)
    assert not {"image", "t_on"} & set(snn.parameters["conv"])
    with pytest.raises(ValueError, match="attend: 'conv' is no attention"):
        snn.attend("conv")
    snn["conv"].clock.dt = 0.5 * ms
    with pytest.raises(ValueError, match=r"time step was changed to 0.5 ms.*made for 1 ms.*convert\(..., dt=...\)"):
        snn.run(IMAGES, duration=5 * ms)


def test_a_constant_that_is_changed_in_the_namespace_is_printed(model):
    snn, other = bs.convert(model, LIF), bs.convert(model, {"hidden": LIF.edit(tau_m=5 * ms), ...: LIF})
    first = snn.run(IMAGES, duration=30 * ms)
    snn["hidden"].namespace["tau_m"] = 5 * ms
    second, expected = (network.run(IMAGES, duration=30 * ms) for network in (snn, other))
    np.testing.assert_array_equal(second.spike_counts["hidden"], expected.spike_counts["hidden"])
    assert "tau_m = 20. ms" in str(first.models["hidden"])
    for described in (snn.models["hidden"], second.models["hidden"]):
        assert "tau_m = 5. ms" in str(described)


@pytest.mark.parametrize("name", ["double", "namespace", "this", "NULL", "M_PI", "INT_MAX"])
@pytest.mark.parametrize("what", ["variable", "constant"])
def test_names_that_cannot_be_compiled(name, what):
    declared = f"\n{name} : 1" if what == "variable" else ""
    with pytest.raises(ValueError, match=rf"{name!r} means something in C\+\+.* such as "):
        bs.LIF().replace("dv/dt = (I - v)/tau_m : 1", f"dv/dt = (I - v + {name})/tau_m : 1{declared}", **{name: 2.0})


def test_names_with_an_underscore():
    for declared in ("\n_x : 1", ""):
        with pytest.raises(ValueError, match="'_x'.* starts with an underscore"):
            bs.LIF().replace("dv/dt = (I - v)/tau_m : 1", f"dv/dt = (I - v + _x)/tau_m : 1{declared}", _x=2.0)


def test_names_that_look_like_those_of_cpp():
    names = "sigma", "SIGMA", "I_MAX", "V_MIN", "M_x", "doubled", "standard", "FP_rate"
    for name in names:
        model = bs.LIF().replace("dv/dt = (I - v)/tau_m : 1", f"dv/dt = (I - v + {name})/tau_m : 1", **{name: 2.0})
        assert model.constants[name] == 2
