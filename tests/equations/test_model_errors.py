"""What is wrong with a neuron model is said when it is made, or by convert, with the line and the reason."""

import traceback

import numpy as np
import pytest
from brian2 import TimedArray, ms, mV, nA
from keras_graphs import sequential

import brainsnn as bs

L = pytest.importorskip("keras").layers
LIF, ASN = bs.LIF(), bs.ASN()
SIGNAL = "S = v + bias : 1"
MEAN = bs.NeuronModel("mean", "S : 1\nbias : 1", receives="S", spike_height=None)


@pytest.fixture(scope="module")
def graph():
    model = sequential(L.Conv2D(2, 3, activation="relu", name="first"), L.MaxPooling2D(2, name="pool"),
                       L.Flatten(), L.Dense(3, activation="relu", name="second"), L.Dense(2, name="out"),
                       shape=(6, 6, 1))  # fmt: skip
    return bs.read_keras(model, average_pooling="spikes")


@pytest.fixture(scope="module")
def plain():
    return bs.read_keras(sequential(L.Conv2D(2, 3, activation="relu", name="first"), L.Flatten(),
                                    L.Dense(2, name="out"), shape=(6, 6, 1)))  # fmt: skip


def refused(call):
    """Return the message of an error that needs no other text to be understood."""
    with pytest.raises((ValueError, KeyError)) as caught:
        call()
    message = str(caught.value)
    assert "See above" not in message and "Traceback" not in message and "<unknown>" not in message
    # No other error is printed before it.
    assert "direct cause" not in "".join(traceback.format_exception(caught.value))
    assert "another exception" not in "".join(traceback.format_exception(caught.value))
    return message


@pytest.mark.parametrize(
    "equations, line, reason",
    [
        ("S = (v + bias : 1", "'S = (v + bias : 1'", "'(' was never closed"),
        ("S = v +* bias : 1", "'S = v +* bias : 1'", "invalid syntax"),
        ("S = v + bias", "'S = v + bias'", "an equation is 'dx/dt = expression : unit'"),
        ("dS/dx = v : 1", "'dS/dx = v : 1'", "an equation is 'dx/dt = expression : unit'"),
        ("S = v + bias : foo", "'S = v + bias : foo'", "refers to 'foo', but this is not a base unit"),
        ("S = v & bias : 1", "'S = v & bias : 1'", "BitAnd"),
        ("S = foo(v) + bias : 1", "'S = foo(v) + bias : 1'", "calls 'foo', which is not a function of Brian2"),
        ("S = sqr(v) + bias : 1", "'S = sqr(v) + bias : 1'", "Did you mean 'sqrt'"),
        ("S = sin(v, 2) : 1", "'S = sin(v, 2) : 1'", "sin takes exactly 1 argument"),
        ("S = v + bias : 1\nS : 1", "LIF.equations", "Duplicate definition of variable 'S'"),
        ("S = T : 1\nT = S : 1", "LIF.equations", "dependencies contain a cycle"),
        ("S = v + bias + tau_m : 1", "'S = v + bias + tau_m : 1'", "inconsistent units"),
        ("S = v + bias : volt", "'S = v + bias : volt'", "has no unit, but the unit V is needed"),
        ("dS/dt = v : 1", "'dS/dt = v : 1'", "has no unit, but the unit 1 / s|Hz is needed"),
        ("S = v + exp(tau_m) : 1", "'S = v + exp(tau_m) : 1'", "correct units"),
        ("S : 1 (linked)", "'S : 1 (linked)'", "no linked variables. Declare a parameter"),
        ("dS/dt = (v - S)/tau_m : 1 (event-driven)", "(event-driven)'", "belongs to the equations of synapses"),
        ("S : 1 (sharred)", "'S : 1 (sharred)'", "'sharred' is none of them"),
    ],
)
def test_equations_are_checked_when_a_model_is_made(equations, line, reason):
    message = refused(lambda: LIF.replace(SIGNAL, equations))
    assert message.startswith("LIF") and line in message and any(part in message for part in reason.split("|")), message


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "rk5"}, "'rk5' is not an integration method. Did you mean 'rk4'?"),
        ({"method": ("euler", "heunn")}, "'heunn' is not an integration method. Did you mean 'heun'?"),
        ({"initial": {"v": "rand()"}}, "LIF.initial: v = 'rand()'; give a number"),
        ({"tau_m": "20*ms"}, "LIF.parameters: tau_m = '20*ms'; give a number, with its unit"),
        ({"v_th": TimedArray([1, 2], dt=1 * ms)}, "LIF.parameters: v_th = a function; give a number"),
        ({"threshold": "S > v_th)"}, "LIF.threshold: 'S > v_th)': unmatched ')'"),
        ({"threshold": "squared(S) > v_th"}, "'squared(S) > v_th' calls 'squared', which is not a function"),
        ({"reset": "v -= v_th; v"}, "LIF.reset: 'v' is not an assignment, such as 'v = 0'"),
        ({"reset": "v = (0"}, "LIF.reset: 'v = (0': '(' was never closed"),
        ({"on_pre": "I_post += w*h_pre*"}, "LIF.on_pre: 'I_post += w*h_pre*': invalid syntax"),
        ({"on_pre": "I_post += ramp(w)"}, "'ramp(w)' calls 'ramp'"),
        ({"update": "v == 0"}, "LIF.update: 'v == 0' is not an assignment"),
        ({"membrane": "u"}, "LIF.membrane: the equations do not define 'u'"),
        ({"refractory": 5}, "LIF.refractory: 5 is neither a time of 0 or more"),
        ({"refractory": -5 * ms}, "is neither a time of 0 or more"),
        ({"refractory": "v > "}, "LIF.refractory: 'v > ': invalid syntax"),
        ({"threshold": None, "refractory": 5 * ms}, "neurons without a threshold do not spike. Leave refractory out"),
        ({"derived": {"h": ("tau_x", abs)}}, "'h' is computed from 'tau_x', which is not a parameter"),
        ({"equations": f"{LIF.equations}\nx = f(v) : 1", "f": lambda v: v}, "needs the units of the function"),
    ],
)  # fmt: skip
def test_fields_are_checked_when_a_model_is_made(changes, message):
    assert message in refused(lambda: LIF.edit(**changes))


