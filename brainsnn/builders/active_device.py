"""Which Brian2 device is the active one: the device that new objects belong to, and whose rules assignments follow."""

from contextlib import contextmanager
from importlib import import_module

__all__ = ["active", "make_active", "runtime_device"]

# The name `brian2.devices.device` stands for the active device.
_devices = import_module("brian2.devices.device")

runtime_device = _devices.runtime_device


def make_active(device, build_on_run=True):
    """
    Make a device the active one, with the default time step that the user has set.

    Brian2's ``set_device`` keeps each device that it leaves for good, and hands the time step of its clock on: that of a
    network, where the device has no other clock (`~brainsnn.builders.genn_device.TrialsDevice`).

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
    A device is the active one for a while, and nothing else changes.

    Parameters
    ----------
    device : `~brian2.devices.device.Device`
    """
    before, _devices.active_device = _devices.active_device, device
    try:
        yield
    finally:
        _devices.active_device = before
