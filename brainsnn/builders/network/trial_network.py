"""A Brian2 network that prepares its objects once for many trials, and that knows which objects the user has added."""

from collections import Counter
from contextlib import contextmanager, suppress

import numpy as np
from brian2 import BrianObject, Network, TimedArray, get_dimensions, prefs, second
from brian2.core.functions import Function
from brian2.core.namespace import get_local_namespace
from brian2.core.network import _check_multiple_summed_updaters
from brian2.groups.group import CodeRunner
from brian2.synapses.synapses import SynapticPathway

from brainsnn.builders.network.arrays import own_arrays
from brainsnn.builders.network.fused_group import SpikingGroup
from brainsnn.builders.network.settings import differences, names_used, settings_of
from brainsnn.equations.checks import innermost
from brainsnn.equations.expression_limits import check_code_limits
from brainsnn.memory import collection_paused
from brainsnn.one_line import one_line

__all__ = ["TrialNetwork"]


class TrialNetwork(Network):
    """
    A Brian2 network that prepares its objects once for many trials.

    Brian2 generates all code again at every ``run``. Here that happens only once for all trials of a run, and only if objects
    were added or changed, so the next trial starts within a millisecond.

    Parameters
    ----------
    *objects : `~brian2.core.base.BrianObject`
    backend : `~brainsnn.builders.devices.backend.Backend`
        Says which objects can be added, and what happens before and while the user runs the network by hand.
    guard : `~brainsnn.builders.run_guard.RunGuard`
        Entered while the user runs the network by hand.
    dtype : numpy.dtype
        Type of the arrays and constants of ``objects``.
    name : str
    """

    def __init__(self, *objects, backend, guard, dtype, name):
        self._backend, self._guard, self._dtype, self._own = backend, guard, dtype, None
        self._prepared_for, self._is_ready, self._sorted = None, False, None
        #: The `~brainsnn.attention.parameters.AttendedParameters` of the network, and its states by name.
        self.attended, self._attended_at = None, {}
        #: Names of the user's scope, which added objects may use.
        self.scope = {}
        super().__init__(*objects, name=name)
        self._own = {obj.name for obj in self.sorted_objects}
        for obj in self.sorted_objects:
            # Brian2 warns of objects that were never run, but users may convert a network only to look at it.
            obj._network = self.id

    def __repr__(self):
        return one_line(self, f"{self.name}, {len(self.objects)} objects, at {self.t}")

    @property
    def added(self):
        """Names of the objects that were added since the network was made (set of str)."""
        return {obj.name for obj in self.sorted_objects} - self._own

    @property
    def is_prepared(self):
        """Whether code has been generated for its objects (bool)."""
        return self._prepared_for is not None

    def take_scope(self, level):
        """Keep what added objects use of the names of the user's scope, which is so many frames up, as Brian2's ``run`` does."""
        added = self.added
        used = {name for obj in self.sorted_objects if obj.name in added for name in names_used(obj)}
        # Only if it is needed: Python keeps all that a frame refers to once its names have been read.
        namespace = get_local_namespace(level + 1) if used else {}
        self.scope = {name: namespace[name] for name in used if name in namespace}

    def add(self, *objs):
        """Add objects; one that the device cannot run is refused (see `~brian2.core.network.Network.add`)."""
        for obj in objs:
            if self._own is not None and isinstance(obj, BrianObject):
                self._backend.check_added(obj)
        self._sorted = None
        super().add(*objs)

    def remove(self, *objs):
        """Remove objects (see `~brian2.core.network.Network.remove`)."""
        self._sorted = None
        super().remove(*objs)

    @property
    def sorted_objects(self):
        """Objects in the order in which they run, found once for all images of a run (list)."""
        return Network.sorted_objects.fget(self) if self._sorted is None else self._sorted

    # By hand

    def run(self, duration, *arguments, level=0, **options):
        """Run the network by hand, from the state that the last run has left (see `~brian2.core.network.Network.run`)."""
        with self._guard, self._backend.by_hand("run"):
            if (
                arguments
                or options.keys() - {"namespace"}
                or get_dimensions(duration) != second.dim
                or duration < 0 * second
            ):
                super().run(duration, *arguments, level=level + 1, **options)
                return
            namespace = options.get("namespace")
            namespace = get_local_namespace(level + 1) if namespace is None else namespace
            with self._prepared(namespace):
                self._run(duration, namespace)

    def store(self, name="default", filename=None):
        """Store the state, what trials start from, and, in memory, attention (see `~brian2.core.network.Network.store`)."""
        with self._guard, self._backend.by_hand("store"):
            self._backend.before_preparing()
            super().store(name, filename)
            if filename is None:
                self._attended_at[name] = self.attended.state()

    def restore(self, name="default", filename=None, **options):
        """Restore what `store` has stored (see `~brian2.core.network.Network.restore`)."""
        with self._guard, self._backend.by_hand("restore"):
            super().restore(name, filename, **options)
            if filename is None:
                self.attended.restore(self._attended_at[name])

    # In trials

    def trials(self):
        """Prepare the objects once for all runs within this context."""
        return self._prepared(self.scope)

    @contextmanager
    def _prepared(self, namespace):
        self._prepare(namespace)
        self._is_ready, self._sorted = True, self.sorted_objects
        try:
            yield
        finally:
            self._is_ready, self._sorted = False, None

    def run_trial(self, duration):
        """Run for a duration, from the state in which the arrays are."""
        self._run(duration, self.scope)

    def _run(self, duration, namespace):
        if not self._backend.run_steps(self, duration):
            super().run(duration, namespace=namespace)

    @property
    def is_stopped(self):
        """Whether somebody has called ``stop`` during the last run (bool)."""
        return self._stopped or Network._globally_stopped

    def changes(self):
        """
        Return what was changed since the objects were prepared.

        Returns
        -------
        keys : list of (str, str)
            Name of an object, and the attribute; ``"object"`` for one that was added, removed or replaced.
        """
        return differences(self._prepared_for, settings_of(self, self.scope, self.added))

    def switched_off(self):
        """
        Return the names of the objects that were active when they were prepared, and are not active now.

        Returns
        -------
        names : set of str
        """
        return {
            obj.name for obj in self.sorted_objects if self._prepared_for.get((obj.name, "active")) and not obj.active
        }

    def before_run(self, run_namespace):
        """Prepare the objects if something changed since the last run."""
        # Written for Brian2 2.5.4 to 2.11: Network.run calls this method, and starts from `_stopped` and `_globally_stopped`.
        if not self._is_ready:
            self._prepare(run_namespace)
        self._backend.before_running(self)
        self._stopped = False
        Network._globally_stopped = False

    def _prepare(self, namespace):
        self._backend.before_preparing()
        self._fuse_groups()
        settings, added = settings_of(self, namespace, self.added), self.added
        changed = self._prepared_for is None or any(
            name not in added for name, _ in differences(self._prepared_for, settings)
        )
        # Synapses may have new delays, generators new spikes, ...: only Brian2 knows what added objects prepare.
        objects = [obj for obj in self.sorted_objects if changed or obj.name in added]
        if objects:
            self._backend.before_compiling()
            with collection_paused():
                self._prepare_objects(objects, namespace)
            self._prepared_for = settings

    def _prepare_objects(self, objects, namespace):
        """Do what Brian2's `before_run` does, for each object with its own type of constants and its own names."""
        # Written for Brian2 2.5.4 to 2.11.
        everything, added = self.sorted_objects, self.added
        repeated = [name for name, n in Counter(obj.name for obj in everything).items() if n > 1]
        if repeated:
            raise ValueError(f"network: {', '.join(repeated)} is the name of several objects; names must be unique.")
        _check_multiple_summed_updaters(everything)
        self.check_dependencies()
        fused = {part for group in everything if isinstance(group, SpikingGroup) for part in group.fused_parts}
        default = prefs.core.default_float_dtype
        try:
            for obj in objects:
                if obj in fused:
                    obj.code_objects[:] = []
                elif obj.active:
                    is_added = obj.name in added
                    prefs.core.default_float_dtype = _dtype_of(obj, self._dtype) if is_added else self._dtype.type
                    self._prepare_object(obj, namespace if is_added else {})
        finally:
            prefs.core.default_float_dtype = default
        _check_tables(everything)
        for obj in objects:
            if obj._network not in (None, self.id):
                raise RuntimeError(
                    f"{obj.name!r} was run in another network before. Make a new object for this network."
                )
            obj._network = self.id

    def _prepare_object(self, obj, namespace):
        # What users wrote; what Brian2 generates may be longer.
        code = obj.abstract_code if type(obj) is CodeRunner else obj.code if isinstance(obj, SynapticPathway) else ""
        check_code_limits(f"network: {obj.name!r}", code or "")
        known = {*getattr(obj, "variables", ()), *getattr(getattr(obj, "group", None), "variables", ())}
        try:
            # A variable hides a name of the user's scope; Brian2 would warn of both.
            self._backend.prepare_object(obj, {name: v for name, v in namespace.items() if name not in known})
        except Exception as error:
            if (fault := self._backend.compiler_error(error)) is not None:
                raise fault from (None if fault is error else error)
            cause = innermost(error)
            reason = cause.args[0] if cause.args else cause  # the text of a KeyError without its quotes
            if isinstance(cause, KeyError) and str(reason).isidentifier():
                reason = f"it uses {reason!r}, which is not a variable, a parameter or a constant that it can see."
            if "No implementation available for target" in str(reason):
                reason = "a function in it has no C++ code. Give it some: @brian2.implementation('cpp', '...')."
            place = f" It was made here:\n{obj._creation_stack}" if obj.name in self.added else ""
            raise ValueError(f"network: Brian2 cannot prepare {obj.name!r}: {reason}{place}") from error

    def _fuse_groups(self):
        """Fuse state update and threshold, unless an object that the user has added acts between them."""
        positions = {obj.name: k for k, obj in enumerate(self.sorted_objects)}
        foreign = [k for name, k in positions.items() if name not in self._own]
        for group in self.objects:
            thresholder = getattr(group, "thresholder", {}).get("spike")
            if isinstance(group, SpikingGroup) and thresholder is not None:
                first, last = positions[group.state_updater.name], positions[thresholder.name]
                group.fuse(not any(first < k < last for k in foreign))


