"""The files that commands read and write: models, images, results."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brainsnn.optional import optional_packages

if TYPE_CHECKING:
    from brainsnn import LayerGraph

__all__ = ["Images", "check_output", "read_graph", "read_images", "write_as"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_graph(model: str, weights: Path | None, average_pooling: str) -> "LayerGraph":
    """
    Read a network from a file of any kind that brainsnn knows, or a shipped one by its name.

    Parameters
    ----------
    model : str
        Name of a shipped network; or a file of Keras, ONNX or NIR.
    weights : `~pathlib.Path` or None
        File of weights, for the JSON file of a Keras model.
    average_pooling : str
        As of `brainsnn.read_keras`.

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`

    Raises
    ------
    ValueError
        If ``weights`` is given for another kind of file.
    """
    import brainsnn as bs

    suffix = Path(model).suffix.lower()
    if weights is not None and suffix != ".json":
        raise ValueError(f"--weights {str(weights)!r} has no effect: {model!r} holds its weights itself. Leave it out.")
    if suffix == ".onnx":
        return bs.read_onnx(model, average_pooling=average_pooling)
    if suffix == ".nir":
        return bs.read_nir(model)
    with optional_packages(model), _notes_hidden():
        import keras  # noqa: F401
    loaded = bs.load_model(model) if weights is None else bs.load_model(model, weights=str(weights))
    return bs.read_keras(loaded, average_pooling=average_pooling)


@contextmanager
def _notes_hidden() -> Iterator[None]:
    """Hide what TensorFlow writes while it is imported, before its level of logging counts; an error shows it."""
    with tempfile.TemporaryFile() as notes:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@dataclass
class Images:
    """Images, their names, and their classes where they are known."""

    values: np.ndarray
    names: list[str]
    labels: np.ndarray | None = None


def read_images(path: Path, shape: tuple[int, ...], limit: int | None, resize: bool, unit: float = 1.0) -> Images:
    """
    Read images from a folder of pictures or a file of arrays.

    Parameters
    ----------
    path : `~pathlib.Path`
        A folder of pictures, in the order of their names; a picture; ``.npy`` with the images; or ``.npz`` with ``images`` and,
        if known, ``labels``, whose values stay as they are.
    shape : (H, W, C)
        What the network takes.
    limit : int or None
        Read the first images only.
    resize : bool
        Whether to bring pictures of another size to that of the network (bicubic).
    unit : float, optional
        The `pixel_unit` of the network: pictures are scaled to 0 ... 1, or stay 0 ... 255 if it scales them itself.

    Returns
    -------
    images : Images

    Raises
    ------
    FileNotFoundError, ValueError
        If nothing can be read there, or the images have another size.
    """
    if not path.exists():
        raise FileNotFoundError(f"--images {str(path)!r} does not exist.")
    if path.is_dir() or path.suffix.lower() in PICTURES:
        return _read_pictures(path, shape, limit, resize, 1.0 if unit > 2 else 255.0)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise ValueError(f"--images {str(path)!r} must be a folder of pictures, a picture, or a file .npz or .npy.")
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        values, labels = found, None
    else:
        with found:
            if "images" not in found:
                raise ValueError(
                    f"--images {str(path)!r} holds {', '.join(found) or 'nothing'}; it needs an array 'images'."
                )
            values, labels = found["images"], found["labels"] if "labels" in found else None
    if values.ndim == 3 and shape[2] == 1:
        values = values[..., None]
    if labels is not None and labels.shape != (len(values),):
        raise ValueError(f"--images {str(path)!r}: labels of shape {labels.shape} for {len(values)} images.")
    if values.shape[1:] != shape:
        raise ValueError(
            f"--images {str(path)!r}: images of shape {values.shape[1:]}, and the network takes {shape}. Give these as "
            "(n, rows, columns, channels)."
        )
    kept = slice(None if limit is None else limit)
    names = [str(k) for k in range(len(values))][kept]
    return Images(values[kept], names, None if labels is None else labels[kept])


def _read_pictures(path: Path, shape: tuple[int, ...], limit: int | None, resize: bool, divisor: float) -> Images:
    with optional_packages("--images with pictures", "cli"):
        from PIL import Image

    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES)
    if not files:
        raise FileNotFoundError(f"--images {str(path)!r} holds no picture ({', '.join(PICTURES)}).")
    if shape[2] not in (1, 3):
        raise ValueError(
            f"--images: pictures have 1 or 3 channels, and the network takes {shape[2]}. Give a file .npz."
        )
    values = []
    for file in files[: None if limit is None else limit]:
        with Image.open(file) as opened:
            picture = opened.convert("L" if shape[2] == 1 else "RGB")
        if picture.size != (shape[1], shape[0]):
            if not resize:
                raise ValueError(
                    f"--images: {str(file)!r} has {picture.size[1]} x {picture.size[0]} pixels, and the network takes "
                    f"{shape[0]} x {shape[1]}. Use --resize, or pictures of this size."
                )
            picture = picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
        values.append(np.asarray(picture, dtype=np.float32).reshape(shape) / divisor)
    return Images(np.stack(values), [file.name for file in files[: len(values)]])


def check_output(path: Path | None, suffixes: dict[str, str], force: bool) -> None:
    """
    Refuse a file that a command could not write in the end, before it computes anything.

    Parameters
    ----------
    path : `~pathlib.Path` or None
        None passes.
    suffixes : dict of str to str
        What each suffix stands for.
    force : bool
        Whether a file may be replaced.

    Raises
    ------
    ValueError
        If the suffix is unknown.
    FileExistsError, FileNotFoundError
        If something of that name exists and may not be replaced, or its folder does not exist.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        known = ", ".join(f"{suffix} ({what})" for suffix, what in suffixes.items())
        raise ValueError(f"--output {str(path)!r}: the suffix must be one of {known}.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"--output {str(path)!r}: the folder {str(path.parent)!r} does not exist. Make it first."
        )
    if path.exists() and (not force or path.is_dir()):
        fix = "Move it away." if path.is_dir() else "Use --force to replace it, or another name."
        raise FileExistsError(f"--output {str(path)!r} exists. {fix}")


def write_as(path: Path, writers: dict[str, Callable[[Path], Any]]) -> None:
    """Write a file in the form that its suffix names."""
    writers[path.suffix.lower()](path)
