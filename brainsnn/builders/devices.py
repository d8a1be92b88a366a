"""The one place that knows which devices there are; what differs between them stands in their backends."""

from numbers import Integral

from brainsnn.builders.cuda.backend import CudaBackend
from brainsnn.builders.genn import GennBackend, GennCudaBackend
from brainsnn.builders.runtime import RuntimeBackend
from brainsnn.builders.standalone import StandaloneBackend

__all__ = ["DEVICES", "make_backend"]

#: Device name -> backend.
DEVICES = {
    "runtime": RuntimeBackend,
    "cpp_standalone": StandaloneBackend,
    "genn": GennBackend,
    "genn_cuda": GennCudaBackend,
    "cuda_standalone": CudaBackend,
}


def make_backend(device, threads=1):
    """
    A backend for a device.

    Parameters
    ----------
    device : str
        Key of `DEVICES`.
    threads : int
        OpenMP threads; more than one needs ``cpp_standalone``.

    Returns
    -------
    backend : `~brainsnn.builders.backend.Backend`

    Raises
    ------
    ValueError
        If the device is unknown or cannot use threads.
    ImportError
        If the package of the device is not installed.
    RuntimeError
        If a compiler or library of the device is missing.
    """
    if not isinstance(device, str) or device not in DEVICES:
        raise ValueError(f"convert: device={device!r}; choose one of {', '.join(map(repr, DEVICES))}.")
    if not isinstance(threads, Integral) or threads < 1:
        raise ValueError(f"convert: threads={threads!r} must be a positive integer.")
    if threads > 1 and not DEVICES[device].has_threads:
        raise ValueError(
            f"convert: device={device!r} has one thread, got threads={threads}; use device='cpp_standalone'."
        )
    return DEVICES[device](int(threads))
