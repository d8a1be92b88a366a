"""Read the tensors of PyTorch checkpoints without executing what a file contains, and without TensorFlow."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brainsnn.files import check_file, checked_path
from brainsnn.optional import optional_packages

__all__ = ["TorchCheckpoint", "read_torch_file"]

#: What the published scripts put beside the weights -> its name here.
SETTINGS = {
    "thresholds": "thresholds",
    "timesteps": "steps",
    "leak": "leak",
    "leak_mem": "leak",
    "activation": "surrogate",
}


class TorchCheckpoint(NamedTuple):
    """
    Content of a checkpoint.

    Parameters
    ----------
    tensors : dict of str to ndarray
        By the names of the file.
    settings : dict
        ``thresholds`` (list of float), ``steps``, ``leak`` and ``surrogate`` where the file has them.
    """

    tensors: dict[str, np.ndarray]
    settings: dict[str, Any]


def read_torch_file(path):
    """
    Read a ``.safetensors`` file, or a ``.pth`` or ``.pt`` file where PyTorch is installed.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A state dict; or, as the published scripts write it, a dict with the state dict as ``"state_dict"`` and thresholds, steps
        and leak beside it. A safetensors file has ``thresholds`` as a tensor.

    Returns
    -------
    checkpoint : `TorchCheckpoint`

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is damaged, has another ending, or holds more than tensors, numbers and texts.
    ModuleNotFoundError
        If the package that reads it is not installed.
    """
    file = checked_path(path, "read_torch_file: path", is_file=True)
    if not file.exists():
        raise FileNotFoundError(f"read_torch_file: {str(file)!r} does not exist.")
    check_file(file, "read_torch_file")
    if file.suffix == ".safetensors":
        tensors, found = _read_safetensors(file), {}
    elif file.suffix in (".pth", ".pt"):
        tensors, found = _read_pickled(file)
    else:
        raise ValueError(f"read_torch_file: {str(file)!r} must end in .safetensors, .pth or .pt.")
    if "thresholds" in tensors:
        found["thresholds"] = tensors.pop("thresholds")
    settings = {SETTINGS[name]: _plain(value) for name, value in found.items() if name in SETTINGS}
    return TorchCheckpoint({name: np.asarray(value) for name, value in tensors.items()}, settings)


def _plain(value):
    """Return a number, text or list of numbers."""
    return value if isinstance(value, str) else np.asarray(value, dtype=float).tolist()


def _read_safetensors(file: Path):
    with optional_packages("read_torch_file"):
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"read_torch_file: {str(file)!r} is damaged ({error}). Save it again.") from error


def _read_pickled(file: Path):
    """Return tensors and other entries; PyTorch refuses whatever is not a tensor or a plain value."""
    from pickle import UnpicklingError

    with optional_packages("read_torch_file"):
        import torch
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"read_torch_file: {str(file)!r} is damaged, or holds objects other than tensors ({str(error)[:200]}). Save its "
            "state dict alone, with torch.save(model.state_dict(), path)."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"read_torch_file: {str(file)!r} holds a {type(content).__name__}, not a state dict.")
    state = content.get("state_dict", content)
    found = {name: value for name, value in content.items() if name in SETTINGS} if state is not content else {}
    tensors = {name: value.detach().cpu().numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}
    if other := [name for name, value in state.items() if not isinstance(value, torch.Tensor) and name not in SETTINGS]:
        raise ValueError(f"read_torch_file: {str(file)!r}: {other[0]!r} is not a tensor; save a state dict.")
    return tensors, found | {name: state[name] for name in SETTINGS if name in state and name not in tensors}
