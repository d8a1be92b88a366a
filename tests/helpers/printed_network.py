"""A network of plain Brian2 objects, written from what ``print(snn.models[population])`` shows.

The graph gives the connections, biases and shapes. Pooling and junctions have their own slots in the schedule
(docs/architecture.md); everything else is in Brian2's default slots, unless the network is synchronous.
"""

import re

import brian2
import numpy as np
from brian2 import Clock, Network, NetworkOperation, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, prefs, second

__all__ = ["PlainNetwork", "printed_network", "sections"]

TITLES = (
    "equations", "every step", "threshold", "refractory", "reset", "spike arrives", "at the start", "method", "parameters",
)  # fmt: skip


def sections(model):
    """Return the sections of a printed model (dict of str to list of str)."""
    found = {title: [] for title in TITLES}
    for line in str(model).splitlines()[1:]:
        if line.strip() in TITLES and re.match(r"  \w", line):
            lines = found[line.strip()]
        else:
            lines.append(line.strip())
    return found


def printed_values(lines):
    """Return what lines ``name = value   (remark)`` say (dict of str to Quantity), None for functions and ranges of values."""
    pairs = (line.split("   (")[0].split(" = ") for line in lines)
    return {
        name: None if re.match("TimedArray|function|.*[.]{3}", value) else eval(_product(value), vars(brian2).copy())
        for name, value in pairs
    }


def _product(value):
    """``-70.6 mV`` and ``1. nS`` as expressions."""
    number, *unit = value.split()
    return "*".join([number, *(u.replace("^", "**") for u in unit)])


