"""Tests of neuron models: equations, edits, and the variants that the builder derives."""

import subprocess
import sys

import numpy as np
import pytest
from brian2 import Network as BrianNetwork
from brian2 import NeuronGroup, SpikeMonitor, StateMonitor, amp, ms, network_operation, pA, prefs, start_scope, volt
from locations import DATA

import brainsnn as bs
from brainsnn.equations import NeuronModel, spike_height, transfer_function


@pytest.fixture(autouse=True)
def numpy_target():
    """A single neuron needs no compiler."""
    saved = prefs.codegen.target
    prefs.codegen.target = "numpy"
    start_scope()
    yield
    prefs.codegen.target = saved


def group_of(model, n=1):
    group = NeuronGroup(
        n, model.equations, threshold=model.threshold, reset=model.reset, method=model.method[0],
        namespace=model.constants, dt=1 * ms,
    )  # fmt: skip
    for name in model.neuron_parameters:
        if name in model.parameters:
            setattr(group, name, model.parameters[name])
    return group


@pytest.mark.parametrize("case", range(6))
def test_published_neuron(case):
    """Spikes, signal, refractory response and threshold equal the traces of the published neuron in every step."""
    data = np.load(DATA / "asn_neuron.npz")
    m_f, bias, filtered = data[f"cfg{case}"]
    currents = data[f"cur{case}"][..., 0]  # (3, 500)
    model = bs.ASN(m_f=m_f).with_inputs(spikes=bool(filtered), stimulus=not filtered)
    group = group_of(model, 3)
    group.bias = bias
    if not filtered:
        group.t_off = 10000 * ms

    @network_operation(dt=1 * ms, when="start")
    def inject(t):
        current = currents[:, int(round(t / ms))]
        if filtered:
            group.I = group.I[:] + current
        else:
            group.image = current

    spikes = SpikeMonitor(group)
    states = StateMonitor(group, ["S", "S_hat", "theta_dyn"], record=True, when="end")
    BrianNetwork(group, inject, spikes, states).run(currents.shape[1] * ms)
    np.testing.assert_allclose(states.S, data[f"S{case}"][..., 0], atol=1e-9)
    np.testing.assert_allclose(states.S_hat, data[f"Shat{case}"][..., 0], atol=1e-9)
    # In the published code the threshold decays right after the spike, here in the next step.
    theta = m_f + states.theta_dyn * np.exp(-1 / 15)
    np.testing.assert_allclose(theta, data[f"theta{case}"][..., 0], atol=1e-9)
    raster = np.zeros(currents.shape)
    raster[spikes.i[:], np.rint(spikes.t / ms).astype(int)] = 1
    assert raster.any()
    np.testing.assert_array_equal(raster, data[f"spk{case}"][..., 0])


def test_spike_height_makes_one_the_fixed_point():
    m_f = np.array([0.03, 0.1, 0.45])
    assert spike_height(0.1) == pytest.approx(0.12443, abs=5e-6)
    for m, h in zip(m_f, spike_height(m_f)):
        assert transfer_function(1.0, m) == pytest.approx(1.0)
        # By definition, f jumps to h/2 at half the resting threshold.
        assert transfer_function(m / 2, m) == pytest.approx(h / 2)


def test_spike_height_has_a_floor_and_rejects_invalid_values():
    assert spike_height(0.0) == spike_height(1e-3)
    for bad in (-0.1, np.nan, 6.0, [0.1, 100.0]):  # from 5.4 on, a signal of 1 stays below the threshold
        with pytest.raises(ValueError, match="m_f"):
            spike_height(bad)


def test_replace_changes_one_equation_and_all_variants():
    noisy = bs.ASN().replace(
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1",
        sigma=0.05,
    )
    assert "sigma*xi" in str(noisy) and "sigma = 0.05" in str(noisy)
    assert "sigma*xi" in noisy.with_inputs(spikes=False, stimulus=True).equations
    assert "sigma*xi" in noisy.membrane_only().equations
    assert "sigma" not in bs.ASN().equations


def test_replace_names_the_closest_equation():
    with pytest.raises(ValueError, match=r"Did you mean 'dS_hat/dt = -S_hat/tau_eta : 1'"):
        bs.ASN().replace("dS_hat/dt = -S_hat/tau : 1", "")


def test_noise_has_the_variance_of_its_process():
    # dS = -S dt/tau + sigma xi/sqrt(tau) has a standard deviation of sigma/sqrt(2), exactly and at any time step.
    noisy = bs.ASN().replace(
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1",
        sigma=0.5,
    )
    group = NeuronGroup(
        4000, noisy.equations, method="exponential_euler_additive", namespace=noisy.constants, dt=1 * ms
    )
    BrianNetwork(group).run(50 * ms)
    assert np.std(group.S_dyn[:]) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_edit_recomputes_derived_parameters():
    assert bs.ASN().edit(m_f=0.3).parameters["h"] == pytest.approx(spike_height(0.3))
    assert bs.ASN().edit(m_f=0.3, h=1.0).parameters["h"] == 1.0
    assert bs.ASN().edit(threshold="S > 1").threshold == "S > 1"


