"""The tables of a methods section are those of the objects: as text, Markdown and LaTeX, for any network."""

import re

import numpy as np
import pytest
from brian2 import ms
from example_models import MODEL_NAMES, current_based_lif, example_models
from hypothesis import given, settings
from hypothesis import strategies as st
from latex_check import check_latex
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn.builders.describe.latex_math import latex_condition, latex_equation, latex_name, latex_statement
from brainsnn.builders.describe.tables import Description, Table
from brainsnn.training.asn_transfer import ASNTransfer


@pytest.fixture(scope="module")
def graph():
    return one_layer_graph()


def rows_of(snn, letter):
    return [[cell.text for cell in row] for row in snn.describe().tables[letter].cells]


def forms(snn):
    """Text, Markdown and LaTeX of a network, the last one checked."""
    description = snn.describe()
    check_latex(description.to_latex())
    assert description._repr_markdown_() == description.to_markdown()
    return str(description), description.to_markdown(), description.to_latex()


def test_a_changed_equation_is_in_all_forms(graph):
    """So nothing is written by hand."""
    old, new = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1", "dS_dyn/dt = (gain*I - 3*S_dyn + pull)/tau_phi : 1"
    changed = bs.ASN(m_f=0.1).replace(old, new, pull=0.625).edit(threshold="S - S_hat > theta/3")
    before, after = forms(bs.convert(graph)), forms(bs.convert(graph, neuron=changed))
    for text in after[:2]:
        assert "S_dyn/dt = (gain*stimulus - 3*S_dyn + pull)/tau_phi" in text  # of the first layer
        assert "S - S_hat > theta/3" in text and "0.625" in text and "pull" in text
    assert r"- 3\,S_{\mathrm{dyn}}" in after[2] and r"\frac{\theta}{3}" in after[2] and "0.625" in after[2]
    for text in before:
        assert "pull" not in text and "0.625" not in text and "theta/3" not in text


def test_changed_parameters_are_in_all_forms(graph):
    snn = bs.convert(graph, dt=0.5 * ms)
    size = len(snn[LAYER])
    snn.set_parameters(FOLDED, m_f=np.linspace(0.0625, 0.375, size), tau_gamma=12.5 * ms)
    for text in forms(snn):
        assert "0.0625 ... 0.375" in text and "12.5 ms" in text and "0.5 ms" in text
    assert ["tau_gamma", "12.5 ms", LAYER] in rows_of(snn, "G")
    assert not any("0.0625" in text for text in forms(bs.convert(graph)))


def test_attention_and_feedback_are_described(graph):
    snn = bs.convert(graph)
    assert "H" not in snn.describe().tables
    snn.attend(bs.SpatialAttention((0.25, 0.75), output_gain=0.3))
    for text in forms(snn):
        assert "output" in text and "0.25, 0.75" in text and "Attention and feedback" in text
    snn.attend(None)
    assert "H" not in snn.describe().tables


def test_predictive_feedback_is_described():
    from small_network import NEURON, THRESHOLDS, make_model

    learning = bs.LocalLearning(learning_rate=0.002)
    gate = bs.PredictiveGate(epsilon=0.15, mode="graded", learning=learning)
    snn = bs.convert(make_model(), neuron=NEURON, thresholds=THRESHOLDS, encoder="poisson", feedback=gate)
    for text in forms(snn):
        assert "mode graded, squash clip, epsilon 0.15" in text and "0.15" in text
    assert ["prediction", "input", "feedback"] in [row[:3] for row in rows_of(snn, "C")]
    plastic = [p.name for p in snn.projections if getattr(p, "plastic", False)]
    assert ["Plasticity", f"weights of {', '.join(plastic)}"] in rows_of(snn, "A") and plastic
    assert any(row[0].startswith("Learning") and "learning_rate" in row[1] for row in rows_of(snn, "H"))


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_tables_are_those_of_the_graph(name):
    """Of every kind of network: sizes, connections and equations are those of its objects."""
    snn = bs.convert(example_models(ASNTransfer, [name])[name])
    _, markdown, latex = forms(snn)
    sizes = {row[0]: int(row[4].replace(",", "")) for row in rows_of(snn, "B") if row[1] != "stimulus"}
    assert sizes == {key: len(group) for key, group in snn._assembly.groups.items()}
    connectivity = rows_of(snn, "C")
    assert [row[:2] for row in connectivity] == [[p.source, p.target] for p in snn.graph.projections]
    assert [int(row[7].replace(",", "")) for row in connectivity] == [
        p.operator.n_connections for p in snn.graph.projections
    ]
    equations = {row[1] for row in rows_of(snn, "D") if row[0] == "Equation"}
    models = snn.models.values()
    assert equations == {
        m.definition(e.varname) for m in models for e in m.brian_equations.values() if e.type != "parameter"
    }
    labels = [row[1] for row in rows_of(snn, "D") if row[0] == "Model"]
    assert len(labels) == len(set(labels)) <= len(snn.models)
    for line in markdown.splitlines():
        assert not line.startswith("|") or line.endswith("|")
    assert latex.count(r"\begin{longtable}") == 7


