"""Brian2's process-wide state: the active device, to which new objects belong, and the preferences."""

from contextlib import contextmanager
from importlib import import_module

from brian2 import BrianObject, get_device, prefs

__all__ = ["active", "make_active", "nothing_left_on_error", "preferences", "runtime_device"]

# Written for Brian2 2.5.4 to 2.11: the active device is a variable of this module. `brian2.devices.device` is that device itself.
_devices = import_module("brian2.devices.device")

runtime_device = _devices.runtime_device


def make_active(device, build_on_run=True):
    """
    Make a device the active one, with the default time step that the user has set.

    Brian2's ``set_device`` keeps a reference to each device that was active, and passes on the time step of its default
    clock. On GeNN (`~brainsnn.builders.devices.genn.device.TrialsDevice`) that clock is the network's, not the user's.

    Parameters
    ----------
    device : `~brian2.devices.device.Device`
    build_on_run : bool
        See ``set_device``.
    """
    before = _devices.active_device
    users_dt = getattr(before, "users_dt", None)
    if users_dt is None:
        users_dt = before.defaultclock.dt
    _devices.active_device = device
    device.activate(build_on_run=build_on_run)
    if hasattr(device, "users_dt"):
        device.users_dt = users_dt
    elif device.defaultclock.dt != users_dt:
        device.defaultclock.dt = users_dt


@contextmanager
def active(device):
    """
    Make a device the active one for a while; nothing else changes.

    Parameters
    ----------
    device : `~brian2.devices.device.Device`
    """
    before, _devices.active_device = _devices.active_device, device
    try:
        yield
    finally:
        _devices.active_device = before


@contextmanager
def preferences(wanted):
    """
    Set preferences of Brian2 for a while.

    Parameters
    ----------
    wanted : dict of str to object
        Preference -> value. The values from before are restored afterwards.
    """
    saved = {key: prefs[key] for key in wanted}
    try:
        for key, value in wanted.items():
            prefs[key] = value
        yield
    finally:
        for key, value in saved.items():
            prefs[key] = value


@contextmanager
def nothing_left_on_error():
    """Restore the active device if making a network fails, and keep Brian2 from warning of the objects made so far."""
    device, others = get_device(), set(BrianObject.__instances__())
    try:
        yield
    except BaseException:
        if get_device() is not device:
            make_active(device, getattr(device, "build_on_run", True))
        for reference in set(BrianObject.__instances__()) - others:
            if (obj := reference()) is not None:
                obj._network = "refused"  # Brian2 2.5.4 to 2.11 warns of objects whose _network is None
        raise
