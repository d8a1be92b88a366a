"""The tables of a methods section, made from the objects of a network."""

import re
from importlib.metadata import version

import numpy as np
from brian2 import Quantity, second
from brian2.equations.equations import PARAMETER

import brainsnn
from brainsnn.builders.describe.latex_math import latex_condition, latex_equation, latex_name, latex_statement
from brainsnn.builders.describe.tables import Cell, Description, Table
from brainsnn.builders.graph.summary import by, describe_operator
from brainsnn.equations.printed_model import shown as _shown

__all__ = ["describe_network"]

#: So many names are listed, and so many values of a parameter by population; of more, their number and range.
MAX_NAMES, MAX_VALUES = 6, 4
#: What an encoder does.
ENCODERS = {
    "current": "current: the value of each pixel drives the first populations at every step",
    "poisson": "spikes: in each step, a pixel spikes with the probability |value|, with the sign of the value",
}
SCHEDULES = {
    "pipelined": "pipelined: a spike acts in the next step, {dt} later",
    "synchronous": "synchronous: a spike acts in the same step, in the order of the populations",
}


def describe_network(snn):
    """
    Return the description of a network; see `~brainsnn.builders.network_view.NetworkView.describe`.

    Parameters
    ----------
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`

    Returns
    -------
    description : `~brainsnn.builders.describe.tables.Description`
    """
    models = dict(snn.models)
    labels = _model_labels(models)
    tables = [
        _summary(snn, labels), _populations(snn, labels), _connectivity(snn), _neuron_models(models, labels), _input(snn),
        _measurements(snn), _parameters(snn, models),
    ]  # fmt: skip
    if snn._attended.attention is not None or snn.feedback is not None:
        tables.append(_attention_and_feedback(snn))
    return Description(snn.graph.name, dict(zip("ABCDEFGH", tables)))


def shown(value):
    """Return the text of a value, without the point that Brian2 writes after whole numbers."""
    return re.sub(r"(?<=\d)\.(?= |$)", "", _shown(value))


def _code(text):
    return Cell(text, is_code=True)


def _names(names):
    """Return names as text; of many, the first ones and their number."""
    names = list(names)
    if len(names) <= MAX_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MAX_NAMES - 2])}, ..., {names[-1]} ({len(names)})"


# Models


def _content(model):
    """Return what makes two models one: everything but the values of their parameters."""
    methods = (model.method,) if isinstance(model.method, str) else tuple(model.method)
    initial = tuple((name, shown(value)) for name, value in model.initial.items())
    return (
        model.name, model.equations, model.threshold, str(model.refractory), model.reset, model.update, model.on_pre, methods,
        initial,
    )  # fmt: skip


def _model_labels(models):
    """Return the label of each population's model; models with the same equations have one (dict of str to str)."""
    contents = {}
    for name, model in models.items():
        contents.setdefault(_content(model), []).append(name)
    labels = {}
    for content, names in contents.items():
        same = [other for other in contents if other[0] == content[0]]
        label = content[0] if len(same) == 1 else f"{content[0]} ({same.index(content) + 1})"
        labels |= dict.fromkeys(names, label)
    return {name: labels[name] for name in models}


def _by_label(labels):
    found = {}
    for name, label in labels.items():
        found.setdefault(label, []).append(name)
    return found


def _neuron_models(models, labels):
    rows = []
    for label, names in _by_label(labels).items():
        model = models[names[0]]
        rows += [("Model", Cell(label)), ("Populations", _code(_names(names)))]
        for equation in model.brian_equations.values():
            if equation.type != PARAMETER:
                line = model.definition(equation.varname)
                rows.append(("Equation", Cell(line, True, latex_equation(equation))))
        rows += [("Every step", Cell(line, True, latex_statement(line))) for line in _lines(model.update)]
        if model.threshold:
            rows.append(("Spike when", Cell(model.threshold, True, latex_condition(model.threshold))))
        rows += [("Reset", Cell(line, True, latex_statement(line))) for line in _lines(model.reset)]
        if model.refractory is not None:
            refractory = model.refractory if isinstance(model.refractory, str) else shown(model.refractory)
            rows.append(("Refractory", _code(refractory)))
        rows += [("Spike arrives", Cell(line, True, latex_statement(line))) for line in _lines(model._arrival)]
        rows += [("At the start", _code(f"{name} = {shown(value)}")) for name, value in model.initial.items()]
        if model.brian_equations.diff_eq_names:
            methods = [model.method] if isinstance(model.method, str) else model.method
            rows.append(
                ("Integration", Cell(", ".join(methods) + (" (the first that can)" if len(methods) > 1 else "")))
            )
    return Table("Neuron and synapse models", ("part", "content"), rows)


