"""A converted network: its Brian2 objects, and running images through it."""

import sys
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Quantity
from numpy.typing import ArrayLike
from tqdm import tqdm

from brainsnn.attention import Attention
from brainsnn.attention.parameters import AttendedParameters
from brainsnn.builders.devices.active_device import nothing_left_on_error, preferences
from brainsnn.builders.devices.registry import make_backend
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.learned_weights import LearnedWeights
from brainsnn.builders.network.assembly import assemble
from brainsnn.builders.network.constants import make_settable
from brainsnn.builders.network.monitors import Monitors
from brainsnn.builders.network.neurons import Neurons, choose_neurons
from brainsnn.builders.network.objects import NetworkObjects
from brainsnn.builders.network.parameters import (
    check_assigned,
    check_values,
    checked_parameters,
    initial_parameters,
    initial_values,
    note_values,
)
from brainsnn.builders.network.population_mapping import Populations
from brainsnn.builders.network.trial_network import TrialNetwork
from brainsnn.builders.run_description import run_settings
from brainsnn.builders.run_guard import RunGuard, guarded
from brainsnn.builders.trials.inputs import make_trials
from brainsnn.equations import NeuronModel
from brainsnn.errors import DeviceLimitError
from brainsnn.feedback import PredictiveGate
from brainsnn.results.result import Result
from brainsnn.results.saturation import warn_of_saturation
from brainsnn.results.streaming import StreamFolder

__all__ = ["SpikingNetwork"]

#: Seconds after which a run in a terminal or a notebook shows its progress, unless it was asked to or not.
LONG_RUN = 5


