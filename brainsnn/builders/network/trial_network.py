"""A Brian2 network that prepares its objects once for many runs."""

from brian2 import Network

from brainsnn.builders.network.fused_group import SpikingGroup

__all__ = ["TrialNetwork"]


class TrialNetwork(Network):
    """
    A Brian2 network that prepares its objects once for many runs.

    Brian2 generates all code again at every ``run``. Here that happens only after objects were added or removed, so the next
    trial starts within a millisecond.
    """

    def __init__(self, *objects, **kwds):
        super().__init__(*objects, **kwds)
        self._prepared_for = None
        self._own = {obj.name for obj in self.sorted_objects}
        for obj in self.sorted_objects:
            # Brian2 warns of objects that were never run, but users may convert a network only to look at it.
            obj._network = self.id

    @property
    def added(self):
        """Names of the objects that were added since the network was made (set of str)."""
        return {obj.name for obj in self.sorted_objects} - self._own

    def before_run(self, run_namespace):
        """Prepare the objects if something changed since the last run."""
        self._fuse_groups()
        objects = [(id(obj), obj.active) for obj in self.sorted_objects]
        if objects != self._prepared_for:
            super().before_run(run_namespace)
            self._prepared_for = objects
        self._stopped = False
        Network._globally_stopped = False

    def _fuse_groups(self):
        """Fuse state update and threshold, unless an object that the user has added acts between them."""
        positions = {obj.name: k for k, obj in enumerate(self.sorted_objects)}
        foreign = [k for name, k in positions.items() if name not in self._own]
        for group in self.objects:
            thresholder = getattr(group, "thresholder", {}).get("spike")
            if isinstance(group, SpikingGroup) and thresholder is not None:
                first, last = positions[group.state_updater.name], positions[thresholder.name]
                group.fuse(not any(first < k < last for k in foreign))
