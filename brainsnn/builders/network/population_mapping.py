"""The populations of a network by the names of the Keras layers that became them."""

from brainsnn.errors import UnknownNameError
from brainsnn.one_line import one_line

__all__ = ["Populations"]


class Populations(dict):
    """
    NeuronGroups by name: spiking ones in graph order, then the readouts.

    Groups that do not spike (junctions, membranes) and folded layers are found by their names, but not listed.
    """

    def __init__(self, graph, groups):
        kinds = {"input": 0, "spiking": 0, "readout": 1}
        names = [name for name in groups if name in graph.populations and graph.populations[name].kind in kinds]
        ordered = sorted(names, key=lambda name: kinds[graph.populations[name].kind])
        super().__init__((name, groups[name]) for name in ordered)
        self._graph, self._groups = graph, groups

    def __repr__(self):
        return one_line(self, ", ".join(f"{name} ({len(group):,} neurons)" for name, group in self.items()))

    @property
    def spiking(self):
        """Names of the spiking populations, without the input (list of str)."""
        return [name for name in self if self._graph.populations[name].kind == "spiking"]

    @property
    def of_model(self):
        """Names of the spiking populations of the model, without the input and readouts that were added (list of str)."""
        return [name for name in self.spiking if self._graph.populations[name].reads is None]

    def name_of(self, layer):
        """
        Return the name of the population that a layer became.

        Parameters
        ----------
        layer : str

        Returns
        -------
        name : str
        """
        if not isinstance(layer, str):
            raise UnknownNameError(layer, self, "population")
        name = layer if layer in self._groups else self._graph.population(layer).name
        if name not in self._groups:
            raise UnknownNameError(layer, self, "population of the spiking network")
        return name

    def aliases(self):
        """
        Return the population of each layer that was folded into exactly one.

        Returns
        -------
        aliases : dict of str to str
        """
        found = {}
        for row in self._graph.rows:
            try:
                found[row.name] = self.name_of(row.name)
            except UnknownNameError:
                continue
        return found

    def __missing__(self, layer):
        return self._groups[self.name_of(layer)]