class SpikingNetwork(LearnedWeights):
    """
    A spiking network of Brian2 objects, made by `convert`.

    Attributes
    ----------
    populations : dict of str to `~brian2.groups.neurongroup.NeuronGroup`
        By Keras layer name: spiking populations in graph order, then the readout. Junctions and membranes, which do not
        spike, and layers that were folded into a population are found by their names too. Assignments to their variables take
        effect in the next run, on every device. `set_parameters` also updates the parameters that follow from others.
        ``snn["conv1"]`` is short for ``snn.populations["conv1"]``.
    network : `~brian2.core.network.Network`
        Any Brian2 object can be added before the first run. Each image starts from the declared state: what was declared, and
        what the user has assigned since. What statements of added synapses change is learned, and persists. Added monitors hold
        the images of the last run, one after the other. A `~brian2.monitors.statemonitor.StateMonitor` records at the start of
        a step unless it has ``when="end"``, one step earlier than ``result.states``; `~brainsnn.monitor` adds one with the
        right ``when``. On ``runtime``, its `run`, `store` and `restore` work by hand, too.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"))
    >>> snn.set_parameters("conv1", gain=1.1)
    >>> snn.attend(bs.SpatialAttention((0.3, 0.6), 0.2, output_gain=0.3))
    >>> snn.run(load_digits("test")[0][:2], 50 * bs.ms).output.shape
    (2, 50, 10)
    """

    dtype: np.dtype

    def __init__(
        self, graph: LayerGraph, neuron: NeuronModel | Neurons, *, connectivity: str, schedule: str, encoder: str, device: str,
        record: Mapping[str, Any] | None, dtype: str, threads: int, thresholds: Mapping[str, float] | None, dt: Quantity,
        feedback: PredictiveGate | None = None,
    ) -> None:  # fmt: skip
        self._guard = RunGuard()
        self._backend = make_backend(device, threads)
        graph, connectivity = self._backend.prepare(graph, connectivity, schedule, encoder, feedback)
        self.dtype = np.dtype(dtype)
        with self._preferences(), nothing_left_on_error():
            self._backend.activate()
            neurons = choose_neurons(graph, neuron).changed(self._backend.prepare_neuron)
            clock = self._backend.make_clock(dt)
            self._assembly = assemble(graph, neurons, connectivity, schedule, encoder, clock, feedback)
            self._monitors = Monitors(record, self._assembly)
            self._backend.check(self._assembly, self._monitors)
            self.populations = Populations(graph, self._assembly.groups)
            self.network = TrialNetwork(
                self._assembly.objects, self._monitors.all, self._backend.own_objects(clock),
                backend=self._backend, guard=self._guard, dtype=self.dtype, name="brainsnn_network",
            )  # fmt: skip
            self._objects = NetworkObjects(
                self.network, self._assembly.groups, self._assembly.state, self._monitors.all, self._assembly.replays
            )
            self._backend.follow(self._objects)
            parts = self._assembly
            self._attended = AttendedParameters(
                parts.models, parts.shapes, parts.parameters, self.dt, self._read, self._write
            )
            self.network.attended = self._attended
            self._set_initial_values(thresholds or {})

    def _set_initial_values(self, thresholds):
        for projection in self._plastic.values():
            self._backend.persist(projection, "w", projection.operator.to_coo()[2])
        for name, values in initial_parameters(self._assembly, thresholds).items():
            self._set_parameters(name, checked_parameters(self._assembly, name, values, self._read))
        for name, values in initial_values(self._assembly).items():
            for variable, value in values.items():
                self._write(name, variable, value)

    def _write(self, name, variable, values):
        self._backend.set_values(self._assembly.groups[name], variable, np.asarray(values))

    @guarded
    def set_parameters(self, layer: str, **values: Any) -> None:
        """
        Set parameters of a population for all further runs, on every device without compiling.

        A constant of the equations, such as a time constant, can be set before the first run. It then becomes a parameter of
        the layer, or of each neuron if several values are given, and can be changed later as well. Until then it is a number
        in the program, which is fastest.

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
            If the values have a wrong shape or unit, or are not finite. Nothing is set if any value is refused. If a constant is
            set after the first run, or is one of neurons that this layer only reads, such as a junction.

        Examples
        --------
        >>> import brainsnn as bs
        >>> snn = bs.convert(bs.load_model("digits"), neuron=bs.ASN(m_f=0.1))
        >>> snn.set_parameters("conv2", m_f=0.05)  # finer, with more spikes; h follows
        >>> float(snn["conv2"].h[0] / snn["conv1"].h[0]) < 0.6
        True
        """
        name = self.populations.name_of(layer)
        check_values(self._assembly, name, values)
        for variable, value in make_settable(self._assembly, name, values, self.network.is_prepared).items():
            self._write(name, variable, value)
        arrays = checked_parameters(self._assembly, name, values, self._read)
        self._set_parameters(name, arrays)
        note_values(self._assembly, name, arrays)
        self._forget_descriptions()

    def _set_parameters(self, name, arrays):
        for variable, array in arrays.items():
            self._write(name, variable, array)
            self._attended.forget(name, variable)

    @guarded
    def attend(self, attention: Attention | None, layers: Iterable[str] | None = None) -> None:
        """
        Direct attention in all further runs, without compiling; replaces earlier attention.

        Attention only writes parameter arrays (``gain``, ``m_f``, ``h``) of populations. They can be read back, and changed with
        `set_parameters`, or by assignment; elements that are changed while attention is on keep their values.

        Parameters
        ----------
        attention : `~brainsnn.attention.mechanisms.Attention` or None
            None removes attention and restores the parameters.
        layers : iterable of str, optional
            Populations to change, all spiking ones of the model by default (no ``readouts``). The strengths and fields may name
            no other layers.

        Raises
        ------
        UnknownNameError
            If a layer does not exist.
        ValueError
            If the neurons have no parameter for a mechanism; if attention switches on and off and the neuron model was not
            made by `~brainsnn.attention.timing.switchable`; if no layer is attended, or attention names another one; if attention
            was made without any strength (a strength of 0 is one), or a time is not a multiple of the time step.

        Warns
        -----
        UserWarning
            If the field is equal at all neurons of the attended layers.

        See Also
        --------
        brainsnn.attention.spatial.SpatialAttention

        Examples
        --------
        >>> import brainsnn as bs
        >>> snn = bs.convert(bs.load_model("digits"))
        >>> snn.attend(bs.SpatialAttention(center=(0.3, 0.6), width=0.2, input_gain=0.5), layers=["conv2"])
        >>> float(snn["conv2"].gain[:].max()) > 1.3, float(snn["conv1"].gain[:].max())
        (True, 1.0)
        >>> snn.attend(None)
        >>> float(snn["conv2"].gain[:].max())
        1.0
        """
        if attention is None and layers is not None:
            raise ValueError("attend: None removes attention from all layers; leave layers out.")
        if not isinstance(attention, Attention | None):
            raise ValueError(f"attend: {attention!r} is no attention; give one such as SpatialAttention(...), or None.")
        if attention is not None and not attention.has_strength:
            raise ValueError(
                f"attend: {type(attention).__name__} without a strength changes nothing. Give input_gain=..., output_gain=... or "
                "precision=..., or attend(None) to remove attention."
            )
        name_of = self.populations.name_of
        layers = [layers] if isinstance(layers, str) else self.populations.of_model if layers is None else layers
        try:
            wanted = list(layers)
        except TypeError:
            raise ValueError(f"attend: layers must be names of layers, got {layers!r}.") from None
        names = [name_of(layer) for layer in wanted]
        self._attended.set(None if attention is None else attention.for_layers(name_of), names)

    @guarded
    def build(self) -> Path | None:
        """
        Compile the network now instead of at its first run: on a machine without a graphics card, or before timing.

        Returns
        -------
        program : `~pathlib.Path` or None
            Path in the cache of compiled programs; None in runtime mode, which has no program.

        Raises
        ------
        RuntimeError
            If the compiler fails, if objects were added to the network after it was compiled, or as for `run`.

        Examples
        --------
        >>> import brainsnn as bs
        >>> snn = bs.convert(bs.load_model("digits"), device="cpp_standalone")
        >>> program = snn.build()  # compiles for half a minute  # doctest: +SKIP
        >>> bs.convert(bs.load_model("digits")).build() is None  # compiles as well, and leaves no program
        True
        """
        self.network.take_scope(2)
        with self._preferences():
            return self._backend.build(self._objects)

    @guarded
    def run(
        self,
        images: ArrayLike | None = None,
        duration: Quantity | None = None,
        seed: int | ArrayLike = 0,
        *,
        spikes: ArrayLike | None = None,
        onset: Quantity | None = None,
        offset: Quantity | None = None,
        background: ArrayLike | None = None,
        processes: int = 1,
        progress: bool | None = None,
        stream_to: str | PathLike[str] | None = None,
    ) -> Result:
        """
        Run a batch of images; each is a trial of its own that starts from the initial state.

        Parameters
        ----------
        images : (n, H, W, C) array_like of float, optional
        duration : `~brian2.units.fundamentalunits.Quantity`, optional
            Duration of each trial, a multiple of the time step; 300 ms by default, or the length of ``spikes``.
        seed : int or (n,) array_like of int
            The random numbers of a trial depend only on the seed and the index of the image. With one seed for each image they
            depend only on that seed.
        spikes : (n, n_steps, H, W, C) array_like of {-1, 0, 1}, optional
            Input spikes to be replayed; needs ``encoder="poisson"``. With predictive feedback, also give the images: the
            prediction is compared with them. Without it, images, onset, offset and background are refused beside ``spikes``.
        onset, offset : `~brian2.units.fundamentalunits.Quantity`, optional
            When the image comes on and goes off, one time or one for each image; by default it is on during the whole trial.
        background : float or array_like, optional
            Level of the input while the image is off, 0 by default, broadcast to (H, W, C). Needs ``onset`` or ``offset``.
        processes : int
            Number of programs that run at once, on devices that compile a program; 1 in runtime mode.
        progress : bool, optional
            Whether to show a progress bar. By default in a terminal or a notebook, if the run takes longer than 5 s.
        stream_to : str or `~pathlib.Path`, optional
            New folder to which spikes, states and outputs are written while the network runs, for recordings that do not fit
            into memory. It appears under this name when the run is complete; `Result.load` opens it again.

        Returns
        -------
        result : `~brainsnn.results.result.Result`
            Opened lazily from the folder if ``stream_to`` is given. In the pipelined schedule, a spike that arrives in a step
            acts in the next one, so ``result.output[:, -1]`` does not contain the spikes of the last step.

        Raises
        ------
        ValueError
            If images, spikes or times are not valid, or a parameter was set to NaN.
        MemoryError
            If the recordings do not fit into memory.
        FileExistsError, OSError
            If the folder of ``stream_to`` exists, or its disk does not have enough room.
        FloatingPointError
            If a recorded value, a readout, a state or a learned weight became NaN or infinite; learned weights are restored.
        RuntimeError
            If the network is running in another thread, or was made in another process.

        Warns
        -----
        UserWarning
            If a variable that the run sets, such as the image, was assigned to directly.
        SaturationWarning
            If at least 1% of the neurons of a layer, as far as is known, spike in nearly every step of the second half.

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> images, labels = load_digits("test")
        >>> result = bs.convert(bs.load_model("digits")).run(images[:2])  # 300 ms each
        >>> result.output[:, -1].argmax(axis=-1), labels[:2]
        (array([4, 4]), array([4, 4]))
        """
        self.network.take_scope(2)  # of the caller of the guarded method
        learning = [*self._assembly.learning, *(f"{synapses.name}.{name}" for synapses, name in self._objects.learned)]
        processes = self._backend.check_processes(processes)
        if not isinstance(progress, bool | np.bool_ | None):
            raise ValueError(f"run: progress must be True, False or None, got {progress!r}.")
        if processes != 1 and learning:
            raise ValueError(
                f"run: {', '.join(learning)} learns from image to image and needs processes=1, got processes={processes!r}."
            )
        trials = make_trials(
            self._assembly, images, duration, seed, spikes, onset, offset, background,
            per_trial=self._attended.per_trial,
        )  # fmt: skip
        self._note_namespaces()
        self._attended.check_end(trials.n_steps)
        if check_assigned(self._assembly, self._read, self._attended.unattended):
            self._forget_descriptions()
        settings = run_settings(self, trials, images, seed, onset, offset, background)
        if stream_to is None:
            self._monitors.check_memory(trials.n_trials, trials.n_steps, self.dtype.itemsize)
            result = self._run(trials, processes, progress, settings)
        elif self._backend.can_stream:
            sizes = self._monitors.state_bytes(), self._monitors.spike_bytes()
            with StreamFolder(stream_to, trials.n_trials, trials.n_steps, *sizes) as trials.stream:
                result = trials.stream.finish(self._run(trials, processes, progress, settings))
        else:
            raise DeviceLimitError(
                f"run: device={self._backend.name!r} cannot stream to disk; use device='cpp_standalone', or leave stream_to out."
            )
        warn_of_saturation(result, self._n_recorded, self._saturation_fixes)
        result._first_images = trials.first_images
        return result

    def _run(self, trials, processes, progress, settings):
        result = Result(self._assembly.shapes, self.dt, trials.n_steps, self._aliases)
        result.settings = settings
        result.models.update(self._model_descriptions)
        self._monitors.prepare(result, trials.n_trials, self.dtype, trials.stream)
        activations = {p.name: p.output for p in self.graph.readouts}
        shown = progress or (progress is None and (sys.stderr.isatty() or "ipykernel" in sys.modules))
        delay = 0 if progress else LONG_RUN
        with tqdm(total=trials.n_trials, unit="image", disable=not shown, delay=delay) as bar, self._preferences():

            def on_record(trial, record):
                """Move what a trial has recorded into the result."""
                self._monitors.collect(result, record, trial, activations)

            arrays = self._backend.run(self._objects, trials, processes, bar.update, on_record)
        self._monitors.adopt(result, arrays, activations)
        return result

    def _preferences(self):
        return preferences({"core.default_float_dtype": self.dtype.type, **self._backend.preferences})

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "A SpikingNetwork cannot be pickled or copied. Call convert in each process; see brainsnn.once."
        )