def _lines(code):
    return [line.strip() for line in (code or "").replace(";", "\n").splitlines() if line.strip()]


# The network


def _summary(snn, labels):
    kinds = {}
    for _, kind, shape in _population_rows(snn):
        kinds.setdefault(kind, []).append(int(np.prod(shape)))
    operators = dict.fromkeys(describe_operator(p.operator)[0] for p in snn.graph.projections)
    connections = sum(p.operator.n_connections for p in snn.graph.projections)
    rows = [
        ("Populations", "; ".join(f"{len(sizes)} {kind} ({sum(sizes):,} neurons)" for kind, sizes in kinds.items())),
        ("Topology", "rows, columns and channels of a convolutional network"),
        (
            "Connectivity",
            f"{len(snn.graph.projections)} projections, {connections:,} connections: {', '.join(operators)}",
        ),
        ("Neuron models", ", ".join(_by_label(labels))),
        ("Plasticity", _plasticity(snn)),
        ("Input", ENCODERS[snn.encoder]),
        ("Measurements", "spike counts, readout" + (", recorded variables" if snn.recorded else "")),
        ("Time step", shown(snn.dt * second)),
        ("Schedule", SCHEDULES[snn.schedule].format(dt=shown(snn.dt * second))),
        (
            "Simulator",
            f"brainsnn {brainsnn.__version__} with Brian2 {version('brian2')}, device {snn.device}, {snn.dtype.name}",
        ),
    ]
    return Table("Model summary", ("part", "content"), rows)


def _plasticity(snn):
    learned = [projection.name for projection in snn.projections if getattr(projection, "plastic", False)]
    return f"weights of {_names(learned)}" if learned else "none"


def _population_rows(snn):
    """Return name, kind and shape of the stimulus, of each population that has neurons, and of groups between them."""
    populations, groups = snn.graph.populations, snn._assembly.groups
    for name, population in populations.items():
        if name in groups:
            yield name, population.kind, population.shape
        elif population.kind == "input":
            yield name, "stimulus", population.shape
    for name, group in groups.items():
        if name not in populations:
            yield name, "pooled membranes", (len(group),)


def _populations(snn, labels):
    rows = [
        (_code(name), kind, labels.get(name, "none"), by(shape), f"{int(np.prod(shape)):,}")
        for name, kind, shape in _population_rows(snn)
    ]
    return Table(
        "Populations",
        ("name", "kind", "model", "shape", "size"),
        rows,
        "Shapes are rows x columns x channels.",
        right=3,
    )


def _connectivity(snn):
    delays = {"pipelined": shown(snn.dt * second), "synchronous": "0"}
    rows = []
    for p in snn.graph.projections:
        operator = p.operator
        counts = (f"{n:,}" for n in (operator.fan_in, operator.n_connections, operator.n_weights))
        reads = p.mode if p.source in snn._assembly.groups else "stimulus"
        scale = snn._assembly.spike_scale(p) if reads == "spikes" else None
        scaled = reads if scale in (None, 1.0) else f"{reads} * {scale:.4g}"
        delay = delays[snn.schedule] if reads in ("spikes", "counts") else "-"
        rows.append((_code(p.source), _code(p.target), scaled, *describe_operator(operator), *counts, delay))
    if snn.feedback is not None:
        source, target = snn.populations.name_of(snn.feedback.output), snn.graph.input.name
        size = f"{snn.graph.input.size:,}"
        rows.append(
            (_code(source), _code(target), "feedback", "identity", "-", "-", "1", size, "1", shown(snn.dt * second))
        )
    header = ("source", "target", "reads", "operator", "kernel", "stride", "fan-in", "connections", "weights", "delay")
    note = "Connections of one kernel share its weights. Stimuli, currents, membranes and spike counts are read in every step."
    return Table("Connectivity", header, rows, note, right=6)


def _input(snn):
    population = snn.graph.input
    rows = [
        ("Population", _code(population.name)), ("Shape", by(population.shape)), ("Encoding", ENCODERS[snn.encoder]),
        ("Trials", "each image is a trial of its own, which starts from the initial state"),
        ("Duration, onset, offset, background", "arguments of run(...); kept in result.settings"),
    ]  # fmt: skip
    return Table("Input", ("part", "content"), rows)


