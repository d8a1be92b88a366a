"""What reaches each population of a network: spikes, the stimulus, graded currents, or what it pools."""

from dataclasses import dataclass, field

from brainsnn.builders.operators import MaxPool
from brainsnn.errors import ConversionError

__all__ = ["Inputs", "inputs_of"]


@dataclass
class Inputs:
    """What reaches a population: spikes, the stimulus, graded currents, or another population's membrane or spike counts."""

    spikes: list = field(default_factory=list)
    current: list = field(default_factory=list)
    membrane: list = field(default_factory=list)
    counts: list = field(default_factory=list)
    stimulus: bool = False

    @property
    def has_spikes(self):
        """Whether spikes arrive (bool)."""
        return bool(self.spikes)


def inputs_of(graph, encoder):
    """
    Sort the projections of a graph by their target.

    With the ``current`` encoder the image is a constant current that no synapse filters. It is removed from the projections
    here, junctions included. Each population that it reaches linearly gets it as ``stimulus``.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    encoder : {"current", "poisson"}

    Returns
    -------
    inputs : dict of str to `Inputs`
        Junctions that hold only the stimulus are left out.

    Raises
    ------
    ConversionError
        If a maximum would be taken over a sum of spikes and the stimulus.
    """
    inputs, incoming = {}, graph.by_target()
    for name, population in graph.populations.items():
        if population.kind == "input":
            continue
        found = Inputs()
        for projection in incoming[name]:
            source = graph.populations[projection.source]
            if source.kind == "input" and encoder == "current":
                found.stimulus = True
            elif projection.mode == "current" and source.kind == "junction":
                upstream = inputs.get(projection.source)
                if isinstance(projection.operator, MaxPool) and upstream is not None and upstream.stimulus:
                    raise ConversionError(
                        f"convert: {name!r} takes a maximum over currents of spikes and of the image together, and the image is "
                        "no such current. Use encoder='poisson', with which it arrives as spikes."
                    )
                found.stimulus |= upstream is None or upstream.stimulus
                if upstream is not None:
                    found.current.append(projection)
            else:
                getattr(found, projection.mode).append(projection)
        if population.kind == "junction" and not (found.spikes or found.current):
            continue
        inputs[name] = found
    return inputs
