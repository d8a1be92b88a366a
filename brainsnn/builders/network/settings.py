"""What a run reads from attributes of Brian2 objects, to notice what was changed since the network was prepared."""

from zlib import crc32

import numpy as np
from brian2 import Quantity, TimedArray
from brian2.core.variables import Subexpression
from brian2.groups.group import CodeRunner
from brian2.synapses.synapses import SynapticPathway
from brian2.utils.stringtools import get_identifiers

from brainsnn.builders.network.assignments import runtime_device
from brainsnn.builders.network.fused_group import SpikingGroup

__all__ = ["differences", "names_used", "settings_of"]


def settings_of(network, scope, added):
    """
    Return all attributes of the objects of a network that are read when it is prepared for runs.

    Parameters
    ----------
    network : `~brian2.core.network.Network`
    scope : dict
        Names of the user's scope, which added objects may use.
    added : set of str
        Names of these objects.

    Returns
    -------
    settings : dict of (str, str) to object
        Name of an object, and what of it -> its value, or something that is equal for equal values.
    """
    found = {("network", "schedule"): tuple(network.schedule)}
    for obj in network.sorted_objects:
        found[obj.name, "object"] = obj  # another one may have the same name
        for attribute in ("active", "when", "order"):
            found[obj.name, attribute] = getattr(obj, attribute)
        found[obj.name, "clock.dt"] = obj.clock.dt_
        if isinstance(obj, SpikingGroup):
            found[obj.name, "fused"] = bool(obj.fused_parts)
        if isinstance(obj, SynapticPathway) and obj.variables["delay"].device is runtime_device:
            found[obj.name, "delay"] = crc32(np.ascontiguousarray(obj.variables["delay"].get_value()))
        for name, value in (getattr(obj, "namespace", None) or {}).items():
            found[obj.name, f"namespace[{name!r}]"] = _content(value)
        if obj.name in added:
            for name in names_used(obj) & set(scope):
                found[obj.name, name] = _content(scope[name])
    return found


def differences(before, now):
    """
    Return the settings that differ.

    Parameters
    ----------
    before, now : dict
        As `settings_of` returns them.

    Returns
    -------
    keys : list of (str, str)
    """
    return [key for key in {**before, **now} if key not in before or key not in now or before[key] != now[key]]


def names_used(obj):
    """
    Return the names that equations and statements of an object use, except those of its variables, which hide others.

    Parameters
    ----------
    obj : `~brian2.core.base.BrianObject`

    Returns
    -------
    names : set of str
    """
    # Brian2 writes the code of other objects itself, from what is listed here.
    codes = [getattr(obj, "code", None), obj.abstract_code if type(obj) is CodeRunner else None]
    codes += [*getattr(obj, "events", {}).values(), *getattr(obj, "event_codes", {}).values()]
    codes += [v.expr for v in getattr(obj, "variables", {}).values() if isinstance(v, Subexpression)]
    names = {name for code in codes if isinstance(code, str) for name in get_identifiers(code)}
    names |= set(getattr(getattr(obj, "equations", None), "identifiers", ()))
    return names - set(getattr(obj, "variables", ())) - set(getattr(getattr(obj, "group", None), "variables", ()))


def _content(value):
    """Something that is equal for equal values of a name."""
    if isinstance(value, TimedArray):
        return "TimedArray", value.values.tobytes(), float(value.dt)
    if isinstance(value, (Quantity, np.ndarray, np.generic, int, float)) and np.asarray(value).dtype.kind in "biufc":
        return np.asarray(value).dtype.str, np.asarray(value).tobytes(), str(getattr(value, "dim", None))
    return value if isinstance(value, str) else id(value)
