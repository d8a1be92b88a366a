"""What the builder asks of every device."""

from abc import ABC, abstractmethod

from brian2 import Clock
from brian2.core.variables import ArrayVariable

from brainsnn.builders.network.arrays import own_arrays
from brainsnn.errors import DeviceLimitError
from brainsnn.plain_arrays import whole_number

__all__ = ["Backend"]


class Backend(ABC):
    """
    A Brian2 device, and how trials run on it.

    A device implements the five abstract methods. The other methods answer for a device that can do everything.

    Attributes
    ----------
    name : str
        Name of the device in ``convert(device=...)``.
    preferences : dict
        Brian2 preferences under which networks are built and run.
    has_threads : bool
        Whether it can use several threads.
    has_processes : bool
        Whether several programs can run at once.
    can_stream : bool
        Whether recordings can go to disk while a trial runs.
    """

    name: str
    preferences: dict = {}
    has_threads = False
    #: Threads that run a network.
    threads = 1
    has_processes = False
    can_stream = False

    # The five methods of a device

    @abstractmethod
    def activate(self):
        """Make this the active Brian2 device, so that new Brian2 objects belong to it."""

    @abstractmethod
    def set_values(self, group, variable, values):
        """
        Set the values with which the next run starts.

        Parameters
        ----------
        group : `~brian2.groups.group.Group`
        variable : str
        values : array_like
            One value, or one for each neuron or synapse.
        """

    @abstractmethod
    def get_values(self, group, variable):
        """
        Return a copy of the values with which the next run starts.

        Parameters
        ----------
        group : `~brian2.groups.group.Group`
        variable : str

        Returns
        -------
        values : ndarray
        """

    @abstractmethod
    def build(self, objects):
        """
        Generate and compile the program of a network, unless that has been done.

        Parameters
        ----------
        objects : `~brainsnn.builders.network.objects.NetworkObjects`

        Returns
        -------
        program : `~pathlib.Path` or None
            None in runtime mode, which has no program.

        Raises
        ------
        RuntimeError
            If a compiler fails, or objects were added after the code was generated.
        """

    @abstractmethod
    def run(self, objects, trials, processes, on_trial_done, on_record):
        """
        Run all trials.

        Parameters
        ----------
        objects : `~brainsnn.builders.network.objects.NetworkObjects`
        trials : `~brainsnn.builders.trials.trials.Trials`
        processes : int
            Number of programs that run at once; 1 if the device has no ``has_processes``.
        on_trial_done : callable
            Called without arguments whenever a trial has ended, to show progress.
        on_record : callable
            Called with the index and the `~brainsnn.builders.trials.trials.TrialRecord` of each trial, or of each chunk of a
            trial, as soon as its recordings can be read.

        Returns
        -------
        arrays : dict
            Recorded states that were not passed to ``on_record``:
            (monitor name, variable name) -> (n_trials, n_steps, n_recorded) array.

        Raises
        ------
        ValueError
            If the device cannot run the trials, or an array was assigned to that is compiled in.
        RuntimeError
            If the network cannot be compiled, or if the program fails.
        """

    def check_processes(self, processes):
        """
        Return a number of processes as an int; refuse one that the device cannot use.

        Parameters
        ----------
        processes : int

        Returns
        -------
        processes : int

        Raises
        ------
        ValueError
            If it is not a whole number greater than 0, or greater than 1 on a device without programs.
        """
        processes = whole_number(processes, "run: processes", 1)
        if processes > 1 and not self.has_processes:
            raise ValueError(
                f"run: device={self.name!r} runs one image after the other in this process, got processes={processes!r}. Leave "
                "processes out, or convert with device='cpp_standalone'."
            )
        return processes

    # What a device can do

    @classmethod
    def missing(cls):
        """
        Say what this machine lacks for running networks on the device.

        Returns
        -------
        reason : str or None
            None if nothing is missing.
        """
        return None

    def prepare(self, graph, connectivity, schedule, encoder, feedback):
        """
        Return the graph and the connectivity that are built on this device.

        Parameters
        ----------
        graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
        connectivity : {"event_driven", "synapses"}
        schedule : {"pipelined", "synchronous"}
        encoder : {"current", "poisson"}
        feedback : `~brainsnn.feedback.gate.PredictiveGate` or None

        Returns
        -------
        graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
        connectivity : {"event_driven", "synapses"}

        Raises
        ------
        DeviceLimitError
            If the device cannot do what is asked for.
        """
        return graph, connectivity

    def prepare_neuron(self, neuron):
        """
        Return the neuron model in the form that this device needs, with the same spikes.

        Parameters
        ----------
        neuron : `~brainsnn.equations.model.NeuronModel`

        Returns
        -------
        neuron : `~brainsnn.equations.model.NeuronModel`
        """
        return neuron

    def make_clock(self, dt):
        """
        Return the clock of a network.

        Parameters
        ----------
        dt : `~brian2.units.fundamentalunits.Quantity`

        Returns
        -------
        clock : `~brian2.core.clocks.Clock`
        """
        return Clock(dt=dt, name="brainsnn_clock")

    def persist(self, owner, variable, values):
        """
        Keep what runs change in an array, such as weights that learn, from run to run.

        Parameters
        ----------
        owner : `~brian2.core.base.BrianObject`
        variable : str
        values : ndarray
            Values with which the first run starts.
        """
        self.set_values(owner, variable, values)

    # The network that users hold

    def own_objects(self, clock):
        """
        Return Brian2 objects that this device needs in a network.

        Parameters
        ----------
        clock : `~brian2.core.clocks.Clock`

        Returns
        -------
        objects : list of `~brian2.core.base.BrianObject`
        """
        return []

    def check_added(self, obj=None):
        """
        Refuse an object that a user adds to the network.

        Parameters
        ----------
        obj : `~brian2.core.base.BrianObject`, optional
            Any object by default.

        Raises
        ------
        RuntimeError
            If it was made for another device, or the program is compiled.
        DeviceLimitError
            If the device cannot run it.
        """
        for part in [] if obj is None else [obj, *obj.contained_objects]:
            self.check_device(part, f"network.add: {obj.name!r}")

    def check_device(self, obj, what):
        """
        Refuse an object whose arrays, or those of whose clock, belong to another device.

        Parameters
        ----------
        obj : `~brian2.core.base.BrianObject`
        what : str
            The object, for the message.

        Raises
        ------
        RuntimeError
        """
        clock = [variable for variable in obj.clock.variables.values() if isinstance(variable, ArrayVariable)]
        if any(variable.device is not self.device for variable in [*own_arrays(obj).values(), *clock]):
            raise RuntimeError(
                f"{what} was made while another device was active. Make it after this network's convert(...), "
                "before another network is converted and before the first run."
            )

    def follow(self, objects):  # noqa: B027  (see `before_preparing`)
        """
        Take note of the objects of the network.

        Parameters
        ----------
        objects : `~brainsnn.builders.network.objects.NetworkObjects`
        """

    def before_preparing(self):  # noqa: B027  (only what runs in this process can change before the first run)
        """Note what trials start from, before anything can change it."""

    def before_compiling(self):  # noqa: B027  (a device that compiles a program checks its compiler when it builds)
        """
        Refuse a compiler that does not work, before Brian2 prepares objects.

        Raises
        ------
        RuntimeError
            The message holds the command, its output and the fix.
        """

    def compiler_error(self, error):
        """
        Return the error of a compiler that failed while Brian2 prepared an object.

        Parameters
        ----------
        error : Exception

        Returns
        -------
        error : RuntimeError or None
            None if it is not the compiler's.
        """
        return None

    def prepare_object(self, obj, namespace):
        """
        Let Brian2 generate the code of an object.

        Parameters
        ----------
        obj : `~brian2.core.base.BrianObject`
        namespace : dict
            Names that its equations may use.
        """
        obj.before_run(namespace)

    def before_running(self, network):  # noqa: B027  (only what runs in this process can change before a run)
        """
        Get ready for a run of prepared objects.

        Parameters
        ----------
        network : `~brainsnn.builders.network.trial_network.TrialNetwork`
        """

    def run_steps(self, network, duration):
        """
        Run a prepared network without Python between the steps, if that is possible.

        Parameters
        ----------
        network : `~brainsnn.builders.network.trial_network.TrialNetwork`
        duration : `~brian2.units.fundamentalunits.Quantity`

        Returns
        -------
        has_run : bool
            False if Brian2 has to run it, step by step.
        """
        return False

    def by_hand(self, what):
        """
        Return the context in which the user runs, stores or restores the network by hand.

        Parameters
        ----------
        what : str
            Name of the method.

        Raises
        ------
        DeviceLimitError
            If the network does not live in this process.
        """
        raise DeviceLimitError(
            f"network.{what}: device={self.name!r} runs a compiled program, which starts anew in each snn.run(...). Use "
            "snn.run(...), or convert with device='runtime'."
        )

    def check(self, assembly, monitors):  # noqa: B027  (a device that can do everything refuses nothing)
        """
        Refuse equations and recordings that the device cannot do.

        Parameters
        ----------
        assembly : `~brainsnn.builders.network.assembly.Assembly`
        monitors : `~brainsnn.builders.network.monitors.Monitors`

        Raises
        ------
        DeviceLimitError
            If the device cannot do what is asked for; the message says what to use instead.
        """
