"""Read a NIR file: walk its nodes, compose what is linear, and give each spiking node a population and a neuron model."""

import math
from dataclasses import replace
from os import PathLike

import numpy as np
from brian2 import Quantity, second

from brainsnn.builders.from_nir.conventions import chosen_convention
from brainsnn.builders.from_nir.layers import LINEAR, Tensor, in_file_order, shape3
from brainsnn.builders.from_nir.neurons import READOUTS, SPIKING, neuron_model, readout_model, signal_readout
from brainsnn.builders.from_nir.nodes import read_graph
from brainsnn.builders.graph.affine import reduce_bias
from brainsnn.builders.graph.graph_builder import GraphBuilder
from brainsnn.builders.graph.junctions import merge_projections
from brainsnn.builders.graph.layer_graph import OUTPUT_ACTIVATIONS, LayerGraph, LayerRow, Projection
from brainsnn.equations.checks import is_time
from brainsnn.errors import ConversionError
from brainsnn.files import check_file, checked_path
from brainsnn.memory import check_size, size_limit
from brainsnn.optional import optional_packages

__all__ = ["SUPPORTED", "read_nir"]

#: Supported nodes, for messages.
SUPPORTED = ", ".join([*LINEAR, *SPIKING, *READOUTS, "Delay (of one step, in a loop)", "NIRGraph", "Input", "Output"])
_PASSING = ("Input", "nested Input", "nested Output", "Delay")


def read_nir(
    path: str | PathLike[str],
    library: str | None = None,
    *,
    dt: Quantity | None = None,
    integration: str | None = None,
    reset: str | None = None,
    condition: str | None = None,
    max_bytes: float | None = None,
) -> LayerGraph:
    """
    Read a spiking network from a file of the neuromorphic intermediate representation (NIR).

    Parameters
    ----------
    path : str or path-like
        File that ``nir.write`` or `SpikingNetwork.to_nir` wrote.
    library : {"nir", "snntorch", "norse", "spikingjelly", "sinabs"}, optional
        Whose conventions apply where NIR leaves a choice; the Notes list them. By default, what `SpikingNetwork.to_nir` wrote
        into the file, else ``"nir"``.
    dt : `~brian2.units.fundamentalunits.Quantity`, optional
        Time step. A spike is a pulse of height 1 that lasts one step, so weights belong to a time step. NIR does not record it.
    integration : {"euler", "exact"}, optional
        How equations are integrated.
    reset : {"value", "subtract", "subtract_next"}, optional
        At a spike, v becomes ``v_reset``; loses ``v_threshold``; or loses it in the next step, after the leak.
    condition : {">", ">="}, optional
        Whether a neuron spikes above its threshold, or also at it.
    max_bytes : float, optional
        Largest size of the arrays in memory; half of the available memory by default.

    Returns
    -------
    graph : LayerGraph
        With the neuron models of the file in ``graph.neurons``, which `convert` uses. Feature maps are (H, W, C).

    Raises
    ------
    ConversionError
        If the file is damaged or too large, or if a node cannot be converted. The message names the node.
    UnknownNameError, ValueError
        If an argument is not valid.
    ModuleNotFoundError
        If h5py is not installed.

    Notes
    -----
    ==================  ======  ===========  =============  =========
    library             dt      integration  reset          condition
    ==================  ======  ===========  =============  =========
    ``"nir"``           0.1 ms  exact        value          >
    ``"snntorch"``      0.1 ms  euler        subtract_next  >
    ``"norse"``         1 ms    euler        value          >
    ``"spikingjelly"``  0.1 ms  euler        value          >=
    ``"sinabs"``        1 s     exact        subtract       >=
    ==================  ======  ===========  =============  =========

    Membranes start at ``v_leak``, those of ``IF`` at ``v_reset``. In ``CubaLIF``, v reads the current that already holds the
    input of the step. A loop, directly or through a ``Delay`` of one step, acts one step later. With ``schedule="synchronous"``,
    spikes arrive in the step in which they are fired, as in these libraries. An output that no integrator precedes is the
    weighted spikes of each step. Nothing of the file is executed; HDF5 is read in a process of its own.

    References
    ----------
    Pedersen et al. (2024), Nature Communications 15:8122.

    See Also
    --------
    brainsnn.SpikingNetwork.to_nir : write such a file.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.read_nir("net.nir", "norse"), schedule="synchronous")   # doctest: +SKIP
    """
    file = checked_path(path, "read_nir: path", is_file=True)
    if not file.exists():
        raise FileNotFoundError(f"read_nir: the file {str(file)!r} does not exist.")
    check_file(file, "read_nir", ConversionError)
    if dt is not None and not is_time(dt):
        raise ValueError(f"read_nir: dt={dt!r} must be a time greater than 0, such as 0.1*ms.")
    given = {
        "dt": None if dt is None else float(dt / second),
        "integration": integration,
        "reset": reset,
        "condition": condition,
    }
    chosen_convention({}, library, **given)  # refuses arguments before anything is read
    limit = size_limit(max_bytes, "read_nir")
    with optional_packages("read_nir", "nir"):
        nir = read_graph(file, limit)

    def convention_of(node=None):
        """Return the convention of the file, or of a node, which may have its own."""
        metadata = {**nir.metadata, **(node.metadata if node else {})}
        return chosen_convention({key: _plain(value) for key, value in metadata.items()}, library, **given)

    return _Reader(nir, convention_of, limit).graph(file.stem)


