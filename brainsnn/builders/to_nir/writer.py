"""Write the populations and projections of a network as the nodes and edges of a NIR file."""

from pathlib import Path

import numpy as np

from brainsnn.builders.from_nir.conventions import METADATA
from brainsnn.builders.to_nir.changes import check_unchanged, start_of
from brainsnn.builders.to_nir.neurons import nir_neurons
from brainsnn.builders.to_nir.projections import as_convolution, as_matrix
from brainsnn.errors import ConversionError, warn
from brainsnn.files import atomic_path, check_writable, checked_path
from brainsnn.optional import optional_packages

__all__ = ["write_nir"]


def write_nir(assembly, network, read, attention, path, overwrite):
    """
    Write a network; see `~brainsnn.builders.spiking_network.SpikingNetwork.to_nir`.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    network : `~brainsnn.builders.network.trial_network.TrialNetwork`
    read : callable
        ``read(object, variable)`` returns the values with which the next run starts.
    attention : object or None
        The attention that is set.
    path : str or path-like
    overwrite : bool

    Returns
    -------
    path : `~pathlib.Path`
    """
    path = checked_path(path, "to_nir: path", is_file=True)
    if path.is_dir():
        raise ValueError(f"to_nir: {str(path)!r} is a folder. Give the name of a file, such as 'net.nir'.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"to_nir: {str(path)!r} exists. Give another path, or overwrite=True.")
    with optional_packages("to_nir"):
        import nir
    _check_network(assembly, attention)
    check_unchanged(assembly, network, read)
    nodes, edges = _Writer(nir, assembly, read).nodes_and_edges()
    graph = nir.NIRGraph(nodes, edges, metadata={METADATA["dt"]: assembly.dt}, type_check=False)
    check_writable(path.parent, "to_nir", "Give a path in another folder.")
    with atomic_path(path) as part:
        nir.write(part, graph)
    soft = [name for name, node in nodes.items() if node.metadata.get(METADATA["reset"], "value") != "value"]
    if soft:
        warn(
            f"to_nir: the neurons of {', '.join(map(repr, soft))} lose v_threshold when they spike. NIR has no field for this "
            "reset: it is in the metadata, which read_nir reads. Tell it to other libraries; by NIR's definition they would set "
            "the potential to v_reset = 0."
        )
    return Path(path)


def _check_network(assembly, attention):
    """Refuse what is not in the populations and projections of the graph."""
    if assembly.feedback is not None:
        raise ConversionError("to_nir: NIR has no gate on the input; PredictiveGate cannot be written.")
    if attention is not None:
        raise ConversionError("to_nir: attention changes parameters from image to image. Remove it: snn.attend(None).")
    for population in assembly.graph.populations.values():
        if population.reads is not None:
            raise ConversionError(
                f"to_nir: {population.name!r} is a readout that convert added, not a layer of the model. Convert "
                "without readouts={...}."
            )
        if population.kind == "membrane":
            raise ConversionError(
                f"to_nir: {population.name!r} is pooled before spikes are generated (maximum pooling, or "
                "average_pooling='membrane'); NIR has no such node. Use average pooling of spikes."
            )
    for projection in assembly.graph.projections:
        if projection.mode == "counts":
            raise ConversionError(
                f"to_nir: {projection.target!r} takes the maximum over the spike counts of {projection.source!r}; NIR has no "
                "such node. Use average pooling."
            )


class _Writer:
    """Collect nodes and edges."""

    def __init__(self, nir, assembly, read):
        self.nir, self.assembly, self._read = nir, assembly, read
        graph = assembly.graph
        has_junctions = any(population.kind == "junction" for population in graph.populations.values())
        self.graph = graph.expand_junctions() if has_junctions else graph
        self.nodes, self.edges = {}, []
        self.neurons = {name: self._neurons(name) for name in self.graph.populations if name != self.graph.input.name}
        self.names = {}
        for name in self.graph.populations:
            self.names[name] = self._free(name)
            self.nodes[self.names[name]] = None  # keeps the name, and the order of the graph
        self.convolutions = {id(p): self._convolution(p) for p in self.graph.projections}
        self.flat = self._flat_populations()

    def _values(self, name, variable):
        return self._read(self.assembly.groups[name], variable)

    def nodes_and_edges(self):
        """Return the nodes by name, and the edges."""
        nir, graph = self.nir, self.graph
        metadata = {"brainsnn_encoder": self.assembly.encoder}
        self.nodes[self.names[graph.input.name]] = nir.Input(self._shape(graph.input.name), metadata=metadata)
        for name, population in graph.populations.items():
            if population.kind == "input":
                continue
            self.nodes[self.names[name]] = self._node(name)
            if population.kind == "readout" and self.neurons[name].type != "Output":
                end = self._free(f"{name}_output")
                self.nodes[end] = nir.Output(self._shape(name))
                self.edges.append((self.names[name], end))
            bias = self._bias(name)
            for k, projection in enumerate(graph.incoming(name)):
                self._project(projection, bias if k == 0 else None)
        return self.nodes, self.edges

    def _free(self, wanted):
        """Return a name that no node has; a slash would open a group in the file."""
        wanted = wanted.replace("/", ".").strip(".") or "node"
        name, number = wanted, 2
        while name in self.nodes:
            name, number = f"{wanted}_{number}", number + 1
        return name

    def _neurons(self, name):
        """Return what the neurons of a population are in NIR."""
        assembly, population = self.assembly, self.graph.populations[name]
        model, given = assembly.models[name], assembly.neuron_of(name)
        if given.input_unit != 1:
            raise ConversionError(f"to_nir: {name!r} has an input_unit of {given.input_unit}; NIR files have no units.")

        def values(parameter):
            """Return the values of a parameter or constant, one for each neuron."""
            if parameter in assembly.parameters[name]:
                found = self._values(name, parameter)
            else:
                found = model.parameters.get(parameter, {"w_in": 1.0}.get(parameter, 0.0))
            if np.isnan(np.asarray(found, dtype=float)).any():
                raise ConversionError(f"to_nir: {parameter!r} of {name!r} was set to NaN. Assign finite values.")
            return np.broadcast_to(np.asarray(found, dtype=float).ravel(), population.size).astype(float)

        if population.kind == "readout":
            given = given.readout
            if model.on_pre not in (f"{given.receives}_post += w*h_pre", f"{given.receives} += w*h_pre"):
                raise ConversionError(
                    f"to_nir: a spike that arrives at {name!r} does {model.on_pre!r}. NIR adds weighted spikes: "
                    f"'{given.receives}_post += w*h_pre'."
                )
        start = start_of(assembly, name, self._read)
        return nir_neurons(name, given, assembly.inputs[name], values, start, assembly.dt)

    def _convolution(self, projection):
        """Return a projection as the arguments of a Conv2d, or None."""
        shapes = (self.graph.populations[name].shape for name in (projection.source, projection.target))
        return as_convolution(projection.operator, *shapes)

    def _flat_populations(self):
        """Return the populations whose maps are vectors in the file: of one pixel, or after what no Conv2d can express."""
        flat, populations = set(), self.graph.populations
        for name, population in populations.items():
            one_pixel = population.shape[:2] == (1, 1)
            bias = population.bias
            if one_pixel or (population.kind != "input" and self.neurons[name].has_bias and bias.shape[:2] != (1, 1)):
                flat.add(name)
        flat |= {p.target for p in self.graph.projections if self.convolutions[id(p)] is None}
        found = None
        while found != flat:  # a loop may reach an earlier population
            found = set(flat)
            flat |= {p.target for p in self.graph.projections if p.source in flat}
        return flat

    def _shape(self, name):
        """Return the shape of a population in the file."""
        height, width, channels = self.graph.populations[name].shape
        return np.array([height * width * channels] if name in self.flat else [channels, height, width])

    def _arranged(self, name, values):
        """Return values, one for each neuron, in the shape and order of the file."""
        shape = self.graph.populations[name].shape
        values = values.reshape(shape).transpose(2, 0, 1)
        return np.ascontiguousarray(values.ravel() if name in self.flat else values)

    def _node(self, name):
        """Return the node of a population."""
        neurons = self.neurons[name]
        metadata = {key: value for key, value in neurons.convention.metadata.items() if key != METADATA["dt"]}
        population = self.graph.populations[name]
        if population.kind == "readout":
            metadata = {METADATA["integration"]: metadata[METADATA["integration"]]}
            metadata["brainsnn_activation"] = population.activation or "linear"
        if neurons.type == "Output":
            return self.nir.Output(self._shape(name), metadata=metadata)
        fields = {field: self._arranged(name, values) for field, values in neurons.fields.items()}
        return getattr(self.nir, neurons.type)(**fields, metadata=metadata)

    def _bias(self, name):
        """Return the bias that is added to the input of a population, (n,) or one for each channel; None for none."""
        if not self.neurons[name].has_bias or self.assembly.models[name].bias is None:
            return None
        bias = np.asarray(self._values(name, self.assembly.models[name].bias), dtype=float)
        if not np.any(bias):
            return None
        bias = np.broadcast_to(bias, self.graph.populations[name].size)
        maps = bias.reshape(self.graph.populations[name].shape)
        if name not in self.flat and np.any(maps != maps[:1, :1]):
            raise ConversionError(
                f"to_nir: the bias of {name!r} was set to values that differ between positions. Convert a model with this bias."
            )
        return self._arranged(name, bias) if name in self.flat else maps[0, 0].copy()

    def _project(self, projection, bias):
        """Add the nodes of a projection, and its edges."""
        source, target, operator = projection.source, projection.target, projection.operator
        last, shapes = self.names[source], [self.graph.populations[name].shape for name in (source, target)]
        if source != self.graph.input.name:
            last = self._scaled(source, last)
        if projection.mode == "spikes" and (scale := self.assembly.spike_scale(projection) or 1.0) != 1:
            factor = np.full(self.graph.populations[source].size, scale)
            last = self._append(last, f"{self.names[source]}_scale", self.nir.Scale(self._arranged(source, factor)))
        to_flat, from_flat, one_pixel = target in self.flat, source in self.flat, shapes[1][:2] == (1, 1)
        convolution = (
            None if from_flat or (to_flat and (one_pixel or bias is not None)) else self._convolution(projection)
        )
        if convolution is not None:
            if bias is not None or not operator.is_identity:
                offset = np.zeros(shapes[1][2]) if bias is None else bias
                last = self._append(last, f"{target}_conv", self.nir.Conv2d(shapes[0][:2], bias=offset, **convolution))
            if to_flat:
                last = self._flattened(last, target, shapes[1])
        else:
            if not from_flat:
                last = self._flattened(last, target, shapes[0])
            if bias is not None or not operator.is_identity or shapes[0] != shapes[1]:
                weight = as_matrix(operator, *shapes, f"{source} -> {target}")
                node = self.nir.Linear(weight) if bias is None else self.nir.Affine(weight, bias)
                last = self._append(last, f"{target}_linear", node)
        self.edges.append((last, self.names[target]))

    def _append(self, last, name, node):
        """Add a node after another one; return its name."""
        name = self._free(name)
        self.nodes[name] = node
        self.edges.append((last, name))
        return name

    def _flattened(self, last, target, shape):
        height, width, channels = shape
        node = self.nir.Flatten({"input": np.array([channels, height, width])}, 0, -1)
        return self._append(last, f"{target}_flatten", node)

    def _scaled(self, source, last):
        """Multiply spikes by their height, where it is not 1."""
        model = self.assembly.models[source]
        height = np.broadcast_to(
            np.asarray(self._values(source, model.spike_height), float), self.graph.populations[source].size
        )
        if np.all(height == 1):
            return last
        wanted = f"{self.names[source]}_height"
        if wanted not in self.nodes:
            self._append(last, wanted, self.nir.Scale(self._arranged(source, height)))
        return wanted
