"""What a converted network is: its objects and options, by name."""

from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import NeuronGroup

from brainsnn.attention.parameters import AttendedParameters
from brainsnn.builders.describe.tables import Description
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.graph.summary import network_tables
from brainsnn.builders.network.assembly import Assembly
from brainsnn.builders.network.constants import note_namespaces
from brainsnn.builders.network.monitors import Monitors
from brainsnn.builders.network.parameters import SET_BY_RUN
from brainsnn.builders.network.population_mapping import Populations
from brainsnn.builders.network.trial_network import TrialNetwork
from brainsnn.builders.run_description import model_descriptions, saturation_fixes
from brainsnn.equations import NeuronModel
from brainsnn.feedback.gate import PredictiveGate, gate_with
from brainsnn.one_line import one_line
from brainsnn.results.names import LayerDict
from brainsnn.results.selection import PLACE, checked_place

__all__ = ["NetworkView"]


class NetworkView:
    """The part of a `~brainsnn.builders.spiking_network.SpikingNetwork` that only answers questions."""

    populations: Populations
    _assembly: Assembly
    _backend: Backend
    _monitors: Monitors
    _attended: AttendedParameters
    network: TrialNetwork

    @property
    def graph(self) -> LayerGraph:
        """The populations and the operators between them (`~brainsnn.builders.graph.layer_graph.LayerGraph`)."""
        return self._assembly.graph

    @property
    def neuron(self) -> NeuronModel:
        """The neuron model of all layers that ``convert(neuron={...})`` did not name (`NeuronModel`)."""
        return self._assembly.neurons.default

    @property
    def neurons(self) -> dict[str, NeuronModel]:
        """The neuron model that each population was given (dict of str to `NeuronModel`); `models` has what became of it."""
        given = {name: self._assembly.neuron_of(name) for name in self._assembly.shapes}
        return self._by_layer(given, "population")

    @property
    def models(self) -> dict[str, NeuronModel]:
        """The equations that each population got, with the values of `set_parameters` (dict of str to `NeuronModel`)."""
        self._note_namespaces()
        return self._by_layer(self._assembly.models, "population")

    @property
    def parameters(self) -> dict[str, list[str]]:
        """Names of the per-neuron parameters of each population, for `set_parameters` (dict of str to list of str)."""
        found = {
            name: [v for v in variables if v not in SET_BY_RUN] for name, variables in self._assembly.parameters.items()
        }
        return self._by_layer(found, "population")

    @property
    def recorded(self) -> dict[str, dict[str, np.ndarray]]:
        """Recorded neurons: population -> ``"spikes"`` or variable -> flat indices (dict of str to dict of str to ndarray)."""
        return self._by_layer(self._monitors.neurons, "recorded population")

    @property
    def projections(self) -> list[Any]:
        """Projections, each with ``source``, ``target`` and ``to_coo() -> (i, j, w)`` (list)."""
        return self._assembly.connections

    @property
    def feedback(self) -> PredictiveGate | None:
        """The gate on the input (`~brainsnn.feedback.gate.PredictiveGate` or None)."""
        assembly = self._assembly
        if assembly.feedback is None:
            return None
        return gate_with(assembly.feedback, assembly.models[assembly.graph.input.name].parameters)

    @property
    def encoder(self) -> str:
        """How images arrive, ``"current"`` or ``"poisson"`` (str)."""
        return self._assembly.encoder

    @property
    def schedule(self) -> str:
        """When a spike acts, ``"pipelined"`` or ``"synchronous"`` (str)."""
        return self._assembly.schedule

    @property
    def connectivity(self) -> str:
        """How projections are stored, ``"event_driven"`` or ``"synapses"`` (str)."""
        return self._assembly.connectivity

    @property
    def device(self) -> str:
        """Name of the device that the network was made for (str)."""
        return self._backend.name

    @property
    def dt(self) -> float:
        """Time step in seconds (float)."""
        return self._assembly.dt

    @cached_property
    def _aliases(self):
        return self.populations.aliases()

    @cached_property
    def _model_descriptions(self):
        return model_descriptions(self._assembly.models)

    @cached_property
    def _network_tables(self):
        return network_tables(self.graph)

    @cached_property
    def _saturation_fixes(self):
        return saturation_fixes(self.populations.spiking, self._assembly.models)

    def _read(self, name, variable):
        return self._backend.get_values(self._assembly.groups[name], variable)

    def _note_namespaces(self):
        if note_namespaces(self._assembly):
            self._forget_descriptions()

    def _forget_descriptions(self):
        """Describe the models again when it is asked for."""
        for name in ("_model_descriptions", "_saturation_fixes"):
            self.__dict__.pop(name, None)

    def _by_layer(self, values, kind):
        """Return a dict by population that takes the names of folded layers, too."""
        return LayerDict(self._aliases, kind, populations=self._assembly.groups, values=values)

    def describe(self) -> Description:
        """
        Describe the network for a methods section, as it is now.

        Returns
        -------
        description : `~brainsnn.builders.describe.tables.Description`
            Prints as text; ``to_markdown()`` and ``to_latex()`` return the same tables in other forms, and a notebook shows
            them. They are a summary, populations, connectivity, the equations of each model, input, measurements, parameters
            with units, and attention and feedback if there are any. Populations with the same equations share a model.

        References
        ----------
        Nordlie, Gewaltig, Plesser (2009), PLoS Comput Biol 5(8): e1000456.

        Examples
        --------
        >>> import brainsnn as bs
        >>> snn = bs.convert(bs.load_model("digits"), neuron=bs.ASN(m_f=0.1))
        >>> print(snn.describe().tables["C"].rows[1][0].text)
        encoding_asn
        """
        from brainsnn.builders.describe.network_tables import describe_network

        return describe_network(self)

    def to_nir(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """
        Write the network as a file of the neuromorphic intermediate representation (NIR).

        Parameters
        ----------
        path : str or path-like
            File, ``net.nir``. It appears when it is complete.
        overwrite : bool, optional
            Whether to replace a file.

        Returns
        -------
        path : `~pathlib.Path`

        Raises
        ------
        ConversionError
            If NIR cannot express the network: neurons other than ``IF``, ``LIF`` and those that `read_nir` makes, such as
            ``ASN``; maximum pooling; a gate on the input; attention; neurons that start at other values; objects that were added,
            switched off or changed, such as weights of synapses; a projection that is not a convolution and is too large for a
            matrix. The message names the population or projection. Nothing is written.
        FileExistsError
            If the file exists.
        ModuleNotFoundError
            If the package nir is not installed.

        Warns
        -----
        UserWarning
            If neurons lose ``v_threshold`` at a spike, which NIR itself cannot say; `read_nir` reads it from the metadata.

        Notes
        -----
        ``IF`` is NIR's IF, with a leak LIF; ``LIF`` is CubaLIF, or LIF where the image arrives as a current. Values of parameters
        are the current ones. Time step and integration are metadata. Maps are (C, H, W). After a projection that no Conv2d can
        express, they are vectors in the order of NIR's Flatten. The shape checks of nir 1.0 refuse groups, and kernels that are
        not square: ``nir.read(path, type_check=False)``.

        See Also
        --------
        brainsnn.read_nir

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.feedback import trained_options
        >>> snn = bs.convert(bs.load_model("digits_plain_if"), **trained_options("digits_plain_if"))
        >>> snn.to_nir("digits.nir").name
        'digits.nir'
        """
        from brainsnn.builders.to_nir import write_nir

        self._note_namespaces()
        read = self._backend.get_values
        return write_nir(self._assembly, self.network, read, self._attended.attention, path, overwrite)

    def __getitem__(self, layer: str) -> NeuronGroup:
        return self.populations[layer]

    def index(self, layer: str, row: int, column: int, channel: int) -> int:
        """
        Return the flat index of a neuron in its group, ``snn[layer]``.

        Parameters
        ----------
        layer : str
        row, column, channel : int

        Returns
        -------
        index : int
            ``(row*width + column)*n_channels + channel``.

        Raises
        ------
        UnknownNameError, IndexError
            If there is no such layer, or it has no such neuron.

        Examples
        --------
        >>> import brainsnn as bs
        >>> snn = bs.convert(bs.load_model("digits"))
        >>> snn.index("conv2", row=5, column=7, channel=3)  # of 14 x 14 x 32 neurons
        2467
        >>> snn.position("conv2", 2467)
        (5, 7, 3)
        """
        shape = self._shape_of(layer)
        place = checked_place((row, column, channel), PLACE, shape, f"{layer!r} has the shape {shape}")
        return int(np.ravel_multi_index(place, shape))

    def position(self, layer: str, index: int) -> tuple[int, ...]:
        """
        Return row, column and channel of a neuron; the inverse of `index`.

        Parameters
        ----------
        layer : str
        index : int

        Returns
        -------
        row, column, channel : int

        Raises
        ------
        UnknownNameError, IndexError
            If there is no such layer, or it has no such neuron.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.convert(bs.load_model("digits")).position("conv2", 2467)
        (5, 7, 3)
        """
        shape = self._shape_of(layer)
        place = checked_place((index,), ("index",), (int(np.prod(shape)),), f"{layer!r} has the shape {shape}")
        return tuple(int(k) for k in np.unravel_index(place[0], shape))

    def _shape_of(self, layer):
        return self._assembly.shapes[self.populations.name_of(layer)]

    def __repr__(self):
        neurons = sum(len(group) for group in self._assembly.groups.values())
        spiking = (self._assembly.neuron_of(name).name for name in self.populations.spiking)
        names = dict.fromkeys(spiking) or [self.neuron.name]
        what = f"{len(self.populations)} populations, {neurons} neurons, {' and '.join(names)}, {self._backend.name}"
        return one_line(self, what)

    def _repr_html_(self):
        return self.describe().to_html(repr(self).strip("<>"))

    @property
    def _n_recorded(self):
        """Number of neurons whose spikes are recorded, by population."""
        return {name: len(variables.get("spikes", ())) for name, variables in self.recorded.items()}
