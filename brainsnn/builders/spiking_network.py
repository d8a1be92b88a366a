"""A converted network: its Brian2 objects, and running images through it."""

from contextlib import contextmanager

import numpy as np
from brian2 import BrianObject, Quantity, get_device, get_unit, ms, prefs
from brian2.units.fundamentalunits import DIMENSIONLESS
from tqdm import tqdm

from brainsnn.builders.active_device import make_active
from brainsnn.builders.assembly import CONNECTIVITIES, SCHEDULES, assemble
from brainsnn.builders.attended import AttendedParameters
from brainsnn.builders.devices import make_backend
from brainsnn.builders.keras_reader import read_keras
from brainsnn.builders.layer_graph import OUTPUT_ACTIVATIONS, LayerGraph
from brainsnn.builders.network_objects import NetworkObjects
from brainsnn.builders.population_names import Populations
from brainsnn.builders.populations import parameter_names, state_variables
from brainsnn.builders.recording import Recordings
from brainsnn.builders.result import Result
from brainsnn.builders.runtime import TrialNetwork
from brainsnn.builders.streaming import StreamFolder
from brainsnn.builders.trial_inputs import make_trials
from brainsnn.equations import ASN
from brainsnn.errors import UnknownNameError

__all__ = ["SpikingNetwork", "convert"]


def convert(
    model,
    neuron=None,
    connectivity="event_driven",
    schedule="pipelined",
    average_pooling="spikes",
    device="runtime",
    record=None,
    dtype="float32",
    threads=1,
    *,
    encoder=None,
    thresholds=None,
    feedback=None,
    dt=1 * ms,
):
    """
    Turn a trained Keras model into a spiking network of Brian2 objects.

    Parameters
    ----------
    model : keras.Model or `~brainsnn.builders.layer_graph.LayerGraph`
        The trained network.
    neuron : `~brainsnn.equations.model.NeuronModel`, optional
        Neuron model of all spiking populations, ``ASN()`` by default.
    connectivity : {"event_driven", "synapses"}
        Kernels stored once and visited by spikes, or one Brian2 synapse for each connection. Both give the same spikes.
    schedule : {"pipelined", "synchronous"}
        A spike acts in the next layer one step later (Brian2's standard schedule), or within the same step.
    average_pooling : {"spikes", "membrane"}
        Whether average pooling behind a nonlinearity averages the spikes, or the membranes and then spikes.
    device : {"runtime", "cpp_standalone", "genn", "genn_cuda", "cuda_standalone"}
        Brian2 device; docs/devices.md says what each of them can do.
    record : dict, optional
        Layer name -> list of ``"spikes"`` and state variables to record, or a dict of these to the neurons.
    dtype : {"float32", "float64"}
        Type of all state variables and weights.
    threads : int
        OpenMP threads of a C++ standalone program.
    encoder : {"current", "poisson"}, optional
        How images arrive: as a current into the first population, or as signed Poisson spikes of input neurons, which can
        also replay given spikes. The neuron model's own by default.
    thresholds : dict, optional
        Layer name -> threshold, for neuron models that have one per layer, such as ``IF``.
    feedback : `~brainsnn.feedback.gate.PredictiveGate`, optional
        Let a generator's spikes predict the input and gate it; the input then spikes (``encoder="poisson"``).
    dt : `~brian2.units.fundamentalunits.Quantity`
        Time step.

    Returns
    -------
    network : `SpikingNetwork`

    Raises
    ------
    ValueError, ConversionError, UnknownNameError
        If an argument or the model is not valid; nothing has been built then.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.load_model("weights/digits.keras"), neuron=bs.ASN(m_f=0.1))  # doctest: +SKIP
    >>> result = snn.run(images, duration=300*bs.ms)  # doctest: +SKIP
    """
    neuron = ASN() if neuron is None else neuron
    _check_choice("connectivity", connectivity, CONNECTIVITIES)
    _check_choice("schedule", schedule, SCHEDULES)
    _check_choice("average_pooling", average_pooling, ("spikes", "membrane"))
    _check_choice("dtype", dtype, ("float32", "float64"))
    if encoder is None:
        encoder = neuron.encoder if feedback is None else "poisson"
    _check_choice("encoder", encoder, ("current", "poisson"))
    if neuron.readout is None:
        raise ValueError(
            f"convert: the neuron model {neuron.name!r} has no readout; give it one with readout=NeuronModel(...)."
        )
    if feedback is not None and encoder != "poisson":
        raise ValueError(f"convert: feedback gates input neurons that spike; encoder={encoder!r} has none.")
    if not isinstance(dt, Quantity) or dt.dim is not ms.dim or not 0 < dt < float("inf") * ms:
        raise ValueError(f"convert: dt={dt!r} must be a time greater than 0, such as 1*ms.")
    if isinstance(model, LayerGraph):
        graph = model if neuron.has_linear_filter else model.expand_junctions()
    else:
        graph = read_keras(model, average_pooling=average_pooling, junctions=neuron.has_linear_filter)
    if feedback is not None:
        graph = feedback.prepare(graph)
        record = feedback.recorded(record, graph.input.name)
    return SpikingNetwork(
        graph, neuron, connectivity=connectivity, schedule=schedule, encoder=encoder, device=device, record=record,
        dtype=dtype, threads=threads, thresholds=thresholds, dt=dt, feedback=feedback,
    )  # fmt: skip