@pytest.mark.parametrize(
    "neuron, message",
    [
        (LIF.replace(SIGNAL, "S = v + bias + kapa : 1"), "'S = v + bias + kapa : 1' uses 'kapa', which is neither a variable"),
        (LIF.replace(SIGNAL, "S = v*not_refractory + bias : 1"), "needs a refractory period"),
        (LIF.replace(SIGNAL, "S = v + bias : 1").edit(threshold="S > v_th + kapa"), "uses 'kapa', which 'first' does not have"),
        (LIF.edit(on_pre="I_past = w*h_pre"), "assigns 'I_past', which is not a variable of the target and is not read"),
        (LIF.edit(refractory="tau_ref"), "the refractory 'tau_ref' of 'LIF' uses 'tau_ref'"),
        (LIF.edit(refractory="v"), "the refractory 'v' of 'LIF' is neither a time, such as '5*ms', nor a condition"),
        (LIF.edit(method="exact"), "LIF.method='exact' cannot integrate the equations of 'first'"),
        (LIF.edit(input_unit=1 * nA), "is not a value of 'I', whose unit is 1"),
        (LIF.edit(bias=None), "'first' has biases, and its neuron model 'LIF' names no parameter"),
        (LIF.edit(readout=MEAN), "'first_to_out' uses 'I_post'"),
        (LIF.edit(threshold="v > 10*mV"), "does not fit the units"),
    ],
)  # fmt: skip
def test_models_are_checked_again_by_convert(plain, neuron, message):
    assert message in refused(lambda: bs.convert(plain, neuron=neuron))


def test_models_that_are_complete_only_later_can_be_made():
    later = LIF.replace(SIGNAL, "S = v + bias + kappa : 1").edit(kappa=0.1)
    assert later.parameters["kappa"] == 0.1
    assert LIF.replace("dv/dt = (I - v)/tau_m : 1", "dv/dt = (I - v)/tau_m : 1 (unless refractory)").edit(
        refractory=5 * ms
    )


def test_pooled_layers_without_a_membrane_are_refused_with_the_name_of_the_population(graph):
    for neuron in (bs.IF(), ASN.edit(membrane=None)):
        message = refused(lambda neuron=neuron: bs.convert(graph, neuron=neuron, max_pooling="membrane"))
        (membranes,) = (name for name, population in graph.populations.items() if population.kind == "membrane")
        assert f"'{membranes}': {neuron.name}.membrane: the model names no membrane variable" in message
    name = next(name for name, population in graph.populations.items() if population.kind == "spiking")
    readouts = {"behind": bs.Readout(name, kind="potential", neuron=bs.IF())}
    assert "'behind': IF.membrane: the model names no" in refused(lambda: bs.convert(graph, readouts=readouts))


def test_values_of_any_number_type_are_parameters():
    for value in (np.float32(0.5), np.int64(1), True, 2):
        assert LIF.edit(v_th=value).parameters["v_th"] == value
    assert "5. mV" in str(bs.NeuronModel("n", "v : volt\nx = v + shift : volt", receives="v", parameters={"shift": 5 * mV},
                                         spike_height=None, bias=None))  # fmt: skip
