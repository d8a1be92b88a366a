"""When each object of a network acts within a step: the pipelined and the synchronous schedule."""

from brian2 import Synapses

__all__ = ["SCHEDULES", "Pipelined", "Synchronous"]


def _parts(connection):
    """The objects of a connection that run: itself, or the pathway or updater of a Synapses object."""
    if isinstance(connection, Synapses):
        return list(connection._pathways) or [
            obj for obj in connection.contained_objects if type(obj).__name__ == "SummedVariableUpdater"
        ]
    return [connection]


def _put(objects, when, order):
    for obj in objects:
        obj.when, obj.order = when, order


class Pipelined:
    """Brian2's standard schedule: a spike acts in the next step."""

    def group(self, group, depth, is_junction):
        """Place a population's updates, threshold and reset: they are already in place."""

    def replay(self, replay, depth):
        """Place what writes replayed spikes."""
        _put([replay], "groups", 0)

    def spikes(self, connection, depth):
        """Place a connection of spikes: it is already in place."""

    def graded(self, connection, depth, step=0):
        """Place the reading of a junction."""
        # After all spikes of the step, upstream junctions first.
        _put(_parts(connection), "synapses", 1000 + 10 * depth + step)

    def pooling(self, connection, depth, step):
        """Place what pools membranes."""
        # After the membranes and before the thresholds of this step.
        _put(_parts(connection), "groups", 1000 + 10 * depth + step)

    def of_input(self, connection):
        """Place what reads the input neurons after their step."""
        # After the thresholds: the statements of a group's step can be fused with its threshold.
        _put(_parts(connection), "thresholds", 1000)


class Synchronous:
    """Populations in the order of the layers: a spike acts in the next layer within the same step."""

    def group(self, group, depth, is_junction):
        """Place a population's updates, threshold and reset."""
        # A junction decays at the end of the step, after all its readers have read what arrived.
        self._put(group.state_updater, depth if not is_junction else 10**4, 40)
        for update in group.updates:
            self._put(update, depth, 50)
        for thresholder in group.thresholder.values():
            self._put(thresholder, depth, 60)
        for resetter in group.resetter.values():
            self._put(resetter, depth, 70)

    def _put(self, obj, depth, order):
        _put([obj], "groups", 100 * depth + order)

    def replay(self, replay, depth):
        """Place what writes replayed spikes."""
        self._put(replay, depth, 10)

    def spikes(self, connection, depth):
        """Place a connection of spikes."""
        _put(_parts(connection), "groups", 100 * depth + 10)

    def graded(self, connection, depth, step=0):
        """Place the reading of a junction."""
        _put(_parts(connection), "groups", 100 * depth + 20 + step)

    def pooling(self, connection, depth, step):
        """Place what pools membranes."""
        _put(_parts(connection), "groups", 100 * depth + 20 + step)

    def of_input(self, connection):
        """Place what reads the input neurons after their step."""
        _put(_parts(connection), "groups", 99)


#: Name of a schedule -> class that puts the objects of a network into it.
SCHEDULES = {"pipelined": Pipelined, "synchronous": Synchronous}