def _plain(value):
    """Return an entry of the metadata as a number or a text."""
    return value if isinstance(value, str) else float(value) if np.size(value) == 1 else None


class _Reader:
    """Walk a NIR graph."""

    def __init__(self, nir, convention_of, limit):
        self.nir, self.convention_of, self.limit = nir, convention_of, limit
        self.dt = convention_of().dt
        self.builder = GraphBuilder("spikes", junctions=False)  # input that lasts one step has no filter to share
        self.rows, self.tensors, self.late = [], {}, []
        self.spiking, self.readouts = {}, {}
        self.sources = {name: [a for a, b in nir.edges if b == name] for name in nir.nodes}
        self.targets = {name: [b for a, b in nir.edges if a == name] for name in nir.nodes}
        inputs = [node for node in nir.nodes.values() if node.type == "Input"]
        if len(inputs) != 1 or not any(node.type == "Output" for node in nir.nodes.values()):
            raise ConversionError(
                f"read_nir: the graph has {len(inputs)} nodes of the type Input; one Input and at least one Output are needed."
            )
        for node in nir.nodes.values():
            if node.type not in (*LINEAR, *SPIKING, *READOUTS, *_PASSING, "Output"):
                raise node.error("this type of node cannot be converted.", f"Supported: {SUPPORTED}.")
        self.input = inputs[0]

    def graph(self, name):
        """Return the LayerGraph."""
        for node in self._order():
            self._add(node)
        for source, node in self.late:
            self._close_loop(source, node)
        graph = self.builder.finish(self.rows, name)
        return replace(graph, neurons=self._neurons(graph), dt=self.dt * second)

    def _order(self):
        """Yield the nodes so that their sources come first; a loop begins at the spiking node that is reached first."""
        waiting = {name: set(sources) for name, sources in self.sources.items()}
        done, ready = set(), [name for name, sources in waiting.items() if not sources]
        if unreached := [name for name in ready if name != self.input.name]:
            raise self.nir.nodes[unreached[0]].error("nothing reaches it.", "Remove it, or add an edge to it.")
        reached = []
        while len(done) < len(waiting):
            if not ready:
                ready = [next((name for name in reached if name not in done and self._may_begin(name)), None)]
                if ready == [None]:
                    stuck = next(name for name in waiting if name not in done)
                    raise self.nir.nodes[stuck].error(
                        "it stands in a loop without a spiking node, which has no delay.",
                        "A loop must pass through LIF, CubaLIF, IF or Threshold.",
                    )
                begun = self.nir.nodes[ready[0]]
                self.late += [(source, begun) for source in self.sources[begun.name] if source not in done]
            name = ready.pop(0)
            done.add(name)
            yield self.nir.nodes[name]
            for target in self.targets[name]:
                reached.append(target)
                waiting[target].discard(name)
                if not waiting[target] and target not in done and target not in ready:
                    ready.append(target)

    def _may_begin(self, name):
        return self.nir.nodes[name].type in SPIKING

    def _add(self, node):
        """Read one node, whose sources were read."""
        late = {source for source, target in self.late if target is node}
        sources = [name for name in self.sources[node.name] if name not in late]
        if node is self.input:
            tensor = self._read_input(node)
        elif node.type in ("Output", "nested Output") and all(self.tensors[name] is None for name in sources):
            tensor = None  # the integrator before it is the readout
        else:
            tensor = self._read(node, self._sum(node, [self._tensor(name, node) for name in sources]))
        self.tensors[node.name] = tensor
        shape = () if tensor is None else tensor.shape
        note = (
            ""
            if node.type not in ("Flatten", *_PASSING[1:])
            else "ignored (order of values)"
            if node.type == "Flatten"
            else ("one time step" if node.type == "Delay" else "opened")
        )
        self.rows.append(LayerRow(node.name, node.type, shape, note))

    def _read_input(self, node):
        shape = node.shape("shape") or node.shape("input_type")
        if shape is None:
            raise node.error("the file does not say its shape.", "Write nir.Input(input_type=np.array(shape)).")
        return Tensor(self._checked(node, lambda: self.builder.input(node.name, shape3(node, shape), shape3(node, shape)),
                                    shape), shape)  # fmt: skip

    def _checked(self, node, make, shape):
        check_size(8 * math.prod(shape), self.limit, f"read_nir: node {node.name!r} ({node.type})", ConversionError)
        return make()

    def _tensor(self, source, node):
        tensor = self.tensors[source]
        if tensor is None:
            kind = self.nir.nodes[source].type
            raise node.error(
                f"it reads {source!r} ({kind}), whose value is a membrane. Only an Output can read it.",
                "Let the network end there, or give it spikes with LIF.",
            )
        return tensor

    def _sum(self, node, tensors):
        """Return the sum of the tensors that reach a node."""
        first = tensors[0]
        for other in tensors[1:]:
            if (other.shape, other.affine.shape) != (first.shape, first.affine.shape):
                raise node.error(f"tensors of different shapes reach it: {first.shape} and {other.shape}.")
        if len(tensors) == 1:
            return first
        return replace(first, affine=self.builder.add([t.affine for t in tensors], [1] * len(tensors), node.name))

    def _read(self, node, tensor):
        """Return the value of a node; None for one that only an Output may read."""
        check_size(
            8 * math.prod(tensor.shape), self.limit, f"read_nir: node {node.name!r} ({node.type})", ConversionError
        )
        if node.type in LINEAR:
            return LINEAR[node.type](node, tensor, self.builder)
        if node.type == "Delay":
            return self._delay(node, tensor)
        if node.type in _PASSING:
            return tensor
        if node.type in SPIKING:
            affine = self.builder.spike(tensor.affine, node.name, None)
            name = affine.terms[0].source
            self.builder.populations[name].keras_layer = None
            self.spiking[name] = node, tensor
            return replace(tensor, affine=affine)
        return self._read_out(node, tensor)

    def _delay(self, node, tensor):
        delay = node.array("delay")
        in_loop = node.name in self._downstream(node.name)
        steps = 1 if in_loop else 0
        if not np.allclose(delay, steps * self.dt, rtol=1e-3, atol=0):
            fix = (
                f"In a loop, a delay must be one time step, {self.dt:g} s (read_nir(..., dt=...))."
                if in_loop
                else ("Outside of loops, connections have no delays; let the delay be 0.")
            )
            raise node.error(f"a delay of {delay.min():g} ... {delay.max():g} s cannot be converted.", fix)
        return tensor

    def _downstream(self, name):
        """Return the names of all nodes that a node reaches."""
        found, pending = set(), list(self.targets[name])
        while pending:
            target = pending.pop()
            if target not in found:
                found.add(target)
                pending += self.targets[target]
        return found

    def _read_out(self, node, tensor):
        """Add a readout: an integrator that an Output follows, or an Output that reads spikes."""
        readers = [self.nir.nodes[name].type for name in self.targets[node.name]]
        if node.type in READOUTS and not all(kind in ("Output", "nested Output") for kind in readers):
            raise node.error(
                "its membrane is read by other nodes; only an Output can read a membrane that does not spike.",
                "Use LIF where spikes are sent on.",
            )
        affine = in_file_order(node, tensor, self.builder)
        tensor = replace(tensor, affine=affine, flat_from=None)
        activation = node.metadata.get("brainsnn_activation", "linear")
        if not isinstance(activation, str) or activation not in OUTPUT_ACTIVATIONS:
            raise node.error(
                f"its metadata name the activation {activation!r}; known: {', '.join(OUTPUT_ACTIVATIONS)}."
            )
        before = set(self.builder.populations)
        self.builder.readout(
            replace(affine.relabel(node.name), activation=(activation, node.name), n_together=affine.shape[2])
        )
        (name,) = set(self.builder.populations) - before
        self.builder.populations[name].keras_layer = None
        self.readouts[name] = node, tensor
        return None

    def _close_loop(self, source, node):
        """Add what arrives at a spiking node one step later."""
        name = next(name for name, (other, _) in self.spiking.items() if other is node)
        tensor, (_, own) = self._tensor(source, node), self.spiking[name]
        population = self.builder.populations[name]
        if tensor.affine.shape != own.affine.shape or tensor.shape != own.shape:
            raise node.error(f"tensors of different shapes reach it: {own.shape} and {tensor.shape}.")
        if tensor.affine.bias is not None:
            population.bias = reduce_bias(population.bias + tensor.affine.bias, population.shape)
        population.layers = tuple(dict.fromkeys((*population.layers, *tensor.affine.layers)))
        added = [Projection(term.source, name, term.operator, term.mode) for term in tensor.affine.terms]
        self.builder.projections += merge_projections(added)

    def _neurons(self, graph):
        """Return the model of each population."""
        encoder = self.input.metadata.get("brainsnn_encoder", "poisson")
        encoder = encoder if encoder in ("poisson", "current") else "poisson"
        models = {}
        for name, (node, tensor) in {**self.spiking, **self.readouts}.items():
            has_bias = bool(np.any(graph.populations[name].bias))

            def place(field, values, node=node, tensor=tensor):
                """Return the values of a field, one for each neuron."""
                try:
                    return tensor.arranged(values).ravel()
                except ValueError:
                    raise node.error(f"{field!r} has the shape {values.shape}, and its input {tensor.shape}.") from None

            if node.type in SPIKING:
                models[name] = neuron_model(node, place, self.convention_of(node), has_bias, encoder)
            elif node.type in READOUTS:
                models[name] = readout_model(node, place, self.convention_of(node), has_bias)
            else:
                models[name] = signal_readout(has_bias)
        return models