def test_measurements(graph):
    snn = bs.convert(graph, record={FOLDED: {"spikes": [1, 2], "S": True}})
    snn.network.add(bs.monitor(snn, "dense", ["I"]))
    rows = rows_of(snn, "F")
    n = len(snn[LAYER])
    assert rows[:2] == [[LAYER, "spikes", f"2 of {n}"], [LAYER, "S", f"{n} of {n}"]]
    assert ["dense", "linear activation of S", "2 of 2"] in rows
    assert rows[-1][:2] == ["dense", "I"] and rows[-1][2].startswith("added monitor")


def test_units_and_refractoriness_of_a_physical_model(graph):
    neuron = current_based_lif().edit(refractory=2 * ms)
    snn = bs.convert(graph, neuron=neuron)
    text, _, latex = forms(snn)
    rows = rows_of(snn, "G")
    assert ["tau_m", "20 ms", LAYER] in rows and ["h", "0.4 nA", LAYER] in rows
    assert ["bias", "0 A", f"{LAYER}, dense"] in rows
    assert ["Refractory", "2 ms"] in rows_of(snn, "D") and ["At the start", "v = -5 mV"] in rows_of(snn, "D")
    assert "Refractory" in text and r"\quad in V" in latex and r"\quad in A" in latex


def test_the_input_and_the_schedule(graph):
    pipelined = bs.convert(graph, dt=0.5 * ms)
    synchronous = bs.convert(graph, schedule="synchronous", encoder="poisson")
    assert {row[9] for row in rows_of(pipelined, "C")} == {"-", "0.5 ms"}  # the stimulus has no delay
    assert {row[9] for row in rows_of(synchronous, "C")} == {"0"}
    assert ["Shape", "x".join(map(str, SHAPE))] in rows_of(pipelined, "E")
    kinds = [dict(map(tuple, rows_of(snn, "E")))["Encoding"].split(":")[0] for snn in (pipelined, synchronous)]
    assert kinds == ["current", "spikes"]


# Formats

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), TEXTS, st.booleans())
def test_any_text_stays_in_its_cell(rows, note, is_code):
    """Whatever layers are called: Markdown keeps its columns, and LaTeX has no special character."""
    from brainsnn.builders.describe.tables import Cell

    cells = [tuple(Cell(text, is_code) for text in row) for row in rows]
    description = Description("net", {"A": Table("Title", ("one", "two"), cells, note)})
    table = [line for line in description.to_markdown().splitlines() if line.startswith("| ")]
    assert len(table) >= len(rows) + 2
    for line in table[: len(rows) + 2]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3, line
    check_latex(description.to_latex())
    assert len(str(description).split("\n")) == len(rows) + 6 + bool(note)


@pytest.mark.parametrize(
    "name, latex",
    [
        ("tau_beta", r"\tau_{\beta}"),
        ("m_f", "m_{f}"),
        ("v_th", r"v_{\mathrm{th}}"),
        ("is_on", r"\mathrm{is\_on}"),
        ("I", "I"),
    ],
)
def test_names(name, latex):
    assert latex_name(name) == latex


def test_what_is_no_formula_is_code():
    assert latex_condition("not a formula (") == r"\texttt{not a formula (}"
    assert latex_statement("v //= 2") == r"\texttt{v //= 2}"
    assert latex_statement("v -= v_th") == r"$v \leftarrow v - v_{\mathrm{th}}$"
    from brian2 import Equations

    (equation,) = Equations("dv/dt = -v/tau + sigma*xi*tau**-0.5 : volt").values()
    assert latex_equation(equation).startswith(r"$\frac{\mathrm{d}v}{\mathrm{d}t} = ") and "in V" in latex_equation(
        equation
    )


@pytest.mark.slow
def test_a_deep_network_stays_readable():
    from brainsnn.training import preactivation_resnet

    snn = bs.convert(preactivation_resnet(18, (64, 64, 3), 8))
    tables, (text, _, _) = snn.describe().tables, forms(snn)
    assert len(snn.models) > 25 and sum(row[0] == "Model" for row in rows_of(snn, "D")) < 12
    assert len(tables["G"].rows) < 15 and len(text.splitlines()) < 250