def _measurements(snn):
    own = {monitor.name for monitor in snn._monitors.all}
    rows = []
    for name, variables in snn.recorded.items():
        for variable, neurons in variables.items():
            size = len(snn._assembly.groups[name])
            rows.append((_code(name), _code(variable), f"{len(neurons):,} of {size:,}"))
    spiking = [name for name in snn.populations.spiking if "spikes" not in snn.recorded.get(name, {})]
    if spiking:
        rows.append((_code(_names(spiking)), "number of spikes in each trial", "all"))
    rows += [
        (
            _code(p.name),
            Cell(f"{p.activation or 'linear'} activation of {snn.models[p.name].output}"),
            f"{p.size:,} of {p.size:,}",
        )
        for p in snn.graph.readouts
    ]
    for added in snn.network.objects:
        variables = getattr(added, "record_variables", None)
        if variables is not None and added.name not in own:
            rows.append((_code(added.source.name), _code(", ".join(sorted(variables))), f"added monitor {added.name}"))
    note = "States are those at the end of each step."
    return Table("Measurements", ("population", "variable", "neurons"), rows, note)


# Parameters


def _parameters(snn, models):
    """Return each parameter and its values, with the populations that have them; of another unit, it is another parameter."""
    found = {}
    for name, model in models.items():
        own = snn.parameters.get(name, [])  # without those that a run sets, such as the image
        given = [parameter for parameter in model.parameters if parameter not in model.brian_equations]
        for parameter in (one for one in [*given, *own] if one in model.used_names):
            text, limits = _value(snn, model, name, parameter)
            unit = None if limits is None else str(limits[2])
            found.setdefault((parameter, unit), {})[name] = text, limits
    rows = []
    for (parameter, _), values in found.items():
        symbol = Cell(parameter, True, f"${latex_name(parameter)}$")
        rows += [(symbol, value, where) for value, where in _merged(values)]
    note = "Smallest ... largest value where neurons differ."
    if snn._attended.attention is not None:
        note += " Those that attention changes are set for each trial."
    return Table("Parameters", ("parameter", "value", "populations"), rows, note)


def _value(snn, model, name, parameter):
    """Return the value of a parameter in a population, as text and as (smallest, largest, dimension) of numbers."""
    equation = model.brian_equations.get(parameter)
    if equation is None:
        return shown(model.parameters[parameter]), None
    values = np.asarray(snn._read(name, parameter), dtype=float)
    limits = float(values.min()), float(values.max())
    return _range(*limits, equation.dim), (*limits, equation.dim)


def _range(low, high, dim):
    return shown(Quantity([low, high] if low != high else low, dim=dim))


def _merged(values):
    """Return (value, populations) for each value, or the range of all if there are many."""
    found = {}
    for name, (text, limits) in values.items():
        found.setdefault(text, ([], limits))[0].append(name)
    if len(found) <= MAX_VALUES or any(limits is None for _, limits in found.values()):
        yield from ((text, _code(_names(names))) for text, (names, _) in found.items())
    else:
        limits = [limits for _, limits in found.values()]
        total = min(low for low, _, _ in limits), max(high for _, high, _ in limits)
        yield _range(*total, limits[0][2]), f"each of {len(values)} has its own"


def _attention_and_feedback(snn):
    rows, attention, gate = [], snn._attended.attention, snn.feedback
    if attention is not None:
        rows += [("Attention", _code(str(attention))), ("Attended", _code(_names(snn._attended.layers)))]
        times = [
            (what, time) for what, time in (("on", attention.onset), ("off", attention.offset)) if time is not None
        ]
        for what, time in times:
            rows.append((f"Attention {what}", shown(np.asarray(time) * second)))
    if gate is not None:
        contrast = {False: "", True: ", contrast"}.get(gate.contrast, f", contrast as {gate.contrast}")
        options = f"mode {gate.mode}, squash {gate.squash}, epsilon {gate.epsilon}{', strict' * gate.strict}{contrast}"
        rows += [
            ("Predictive feedback", options),
            ("Prediction", _code(f"spikes of {gate.output}")),
        ]
        if gate.learning is not None:
            rows += [("Learning, when a spike arrives", _code(line)) for line in str(gate.learning).splitlines()]
    return Table("Attention and feedback", ("part", "content"), rows)
