"""Spikes that are given to a run: the Brian2 object that hands them to the input neurons, step by step."""

from brainsnn.builders.network.connections import Connection

__all__ = ["SpikeReplay"]


class SpikeReplay(Connection):
    """
    Writes the signs of replayed spikes into a variable of the input neurons, step by step.

    Parameters
    ----------
    target : `~brian2.groups.neurongroup.NeuronGroup`
        Input neurons with a variable ``replayed``.
    name : str
        Name of the Brian2 object.
    when, order : str, int
        Place in Brian2's schedule.

    Notes
    -----
    ``train`` is a dynamic array of int8 (int32 in runtime mode) that holds (n_steps, n_neurons) signs, row by row.
    """

    def __init__(self, target, name, when="start", order=0):
        self.target = target
        super().__init__(target, name, when, order)
        self.variables.add_dynamic_array(
            "train",
            size=1,
            dtype=self.codeobj_class.sign_dtype,
            constant=False,
            read_only=True,
            needs_reference_update=True,
        )
        self.variables.add_reference("replayed", target)
        self.variables.add_reference("timestep", target.clock)
        self.written_readonly_vars = {target.variables["replayed"], self.variables["train"]}
        self._use_template("replay", n_sources=len(target))