class PlainNetwork:
    """
    Run what is printed of a converted network.

    Parameters
    ----------
    snn : brainsnn.builders.spiking_network.SpikingNetwork
    given : dict of str to dict
        Population -> parameter -> values beside those that the models print.
    """

    def __init__(self, snn, given):
        self.snn, self.given, self.graph = snn, given, snn.graph
        self.printed = {name: sections(model) for name, model in snn.models.items()}
        self.units = {name: neuron.input_unit for name, neuron in snn.neurons.items()}
        self.clock = Clock(snn.dt * second, name="plain_clock")
        self.depths = {name: depth for depth, name in enumerate(self.graph.populations)}
        self.groups, self.objects = {}, []
        for name in self.graph.populations:
            if name in snn.models:
                self._add_group(name)
        for name in self.groups:
            self._add_inputs(name)

    # Groups

    def _add_group(self, name):
        printed, model = self.printed[name], self.snn.models[name]
        size = int(np.prod(self.graph.populations[name].shape))
        lines = {key: "\n".join(printed[key]) or None for key in ("threshold", "reset", "every step")}
        values = printed_values(printed["parameters"])
        declared = model.brian_equations
        # What is printed is rounded: the values are those of the model, and the print must name and round them.
        assert set(values) == set(model.parameters), f"{name}: printed are {set(values)}"
        for key, value in values.items():
            if value is not None:
                np.testing.assert_allclose(np.asarray(value), np.asarray(model.parameters[key]), rtol=1e-3, err_msg=key)
        exact = dict(model.parameters)
        reset = (lines["reset"] or "") if lines["threshold"] else None
        options = {"refractory": model.refractory} if printed["refractory"] else {}
        group = NeuronGroup(
            size, "\n".join(printed["equations"]), threshold=lines["threshold"], reset=reset, method=_method(printed),
            namespace={k: v for k, v in exact.items() if k not in declared}, clock=self.clock, name=f"plain_{name}", **options,
        )  # fmt: skip
        for key, value in exact.items():
            if key in declared:
                setattr(group, key, value)
        for key, value in printed_values(printed["at the start"]).items():
            setattr(group, key, value)
        if model.bias is not None and name in self.units:
            bias = np.broadcast_to(self.graph.populations[name].bias, self.graph.populations[name].shape)
            setattr(group, model.bias, bias.ravel() * self.units[name])
        for key, value in self.given.get(name, {}).items():
            setattr(group, key, value)
        self.groups[name] = group
        update = []
        if lines["every step"]:
            update = [group.run_regularly(lines["every step"], when="groups", order=1, clock=self.clock)]
        self.objects.append(group)
        if self.is_synchronous:
            is_junction = self.graph.populations[name].kind == "junction"
            self._place([group.state_updater], 10**4 if is_junction else self.depths[name], 40)
            self._place(update, self.depths[name], 50)
            self._place(group.thresholder.values(), self.depths[name], 60)
            self._place(group.resetter.values(), self.depths[name], 70)

    @property
    def is_synchronous(self):
        return self.snn.schedule == "synchronous"

    def _place(self, objects, depth, order):
        for each in objects:
            each.when, each.order = "groups", 100 * depth + order

    # Inputs

    def _add_inputs(self, name):
        depth, kinds = self.depths[name], self.graph.populations
        reads, pools = [], []
        for projection in self.graph.incoming(name):
            source = kinds[projection.source]
            if projection.mode == "membrane":
                pools.append(projection)
            elif projection.mode == "current" and source.kind == "junction":
                if projection.source in self.groups:
                    reads.append(projection)
            elif projection.source in self.groups:
                self._add_synapses(projection)
        if reads:
            self._add_operation(lambda: self._read_junctions(name, reads), "synapses", 1000 + depth, depth)
        if pools:
            self._add_operation(lambda: self._pool(name, pools[0]), "groups", 1000 + depth, depth)

    def _add_operation(self, function, when, order, depth):
        operation = NetworkOperation(function, clock=self.clock, when=when, order=order)
        if self.is_synchronous:
            self._place([operation], depth, 20)
        self.objects.append(operation)

    def _add_synapses(self, projection):
        i, j, w = projection.operator.to_coo()
        order = np.argsort(i, kind="stable")
        model, on_pre = self.snn.models[projection.target], "\n".join(self.printed[projection.target]["spike arrives"])
        constants = {k: v for k, v in model.parameters.items() if k not in model.brian_equations}
        # The sign of a pixel stands for the unit of the input; a spike keeps its activation where the synapse is another one.
        unit = self.units[projection.target] if projection.source == self.graph.input.name else 1
        factor = unit * self._scale(projection.source, projection.target)
        if factor != 1:
            on_pre, constants = on_pre.replace("h_pre", "(h_pre*factor)"), {**constants, "factor": factor}
        synapses = Synapses(
            self.groups[projection.source], self.groups[projection.target], "w : 1", on_pre=on_pre, namespace=constants,
            clock=self.clock, name=f"plain_{projection.source}_to_{projection.target}",
        )  # fmt: skip
        if len(i) == 0:
            return
        synapses.connect(i=i[order], j=j[order])
        synapses.w = w[order]
        if self.is_synchronous:
            self._place(synapses._pathways, self.depths[projection.target], 10)
        self.objects.append(synapses)

    def _scale(self, source, target):
        def response(model):
            tau = next(
                (model.parameters[name] for name in ("tau_beta", "tau_s") if name in model.parameters), 0 * second
            )
            return 1 - np.exp(-self.clock.dt / tau) if tau > 0 * second else 1.0

        model = self.snn.neurons[target]
        model = model.readout if self.graph.populations[target].kind == "readout" else model
        if source == self.graph.input.name:
            return response(model) if model.encoder == "current" else 1.0
        own, read = response(self.snn.neurons[source]), response(model)
        return 1.0 if own == read else read / own

    def _value(self, junction):
        """What a junction holds: its own current and what it reads from junctions upstream."""
        own = [p for p in self.graph.incoming(junction) if p.mode == "spikes" and p.source in self.groups]
        total = np.array(getattr(self.groups[junction], f"{self.snn.models[junction].receives}_")[:]) if own else 0.0
        for p in self.graph.incoming(junction):
            if p.mode == "current" and p.source in self.groups:
                total = total + self._applied(p, self._value(p.source))
        return total

    def _applied(self, projection, values):
        shape = self.graph.populations[projection.source].shape
        return projection.operator.apply(np.asarray(values).reshape(1, *shape)).ravel()

    def _read_junctions(self, name, reads):
        values = [self._applied(p, self._value(p.source)) for p in reads]
        group = self.groups[name]
        if self.snn.connectivity == "synapses":  # one variable for each junction that is read
            for k, value in enumerate(values):
                setattr(group, f"graded_{k + 1}_" if k else "graded_", value)
        else:
            group.graded_ = sum(values)

    def _pool(self, name, projection):
        read = self.snn.models[projection.source].membrane
        self.groups[name].pooled_ = self._applied(projection, getattr(self.groups[projection.source], f"{read}_")[:])

    def _stimulus(self, name, image):
        """The linear image of the stimulus in a population, through junctions."""
        total = np.zeros(self.graph.populations[name].shape).ravel()
        for p in self.graph.incoming(name):
            if p.source == self.graph.input.name:
                total = total + self._applied(p, image)
            elif p.mode == "current" and self.graph.populations[p.source].kind == "junction":
                total = total + self._applied(p, self._stimulus(p.source, image))
        return total

    def run(self, n_steps, record, image=None, background=0.0, onset=0.0, offset=np.inf, signs=None):
        """Return (spikes: population -> (n_steps, n), states: population -> variable -> (n_steps, n)) of one trial."""
        for name, group in self.groups.items():
            if "stimulus" in "".join(self.printed[name]["equations"]) and signs is None:
                full = np.broadcast_to(background, image.shape)
                group.image, group.background = (self._stimulus(name, x) * self.units[name] for x in (image, full))
                group.t_on, group.t_off = onset * second, offset * second
        objects = list(self.objects)
        if signs is not None:
            source = self.groups[self.graph.input.name]
            source.is_replayed = 1
            flat = signs.reshape(len(signs), -1)

            def replay(t):
                source.replayed = flat[int(round(t / self.clock.dt))]

            operation = NetworkOperation(replay, clock=self.clock, when="groups", order=0)
            if self.is_synchronous:
                self._place([operation], 0, 10)
            objects.append(operation)
        spikes = {n: SpikeMonitor(g) for n, g in self.groups.items() if g.thresholder}
        states = {name: StateMonitor(self.groups[name], variables, record=True, when="end", order=10**6, clock=self.clock)
                  for name, variables in record.items() if variables}  # fmt: skip
        Network(*objects, *spikes.values(), *states.values()).run(n_steps * self.clock.dt, namespace={})
        rasters = {}
        for name, monitor in spikes.items():
            rasters[name] = np.zeros((n_steps, len(self.groups[name])), bool)
            rasters[name][np.rint(np.array(monitor.t / self.clock.dt)).astype(int), np.array(monitor.i)] = True
        return rasters, {
            name: {v: np.array(getattr(monitor, f"{v}_")).T for v in record[name]} for name, monitor in states.items()
        }


def _method(printed):
    methods = printed["method"][0].split(" (")[0].split(", ") if printed["method"] else ["euler"]
    return methods[0] if len(methods) == 1 else tuple(methods)


def printed_network(snn, image, duration, given=None):
    """
    Return spikes (indices, steps) of each spiking layer and the output (steps, neurons) of each readout for one image.

    ``given`` has values of parameters, layer -> parameter -> value, beside those of the models.
    """
    target, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        record = {p.name: [snn.models[p.name].output] for p in snn.graph.readouts}
        steps = round(float(duration) / snn.dt)
        spikes, states = PlainNetwork(snn, given or {}).run(steps, record, image.reshape(image.shape[-3:]))
    finally:
        prefs.codegen.target = target
    trains = {name: np.nonzero(raster)[::-1] for name, raster in spikes.items()}
    return trains, {name: values for name, variables in states.items() for values in variables.values()}
