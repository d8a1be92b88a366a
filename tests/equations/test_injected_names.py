"""What the builder adds to the equations of a user has names of its own: constants keep their meaning, variables are refused."""

import numpy as np
import pytest
from brian2 import ms
from small_network import make_model

import brainsnn as bs
from brainsnn.attention.timing import switchable
from brainsnn.builders.graph import LayerGraph, Population, Projection
from brainsnn.builders.operators.scaling import identity
from brainsnn.equations.variants import RESERVED

ASN = bs.ASN()
SHAPE = (1, 1, 2)
OPTIONS = [
    {"connectivity": connectivity, "schedule": schedule, "device": device}
    for connectivity in ("event_driven", "synapses") for schedule in ("pipelined", "synchronous")
    for device in ("runtime", "cpp_standalone")
]  # fmt: skip


def graph():
    """Every kind of population: the image, spikes and junctions reach it, and membranes with a bias are pooled."""
    kinds = {
        "x": "input",
        "a": "spiking",
        "j": "junction",
        "k": "junction",
        "b": "spiking",
        "m": "membrane",
        "c": "spiking",
        "y": "readout",
    }
    populations = {n: Population(n, kind, SHAPE, "relu" if kind == "spiking" else None) for n, kind in kinds.items()}
    populations["m"].bias = np.array([[[0.1, 0.2]]])
    pairs = {
        "xa": "spikes", "xj": "spikes", "aj": "spikes", "jk": "current", "ak": "spikes", "jb": "current", "kb": "current",
        "km": "current", "bm": "spikes", "mc": "membrane", "cy": "spikes", "ky": "current",
    }  # fmt: skip
    return LayerGraph(populations, [Projection(*pair, identity(SHAPE), mode) for pair, mode in pairs.items()])


def added(snn, neuron):
    """Names of variables that no model of the user has."""
    own = {*neuron.brian_equations, *neuron.readout.brian_equations}
    return {name for model in snn.models.values() for name in model.brian_equations} - own


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options.values()))
def test_all_names_that_are_added_are_reserved(options):
    snn = bs.convert(graph(), neuron=ASN, encoder="current", **options)
    names = added(snn, ASN)
    assert {"stimulus", "image", "graded", "pooled", "biased"} <= names
    for name in names:
        for line in (f"{name} : 1", f"{name} = 0*S_dyn : 1"):
            neuron = ASN.edit(equations=f"{ASN.equations}\n{line}")
            with pytest.raises(ValueError, match=rf"{name}.*uses a name that the network needs.*my_{name}"):
                neuron.with_free_names()
    with pytest.raises(ValueError, match=f"uses a name that the network needs.*my_{name}"):
        bs.convert(graph(), neuron=neuron, encoder="current", **options)


@pytest.mark.parametrize("name", [*RESERVED, "graded_2"])
def test_constants_of_these_names_keep_their_meaning(name):
    def models(constant):
        old, new = "gain*I - S_dyn", f"gain*I - S_dyn + {constant}"
        neuron = ASN.edit(
            equations=ASN.equations.replace(old, new), on_pre=f"I_post += w*h_pre*(1 + {constant})",
            parameters={**ASN.parameters, constant: 0.2},
        )  # fmt: skip
        return bs.convert(graph(), neuron=neuron, encoder="current").models

    for (layer, expected), found in zip(models("kappa").items(), models(name).values()):
        renamed = f"{name}_of_neuron"
        assert found.parameters.get(renamed) == expected.parameters.get("kappa"), layer
        assert found.equations.replace(renamed, "kappa") == expected.equations
        assert str(found.on_pre).replace(renamed, "kappa") == str(expected.on_pre)


GATE = bs.PredictiveGate(learning=bs.LocalLearning(learning_rate=0.004))
LEARNED = ("prediction_error", "learning_rate", "w_max")


def learning(neuron):
    return bs.convert(make_model(), neuron=neuron, feedback=GATE, thresholds={"conv": 0.5, "prediction": 0.5})


def test_names_of_a_learning_rule_are_reserved():
    assert added(learning(bs.IF()), bs.IF()) & set(LEARNED) == set(LEARNED)


@pytest.mark.parametrize("name", LEARNED)
def test_a_learning_rule_keeps_its_parameters_and_the_neuron_its_own(name):
    """A constant `learning_rate` of the neuron was replaced by that of the rule."""
    model = learning(bs.IF().edit(update=f"{bs.IF().update}\nv += {name}", **{name: 3.0})).models["prediction"]
    assert model.parameters[f"{name}_of_neuron"] == 3.0 and model.parameters["learning_rate"] == 0.004
    assert f"v += {name}_of_neuron" in model.update
    with pytest.raises(ValueError, match=f"'{name} : 1' uses a name that the network needs.*my_{name}"):
        learning(bs.IF().edit(equations=f"{bs.IF().equations}\n{name} : 1"))


@pytest.mark.parametrize("name", sorted(set(switchable(ASN).brian_equations) - set(ASN.brian_equations)))
def test_names_of_a_switchable_model_are_reserved(name):
    with pytest.raises(ValueError, match=f"'ASN' uses '{name}', which the switchable model adds. Rename it.*my_{name}"):
        switchable(ASN.edit(equations=f"{ASN.equations}\n{name} : 1"))
    with pytest.raises(ValueError, match=f"'ASN' uses '{name}', which the switchable model adds"):
        switchable(ASN.edit(on_pre=f"I_post += w*h_pre*{name}", **{name: 2.0}))


@pytest.mark.parametrize("name", ["v_pre", "w_post"])
def test_endings_of_on_pre_are_refused(name):
    with pytest.raises(
        ValueError, match=f"ASN.equations: '{name} : 1': in on_pre the endings _pre and _post.*'{name}_'"
    ):
        ASN.edit(equations=f"{ASN.equations}\n{name} : 1")


def test_a_variable_called_w_is_not_the_weight():
    adapting = ASN.edit(equations=f"{ASN.equations}\ndw/dt = -w/(20*ms) : 1", reset=f"{ASN.reset}\nw += 0.1")
    assert "dw/dt" in bs.convert(graph(), neuron=adapting, encoder="current").models["a"].equations
    with pytest.raises(ValueError, match="'a' has a variable 'w', and connectivity='synapses'.*Rename.*event_driven"):
        bs.convert(graph(), neuron=adapting, encoder="current", connectivity="synapses")
    with pytest.raises(bs.UnknownNameError, match="no parameter of 'ASN' named 'w'. No equation or statement uses it"):
        ASN.edit(w=2.0)
    used = ASN.replace("S = S_dyn + bias : 1", "S = S_dyn + bias + w : 1", w=0.5)
    assert (
        bs.convert(graph(), neuron=used, encoder="current", connectivity="synapses").models["a"].parameters["w"] == 0.5
    )


def test_variables_of_synapses_are_not_taken_for_constants():
    """Brian2 would use the delay of the synapses, which is 0, instead of the constant."""
    late = ASN.edit(on_pre="I_post += w*h_pre*exp(-delay/tau_beta)", delay=5 * ms)
    assert bs.convert(graph(), neuron=late, encoder="current").models["a"].parameters["delay"] == 5 * ms
    with pytest.raises(
        ValueError, match="on_pre .* uses the constant 'delay', the name of.*such as delay_0, or .*event_driven"
    ):
        bs.convert(graph(), neuron=late, encoder="current", connectivity="synapses")