def test_input_variants():
    model = bs.ASN()
    first = model.with_inputs(spikes=False, stimulus=True)
    assert "dS_dyn/dt = (gain*stimulus - S_dyn)/tau_phi : 1" in first.equations
    assert "dI/dt" not in first.equations
    both = model.with_inputs(spikes=True, graded=1)
    assert "(gain*(I + graded) - S_dyn)/tau_phi" in both.equations and "dI/dt" in both.equations
    assert model.with_inputs() is model
    reset = model.edit(reset="S_hat += theta*(1 + I); I *= 0.5", threshold="S - S_hat > 0.5*I")
    first = reset.with_inputs(spikes=False, stimulus=True)
    assert (first.reset, first.threshold) == ("S_hat += theta*(1 + stimulus)", "S - S_hat > 0.5*stimulus")
    both = reset.with_inputs(spikes=True, graded=1)
    assert both.reset == "S_hat += theta*(1 + (I + graded))\nI *= 0.5"
    with pytest.raises(ValueError, match="at least one"):
        model.with_inputs(spikes=False)


def test_models_without_linear_filter_have_no_junction():
    assert bs.ASN().has_linear_filter and bs.LIF().has_linear_filter
    assert not bs.IF().has_linear_filter
    assert bs.ASN().junction().equations == "dI/dt = -I/tau_beta : 1"
    with pytest.raises(ValueError, match="junction"):
        bs.IF().junction()


def test_models_that_collect_spikes_read_their_input_once():
    first = bs.IF().with_inputs(spikes=False, stimulus=True)
    assert first.update == "v = leak*v + (I + stimulus) + bias\nI = 0"
    assert (first.receives, first.reset, "I : 1" in first.equations) == ("I", "I -= v_th", True)
    both = bs.IF().with_inputs(spikes=True, graded=1)
    assert both.update == "v = leak*v + (I + graded) + bias\nI = 0"
    for update in ("v += I; I *= 0.5", "I = 0; v += I", "v += I; I = 0; I = 1"):
        with pytest.raises(ValueError, match="IF: its every-step statements change 'I'.*encoder='poisson'"):
            bs.IF().edit(update=update).with_inputs(spikes=False, stimulus=True)


def test_models_without_membrane_cannot_be_pooled():
    with pytest.raises(ValueError, match="average_pooling='spikes'"):
        bs.IF().pooled()
    with pytest.raises(ValueError, match="LIF.reset: .* changes the membrane variable 'v'.*average_pooling='spikes'"):
        bs.LIF().pooled()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bs.ASN(m_f=0), "m_f"),
        (lambda: bs.IF(leak=1.5), "leak"),
        (lambda: bs.IF(threshold=-1), "threshold"),
        (lambda: bs.LIF(threshold=0), "threshold"),
        (lambda: NeuronModel("x", "v : 1", receives="I"), "receives"),
        (lambda: NeuronModel("x", "I : 1", spike_height=None), "bias"),
        (lambda: bs.ASN().edit(m_f=1 * volt), "m_f"),
    ],
)
def test_invalid_models_are_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_units_of_a_custom_model():
    model = NeuronModel(
        "current-based", "dv/dt = -v/(10*ms) + I/(1*nF) : volt\ndI/dt = -I/tau : amp\nh : amp\nbias : amp",
        threshold="v > 10*mV", reset="v = 0*mV", parameters={"tau": 5 * ms, "h": 20 * pA}, input_unit=100 * pA,
    )  # fmt: skip
    assert "stimulus" in model.with_inputs(spikes=False, stimulus=True).equations
    assert "image : amp" in model.with_inputs(spikes=False, stimulus=True).equations
    assert model.brian_equations["I"].dim is amp.dim
    # Units are returned as the equations write them. Brian2 prints the first one as "A".
    first = model.with_inputs(spikes=False, stimulus=True)
    assert [first.unit_of(name) for name in ("image", "v", "t_on", "is_on")] == ["amp", "volt", "second", "1"]
    assert first.definition("t_on") == "t_on : second (shared)"
    with pytest.raises(ValueError, match="do not define 'w'; they define v, h, bias"):
        first.unit_of("w")
    with pytest.raises(ValueError, match="h"):
        model.edit(h=3.0)


def test_models_print_and_show_latex():
    text = str(bs.ASN(m_f=0.1))
    for part in ("equations", "threshold", "reset", "dS_hat/dt", "S - S_hat > theta/2", "h = 0.12443   (per neuron)"):
        assert part in text
    assert r"\frac" in bs.ASN()._repr_latex_()


def test_integrate_and_fire_leaks_the_potential_that_it_compared():
    model = bs.IF(leak=0.5, threshold=1.0)
    group = NeuronGroup(1, model.equations, threshold=model.threshold, reset=model.reset, namespace=model.constants)
    group.run_regularly(model.update, when="groups", order=1, dt=group.clock.dt)
    group.v_th = 1
    monitor = StateMonitor(group, "v", record=True, when="end")
    group.I = 3.0
    network = BrianNetwork(group, monitor, *group.contained_objects)
    network.run(4 * group.clock.dt)
    # v: 3 spikes; 0.5*3 - 1 = 0.5; 0.25; 0.125
    np.testing.assert_allclose(monitor.v[0], [3, 0.5, 0.25, 0.125])


def test_import_is_light():
    code = "import sys, brainsnn; print(any(m in sys.modules for m in ('tensorflow', 'keras', 'matplotlib')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
