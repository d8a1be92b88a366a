"""What the builder asks of a device, with the answers of a device that can do everything."""

from brian2 import Clock

__all__ = ["Backend"]


class Backend:
    """
    A Brian2 device and the way in which trials run on it.

    Attributes
    ----------
    name : str
        What ``convert(device=...)`` calls it.
    preferences : dict
        Brian2 preferences under which networks are built and run.
    has_threads : bool
        Whether a program can use several threads.
    can_stream : bool
        Whether recordings can go to disk while a trial runs.
    """

    name = None
    preferences = {}
    has_threads = False
    can_stream = False

    @classmethod
    def missing(cls):
        """
        What this machine lacks for running networks.

        Returns
        -------
        reason : str or None
            None if nothing is missing.
        """
        return None

    def prepare(self, graph, connectivity, schedule, encoder, feedback):
        """
        What the builder makes on this device for a network.

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
        ValueError
            If the device cannot do what is asked for.
        """
        return graph, connectivity

    def prepare_neuron(self, neuron):
        """
        The neuron model as this device needs it, with the same spikes.

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
        The clock of a network.

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
        Name an array that a run changes for good, such as weights that learn. Where arrays live on there is nothing to do.

        Parameters
        ----------
        owner : `~brian2.core.base.BrianObject`
        variable : str
        values : ndarray
            With which the first run starts.
        """

    def build(self, objects):
        """
        Generate and compile the program of a network, unless that is done. Without a program there is nothing to do.

        Parameters
        ----------
        objects : `~brainsnn.builders.network.objects.NetworkObjects`

        Returns
        -------
        program : `~pathlib.Path` or None
        """

    def check(self, assembly, recordings):
        """
        Refuse equations and recordings that the device cannot do.

        Parameters
        ----------
        assembly : `~brainsnn.builders.network.assembly.Assembly`
        recordings : `~brainsnn.builders.network.monitors.Recordings`

        Raises
        ------
        ValueError
            With what to use instead.
        """