class SpikingNetwork:
    """
    A spiking network of Brian2 objects, made by `convert`.

    Attributes
    ----------
    graph : `~brainsnn.builders.layer_graph.LayerGraph`
    neuron : `~brainsnn.equations.model.NeuronModel`
    models : dict of str to `~brainsnn.equations.model.NeuronModel`
        The equations that each population got.
    populations : dict of str to `~brian2.groups.neurongroup.NeuronGroup`
        By Keras layer name: spiking populations in graph order, then the readout. Junctions and membranes, which do not
        spike, and layers that were folded into a population are found by their names too. What is assigned to their variables
        counts from the next run on, on every device; `set_parameters` also keeps parameters together that belong together.
    projections : list
        Each has ``source``, ``target`` and ``to_coo() -> (i, j, w)``.
    network : `~brian2.core.network.Network`
        Anything of Brian2's can be added to it before the first run. Neurons that are added begin each image anew, too, and so
        do traces of synapses and spikes under way; what synapses learn goes on from image to image and from run to run.
    """

    def __init__(
        self, graph, neuron, *, connectivity, schedule, encoder, device, record, dtype, threads, thresholds, dt,
        feedback=None,
    ):  # fmt: skip
        self._backend = make_backend(device, threads)
        graph, connectivity = self._backend.prepare(graph, connectivity, schedule, encoder, feedback)
        neuron = self._backend.prepare_neuron(neuron)
        self.feedback = feedback
        self.graph, self.neuron, self.encoder, self.schedule = graph, neuron, encoder, schedule
        self.dtype, self.dt = np.dtype(dtype), float(dt)
        with self._preferences(), _nothing_left_on_error():
            self._backend.activate()
            assembly = assemble(graph, neuron, connectivity, schedule, encoder, self._backend.make_clock(dt), feedback)
            self._groups, self.models, self._inputs = assembly.groups, assembly.models, assembly.inputs
            self.projections = assembly.connections
            self.populations = Populations(graph, assembly.groups)
            self._recordings = Recordings(record, graph, assembly.groups)
            self._backend.check(assembly, self._recordings)
            self.network = TrialNetwork(assembly.objects, self._recordings.monitors, name="brainsnn_network")
            names = {name: parameter_names(model, assembly.written[name]) for name, model in assembly.models.items()}
            self._parameters = names
            state = {group.name: state_variables(group, names[name]) for name, group in assembly.groups.items()}
            monitors, replays = self._recordings.monitors, assembly.replays
            self._objects = NetworkObjects(self.network, assembly.groups, state, monitors, replays)
            self._attended = AttendedParameters(self)
            self._plastic = {p.name: p for p in self.projections if getattr(p, "plastic", False)}
            for projection in self._plastic.values():
                self._backend.keep(projection, "w", projection.operator.to_coo()[2])
            self._set_initial_parameters(thresholds or {})

    def _set_initial_parameters(self, thresholds):
        named = {self.graph.population(layer).name: value for layer, value in thresholds.items()}
        parameter = self.neuron.threshold_parameter
        if named and parameter is None:
            raise ValueError(f"thresholds: the neuron model {self.neuron.name!r} has no threshold parameter.")
        for name, model in self.models.items():
            for variable in self._parameters[name]:
                if variable in model.parameters:
                    self.set_parameters(name, **{variable: model.parameters[variable]})
            for variable, value in model.initial.items():
                self._backend.set_values(self._groups[name], variable, np.asarray(value, dtype=float))
            population = self.graph.populations.get(name)
            if population is not None and model.bias is not None:
                bias = np.broadcast_to(population.bias, population.shape).ravel()
                self.set_parameters(name, **{model.bias: bias * self.neuron.input_unit})
        for name, value in named.items():
            if parameter not in self._parameters[name]:
                raise ValueError(f"thresholds: {name!r} is a {self.graph.populations[name].kind} and has no threshold.")
            self.set_parameters(name, **{parameter: value})

    def set_parameters(self, layer, **values):
        """
        Set per-neuron parameters of a population for all further runs, on every device without compiling.

        Parameters
        ----------
        layer : str
        **values : float, Quantity or array_like
            One value, or one for each neuron: flat, (H, W, C), or anything that broadcasts to (H, W, C), such as (H, W, 1).
            Parameters that follow from a changed one (``h`` from ``m_f``) are set with it unless they are given too.

        Raises
        ------
        UnknownNameError
            If the population has no such parameter.
        ValueError
            If the values have a wrong size, unit, or are not finite.
        """
        name = self.populations.name_of(layer)
        group, model = self._groups[name], self.models[name]
        for origin in list(values):
            for derived, (source, function) in model.derived.items():
                if source == origin and derived not in values:
                    values[derived] = function(np.asarray(values[origin], dtype=float))
        for variable, value in values.items():
            if variable not in self._parameters[name]:
                raise UnknownNameError(variable, self._parameters[name], f"parameter of {name!r}")
            self._backend.set_values(group, variable, self._parameter_array(name, variable, value))
            self._attended.forget(name, variable)

    def attend(self, attention, layers=None):
        """
        Direct attention, for all further runs and without compiling, in place of the attention that was there before.

        Only writes parameter arrays (``gain``, ``m_f``, ``h``) of populations, which can be read back and be changed with
        `set_parameters`; a parameter changed so while attention is on keeps that value.

        Parameters
        ----------
        attention : `~brainsnn.attention.mechanisms.Attention` or None
            None removes attention and gives the parameters back the values that they had.
        layers : iterable of str, optional
            Populations to change, all spiking ones by default.

        Raises
        ------
        UnknownNameError
            If a layer does not exist.
        ValueError
            If the neurons have no parameter for a mechanism, or if attention is to switch on and off and the neuron model was
            not made by `~brainsnn.attention.timing.switchable`.

        See Also
        --------
        brainsnn.attention.mechanisms.SpatialAttention
        """
        self._attended.set(attention, layers)

    @property
    def learned_weights(self):
        """
        Weights of the projections that learn, as they are now.

        Returns
        -------
        weights : dict of str to (n_connections,) ndarray
            By name of the projection, in the order of its ``to_coo()``. Save them with ``numpy.savez(path, **weights)``.
        """
        return {name: self._backend.get_values(projection, "w") for name, projection in self._plastic.items()}

    def set_learned_weights(self, weights):
        """
        Give projections that learn other weights, on every device without compiling.

        Parameters
        ----------
        weights : dict of str to (n_connections,) array_like
            By name of the projection, such as `learned_weights` gave them.

        Raises
        ------
        UnknownNameError
            If no such projection learns.
        ValueError
            If the weights have a wrong size or are not finite.
        """
        for name, values in weights.items():
            if name not in self._plastic:
                raise UnknownNameError(name, self._plastic, "projection that learns")
            values, n = np.asarray(values, dtype=float), len(self._plastic[name].to_coo()[2])
            if values.shape != (n,) or not np.isfinite(values).all():
                raise ValueError(f"set_learned_weights: {name!r} needs {n} finite weights, got shape {values.shape}.")
        for name, values in weights.items():
            self._backend.set_values(self._plastic[name], "w", np.asarray(values, dtype=float))

    def _parameter_array(self, name, variable, value):
        group = self._groups[name]
        dimensions = group.variables[variable].dim
        if dimensions is not DIMENSIONLESS and Quantity(value).dim is not dimensions:
            raise ValueError(f"{name}.{variable}: the value needs the unit {get_unit(dimensions)}, got {value!r}.")
        array = np.asarray(value, dtype=float)
        if not np.all(np.isfinite(array) | (array == np.inf)):
            raise ValueError(f"{name}.{variable}: the values hold NaN.")
        size = group.variables[variable].size
        if array.size not in (1, size) and name in self.graph.populations:
            try:
                array = np.broadcast_to(array, self.graph.populations[name].shape)
            except ValueError:
                raise ValueError(
                    f"{name}.{variable}: values of shape {array.shape} for {size} neurons of shape "
                    f"{self.graph.populations[name].shape}."
                ) from None
        return array.ravel()

    def build(self):
        """
        Compile the network now, and not at its first run: on a machine without a graphics card, or before time is measured.

        Returns
        -------
        program : `~pathlib.Path` or None
            In the cache of compiled programs; None in runtime mode, which has no program.

        Raises
        ------
        RuntimeError
            If the compiler fails, or objects were added to the network after it was compiled.
        """
        with self._preferences():
            return self._backend.build(self._objects)

    def run(
        self,
        images=None,
        duration=None,
        seed=0,
        *,
        spikes=None,
        onset=0 * ms,
        offset=None,
        background=0.0,
        processes=1,
        progress=False,
        stream_to=None,
    ):
        """
        Run a batch of images, each as a trial of its own that starts from the initial state.

        Parameters
        ----------
        images : (n, H, W, C) array_like of float, optional
        duration : `~brian2.units.fundamentalunits.Quantity`
            Duration of each trial, a multiple of the time step. The length of ``spikes`` by default.
        seed : int or (n,) array_like of int
            The random numbers of a trial depend on it and on the index of the image alone. With one seed for each image
            they depend on that seed alone.
        spikes : (n, n_steps, H, W, C) array_like of {-1, 0, 1}, optional
            Input spikes to be replayed; needs ``encoder="poisson"``. With predictive feedback, give the images too: the
            prediction is compared with them. Elsewhere images have no effect then.
        onset, offset : `~brian2.units.fundamentalunits.Quantity`, optional
            When the image comes on and goes off, one time or one for each image; ``offset=None`` leaves it on.
        background : float or array_like
            Level of the input while the image is off, broadcast to (H, W, C).
        processes : int
            Number of programs that run at once (C++ standalone).
        progress : bool
            Whether to show a progress bar.
        stream_to : str or `~pathlib.Path`, optional
            A new folder that takes spikes, states and outputs while the network runs, for recordings that do not fit into
            memory. It is there when the run is complete; `Result.load` opens it again.

        Returns
        -------
        result : `~brainsnn.builders.result.Result`
            Opened lazily from the folder where ``stream_to`` is given.

        Raises
        ------
        ValueError
            If images, spikes or times are not valid.
        MemoryError
            If the recordings do not fit into memory.
        FileExistsError, OSError
            If the folder of ``stream_to`` exists or its disk has too little room.
        """
        if not isinstance(processes, (int, np.integer)) or processes < 1:
            raise ValueError(f"run: processes={processes!r} must be a whole number, 1 or greater.")
        learning = [*self._plastic, *(f"{synapses.name}.{name}" for synapses, name in self._objects.learned)]
        if processes != 1 and learning:
            raise ValueError(
                f"run: {', '.join(learning)} learns from image to image, which takes one process, got processes={processes!r}."
            )
        trials = make_trials(self, images, duration, seed, spikes, onset, offset, background)
        if stream_to is None:
            self._recordings.check_memory(trials.n_trials, trials.n_steps, self.dtype.itemsize)
            return self._run(trials, processes, progress)
        if not self._backend.can_stream:
            raise ValueError(
                f"run: device={self._backend.name!r} cannot stream to disk; use device='cpp_standalone', or leave stream_to out."
            )
        sizes = self._recordings.state_bytes(), self._recordings.spike_bytes()
        with StreamFolder(stream_to, trials.n_trials, trials.n_steps, *sizes) as trials.stream:
            return trials.stream.finish(self._run(trials, processes, progress))

    def _run(self, trials, processes, progress):
        shapes = {name: self.graph.populations[name].shape for name in self._groups if name in self.graph.populations}
        result = Result(shapes, self.dt, trials.n_steps, self.populations.aliases())
        self._recordings.prepare(result, trials.n_trials, self.dtype, trials.stream)
        activations = {p.name: OUTPUT_ACTIVATIONS[p.activation or "linear"] for p in self.graph.readouts}
        with tqdm(total=trials.n_trials, unit="image", disable=not progress) as bar, self._preferences():

            def on_trial(trial, record):
                # A compiled program tells of each trial at once and hands its recordings over at the end.
                if trial is None:
                    bar.update()
                else:
                    self._recordings.collect(result, record, trial, activations)

            arrays = self._backend.run(self._objects, trials, processes, on_trial)
        self._recordings.adopt(result, arrays or {}, activations)
        return result

    @contextmanager
    def _preferences(self):
        """Brian2's preferences for this network, put back afterwards."""
        wanted = {"core.default_float_dtype": self.dtype.type, **self._backend.preferences}
        saved = {key: prefs[key] for key in wanted}
        try:
            for key, value in wanted.items():
                prefs[key] = value
            yield
        finally:
            for key, value in saved.items():
                prefs[key] = value

    def __repr__(self):
        neurons = sum(len(group) for group in self._groups.values())
        what = f"{len(self.populations)} populations, {neurons} neurons, {self.neuron.name}"
        return f"<SpikingNetwork: {what}, {self._backend.name}>"


@contextmanager
def _nothing_left_on_error():
    """Where a network cannot be made, the user's Brian2 device is active as before, and half of a network is no mistake."""
    device, others = get_device(), set(BrianObject.__instances__())
    try:
        yield
    except BaseException:
        if get_device() is not device:
            make_active(device, getattr(device, "build_on_run", True))
        for reference in set(BrianObject.__instances__()) - others:
            if (obj := reference()) is not None:
                obj._network = "refused"  # Brian2 would warn of objects that were never run
        raise


def _check_choice(what, value, choices):
    if value not in choices:
        raise ValueError(f"convert: {what}={value!r}; choose one of {', '.join(map(repr, choices))}.")