def _check_tables(objects):
    """Refuse functions whose tables have one name and different values: compiled code has one table for each name."""
    first = {}
    for obj in objects:
        for key, table, function in (found for code in obj.code_objects for found in _tables(code)):
            known, user = first.setdefault(key, (table, obj.name))
            if known is not table and not np.array_equal(known, table, equal_nan=True):
                raise ValueError(
                    f"network: {user!r} and {obj.name!r} use two TimedArrays or functions that differ, and the values of both "
                    f"are called {key!r}. Give each a name of its own, as in TimedArray(..., name='drive*')."
                )
            if isinstance(function, TimedArray) and not np.array_equal(function.values.ravel(), table, equal_nan=True):
                raise ValueError(
                    f"network: {obj.name!r} uses a TimedArray whose values were changed in place, of which Brian2 had made a "
                    "copy. Make a new TimedArray, or give it an array in NumPy's usual order, np.ascontiguousarray(...)."
                )


def _tables(code):
    """Yield name, array and function of the arrays that functions use in the code of an object."""
    for function in code.variables.values():
        if not isinstance(function, Function):
            continue
        implementation = None
        with suppress(KeyError, TypeError):  # built into the language; Brian2 2.5 fails while it says so
            implementation = function.implementations[code.__class__]
        namespace = implementation and implementation.get_namespace(code.owner)
        yield from ((key, value, function) for key, value in (namespace or {}).items() if isinstance(value, np.ndarray))


def _dtype_of(obj, default):
    """The type of an object's own arrays of floats, and so of constants in its code."""
    parts = [part for part in (obj, getattr(obj, "group", None)) if part is not None]
    floats = [np.dtype(v.dtype) for part in parts for v in own_arrays(part).values() if np.dtype(v.dtype).kind == "f"]
    return max(floats, key=lambda dtype: dtype.itemsize, default=default).type
