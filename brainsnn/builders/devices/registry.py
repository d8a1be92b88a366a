"""List the devices by name, and make the backend of one."""

from importlib import import_module

from brainsnn.plain_arrays import whole_number

__all__ = ["DEVICES", "backend_class", "make_backend"]

#: Device name -> module and class of its backend. A device's room is imported when the device is first used.
DEVICES = {
    "runtime": ("brainsnn.builders.devices.runtime.backend", "RuntimeBackend"),
    "cpp_standalone": ("brainsnn.builders.devices.standalone.backend", "StandaloneBackend"),
    "genn": ("brainsnn.builders.devices.genn.backend", "GennBackend"),
    "genn_cuda": ("brainsnn.builders.devices.genn.backend", "GennCudaBackend"),
    "cuda_standalone": ("brainsnn.builders.devices.cuda.backend", "CudaBackend"),
}


def backend_class(device):
    """
    Return the backend class of a device.

    Parameters
    ----------
    device : str
        Key of `DEVICES`.

    Returns
    -------
    backend_class : type
        Subclass of `~brainsnn.builders.devices.backend.Backend`.

    Raises
    ------
    ValueError
        If the device is unknown.
    """
    if not isinstance(device, str) or device not in DEVICES:
        raise ValueError(f"convert: device={device!r}; choose one of {', '.join(map(repr, DEVICES))}.")
    module, name = DEVICES[device]
    return getattr(import_module(module), name)


def make_backend(device, threads=1):
    """
    Make the backend of a device.

    Parameters
    ----------
    device : str
        Key of `DEVICES`.
    threads : int
        More than one needs ``runtime`` or ``cpp_standalone``.

    Returns
    -------
    backend : `~brainsnn.builders.devices.backend.Backend`

    Raises
    ------
    ValueError
        If the device is unknown or cannot use threads.
    ImportError
        If the package of the device is not installed.
    RuntimeError
        If a compiler or library of the device is missing.
    """
    chosen = backend_class(device)
    threads = whole_number(threads, "convert: threads", 1)
    if threads > 1 and not chosen.has_threads:
        raise ValueError(
            f"convert: device={device!r} has one thread, got threads={threads}; use device='runtime' or 'cpp_standalone'."
        )
    backend = chosen(threads)
    backend.threads = threads
    return backend
