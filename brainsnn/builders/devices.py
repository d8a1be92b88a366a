"""The one place that knows the devices."""

from brainsnn.builders.runtime import RuntimeBackend
from brainsnn.builders.standalone import StandaloneBackend

__all__ = ["DEVICES", "make_backend"]

#: Device name -> backend.
DEVICES = {"runtime": RuntimeBackend, "cpp_standalone": StandaloneBackend}


def make_backend(device, threads=1):
    """
    A backend for a device.

    Parameters
    ----------
    device : {"runtime", "cpp_standalone"}
    threads : int
        OpenMP threads; more than one needs ``cpp_standalone``.

    Returns
    -------
    backend : `~brainsnn.builders.runtime.RuntimeBackend` or `~brainsnn.builders.standalone.StandaloneBackend`

    Raises
    ------
    ValueError
        If the device is unknown or cannot use threads.
    """
    if device not in DEVICES:
        raise ValueError(f"convert: device={device!r}; choose one of {', '.join(map(repr, DEVICES))}.")
    if threads != int(threads) or threads < 1:
        raise ValueError(f"convert: threads={threads!r} must be a positive integer.")
    if threads > 1 and device == "runtime":
        raise ValueError(
            f"convert: the runtime device has one thread, got threads={threads}; use device='cpp_standalone'."
        )
    return DEVICES[device](int(threads))
