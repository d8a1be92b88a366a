"""A network of plain Brian2 objects, written from what ``print(snn.models[layer])`` shows."""

import numpy as np
from brian2 import Network, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, defaultclock, ms, prefs, start_scope

__all__ = ["printed_network", "sections"]

TITLES = ("equations", "every step", "threshold", "refractory", "reset", "spike arrives", "parameters")


def sections(model):
    """Return the sections of a printed model (dict of str to str)."""
    found, title = {}, None
    for line in str(model).splitlines()[1:]:
        if line.startswith("  ") and line.strip() in TITLES:
            title = line.strip()
            found[title] = []
        else:
            found[title].append(line.strip())
    return {title: "\n".join(lines) for title, lines in found.items()}


def _group(name, model, printed, size):
    names = [line.split(":")[0].strip() for line in printed["equations"].splitlines() if "=" not in line]
    constants = {n: v for n, v in model.parameters.items() if n not in names}
    options = {"refractory": model.refractory} if "refractory" in printed else {}
    group = NeuronGroup(size, printed["equations"], threshold=printed.get("threshold"), reset=printed.get("reset"),
                        method="exponential_euler", namespace=constants, name=f"plain_{name}", **options)  # fmt: skip
    if "every step" in printed:
        group.run_regularly(printed["every step"], when="groups", order=1)
    for parameter, value in model.parameters.items():
        if parameter in names:
            setattr(group, parameter, value)
    return group


def printed_network(snn, image, duration, given=None):
    """
    Return spikes (indices, steps) of each spiking layer and the output (steps, neurons) of each readout for one image.

    Connections and biases are those of ``snn.graph``, which must be a feedforward one without junctions and pooling.
    ``given`` has values of parameters, layer -> parameter -> value, beside those of the models.
    """
    start_scope()
    saved, prefs.codegen.target, defaultclock.dt = prefs.codegen.target, "numpy", 1 * ms
    graph, network, spikes, outputs, groups, units = snn.graph, Network(), {}, {}, {}, {}
    for name, population in graph.populations.items():
        if population.kind == "input":
            continue
        model, printed = snn.models[name], sections(snn.models[name])
        groups[name] = group = _group(name, model, printed, population.size)
        units[name] = snn.neurons[name].input_unit
        group.bias = np.broadcast_to(population.bias, population.shape).ravel() * units[name]
        for parameter, value in (given or {}).get(name, {}).items():
            setattr(group, parameter, value)
        network.add(group)
        for projection in graph.incoming(name):
            if projection.source == graph.input.name:
                group.image = projection.operator.apply(image.reshape(1, -1)).ravel() * units[name]
                group.t_off = 1000 * duration
                continue
            i, j, w = projection.operator.to_coo()
            order = np.argsort(i, kind="stable")
            constants = {n: v for n, v in model.parameters.items() if n not in model.brian_equations}
            synapses = Synapses(groups[projection.source], group, "w : 1", on_pre=printed["spike arrives"],
                                namespace=constants, name=f"plain_{projection.source}_{name}")  # fmt: skip
            synapses.connect(i=i[order], j=j[order])
            synapses.w = w[order]
            network.add(synapses)
        if population.kind == "spiking":
            spikes[name] = SpikeMonitor(group)
        else:
            outputs[name] = StateMonitor(group, model.output, record=True, when="end")
        network.add(*([spikes[name]] if name in spikes else [outputs[name]]))
    network.run(duration, namespace={})
    prefs.codegen.target = saved
    trains = {name: (np.array(m.i), np.rint(np.array(m.t) / 1e-3).astype(int)) for name, m in spikes.items()}
    return trains, {name: np.array(getattr(m, snn.models[name].output)).T for name, m in outputs.items()}
