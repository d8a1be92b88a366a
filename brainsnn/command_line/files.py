"""The files that commands read and write: models, images, results."""

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brainsnn.command_line.messages import plain_notes
from brainsnn.errors import warn
from brainsnn.files import check_file, check_writable
from brainsnn.optional import optional_packages
from brainsnn.shipped import shipped_path

if TYPE_CHECKING:
    from brainsnn import LayerGraph

__all__ = ["Images", "check_images", "check_output", "read_graph", "read_images", "write_as"]

KERAS = (".keras", ".h5", ".hdf5", ".json")
#: What writes files of each suffix, and the extra that installs it.
PACKAGES = {".nc": ("xarray", "h5netcdf"), ".zarr": ("xarray", "zarr"), ".nir": ("nir",), ".csv": ("xarray",)}
EXTRA = {".nc": "formats", ".zarr": "formats"}
#: Logarithm of a change of proportions that is not told.
LARGEST_STRETCH = 0.05
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_graph(model: str, weights: Path | None, average_pooling: str, spiking: Iterable[str] = ()) -> "LayerGraph":
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
    spiking : iterable of str, optional
        As of `brainsnn.read_keras`.

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`

    Raises
    ------
    ValueError
        If ``weights`` or ``average_pooling`` is given for another kind of file, or weights are missing; if the suffix of the
        file is unknown.
    """
    import brainsnn as bs

    plain_notes()
    suffix = Path(model).suffix.lower()
    if weights is not None and suffix != ".json":
        raise ValueError(f"--weights {str(weights)!r} has no effect: {model!r} holds its weights itself. Leave it out.")
    if suffix == ".onnx":
        return bs.read_onnx(model, average_pooling=average_pooling)
    if suffix == ".nir":
        if average_pooling != "spikes":
            raise ValueError(
                f"--average-pooling {average_pooling} has no effect: a NIR file says what is pooled. Leave it out."
            )
        return bs.read_nir(model)
    if Path(file := shipped_path(model)).is_file() and Path(file).suffix.lower() not in KERAS:
        raise ValueError(f"MODEL {model!r}: the suffix must be one of {', '.join(KERAS)} (Keras), .onnx and .nir.")
    if suffix == ".json" and weights is None:
        raise ValueError(f"MODEL {model!r}: a .json file holds no weights. Give their file with --weights.")
    loaded = bs.load_model(model) if weights is None else bs.load_model(model, weights=str(weights))
    return bs.read_keras(loaded, average_pooling=average_pooling, spiking=spiking)


@dataclass
class Images:
    """Images, their names, and their classes where they are known."""

    values: np.ndarray
    names: list[str]
    labels: np.ndarray | None = None


def check_images(path: Path, option: str = "--images") -> None:
    """
    Refuse a path that holds no images, before the network is read.

    Parameters
    ----------
    path : `~pathlib.Path`
    option : str, optional
        Name of the option, for the message.

    Raises
    ------
    FileNotFoundError, PermissionError, ValueError
        If nothing is there, or it may not be read, or it is another kind of file; if a folder has no picture.
    """
    if path.is_dir():
        if not any(file.suffix.lower() in PICTURES for file in path.iterdir()):
            raise FileNotFoundError(f"{option} {str(path)!r} holds no picture ({', '.join(PICTURES)}).")
        return
    check_file(path, option)
    if path.suffix.lower() not in (".npy", ".npz", *PICTURES):
        raise ValueError(f"{option} {str(path)!r} must be a folder of pictures, a picture, or a file .npz or .npy.")


def read_images(
    path: Path, shape: tuple[int, ...], limit: int | None, resize: bool, unit: float = 1.0, option: str = "--images"
) -> Images:
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
    option : str, optional
        Name of the option, for messages.

    Returns
    -------
    images : Images

    Raises
    ------
    FileNotFoundError, ValueError
        If nothing can be read there, or the images have another size.
    """
    check_images(path, option)
    if path.is_dir() or path.suffix.lower() in PICTURES:
        return _read_pictures(path, shape, limit, resize, 1.0 if unit > 2 else 255.0, option)
    if resize:
        raise ValueError(
            f"--resize has no effect: {option} {str(path)!r} holds arrays, and only pictures are resized. Leave it out."
        )
    values, labels = _read_arrays(path, option)
    if shape[2] == 1 and values.ndim == 3 and values.shape[1:] == shape[:2]:
        values = values[..., None]
    if values.shape[1:] != shape:
        raise ValueError(
            f"{option} {str(path)!r}: images of shape {values.shape[1:]}, and the network takes {shape}. Give these as "
            "(n, rows, columns, channels)."
        )
    kept = slice(None if limit is None else limit)
    names = [str(k) for k in range(len(values))][kept]
    return Images(values[kept], names, None if labels is None else labels[kept])


def _read_pictures(
    path: Path, shape: tuple[int, ...], limit: int | None, resize: bool, divisor: float, option: str
) -> Images:
    with optional_packages(f"{option} with pictures", "cli"):
        import PIL  # noqa: F401

    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES)
    if shape[2] not in (1, 3):
        raise ValueError(
            f"{option}: pictures have 1 or 3 channels, and the network takes {shape[2]}. Give a file .npz."
        )
    chosen = files[: None if limit is None else limit]
    values = [_read_picture(file, shape, resize, option).astype(np.float32) / divisor for file in chosen]
    return Images(np.stack(values), [file.name for file in chosen])


def _read_arrays(path: Path, option: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return images and, where the file has them, labels."""
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found, None
        with found:
            arrays = {name: found[name] for name in ("images", "labels") if name in found}
            names = list(found)
            known = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
    except (EOFError, OSError, ValueError, zipfile.BadZipFile):
        raise ValueError(
            f"{option} {str(path)!r} is damaged, or holds Python objects, which are never opened. Write it with "
            "numpy.savez(file, images=..., labels=...), of numbers."
        ) from None
    unread = [name for name in names if name not in arrays]
    if "images" in arrays and "labels" not in arrays and unread:
        warn(f"{option} {str(path)!r}: {known} are there, and only 'images' is read.", fix="Name the classes 'labels'.")
    if "images" not in arrays:
        raise ValueError(f"{option} {str(path)!r} holds {known}; it needs an array 'images'.")
    images, labels = arrays["images"], arrays.get("labels")
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(f"{option} {str(path)!r}: labels of shape {labels.shape} for images of shape {images.shape}.")
    if labels is not None and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{option} {str(path)!r}: labels of type {labels.dtype}; give whole numbers, one for each image."
        )
    return images, labels


def _read_picture(file: Path, shape: tuple[int, ...], resize: bool, option: str) -> np.ndarray:
    """Return the values of a picture, from 0 to 255, in the size of the network."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{option}: {str(file)!r} is not a picture, or is damaged ({error}). Take it away.") from None
    if picture.mode.startswith(("I", "F")):
        raise ValueError(
            f"{option}: {str(file)!r} has more than 8 bits for each pixel (mode {picture.mode!r}), whose range is not known. "
            "Give arrays from 0 to 1 in a file .npz."
        )
    if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError(f"{option}: {str(file)!r} has transparent pixels. Save it with a background.")
    picture = picture.convert("L" if shape[2] == 1 else "RGB")
    if picture.size != (shape[1], shape[0]):
        if not resize:
            raise ValueError(
                f"{option}: {str(file)!r} has {picture.size[1]} x {picture.size[0]} pixels, and the network takes "
                f"{shape[0]} x {shape[1]}. Use --resize, or pictures of this size."
            )
        (columns, rows), stretch = picture.size, np.log(picture.size[0] * shape[0] / (picture.size[1] * shape[1]))
        if abs(stretch) > LARGEST_STRETCH:
            warn(
                f"{option}: {str(file)!r} of {rows} x {columns} pixels is squeezed to {shape[0]} x {shape[1]}.",
                fix="Crop it first if proportions matter.",
            )
        picture = picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(shape)


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
    FileExistsError, FileNotFoundError, PermissionError
        If something of that name exists and may not be replaced; if its folder does not exist, or nothing may be written there.
    ModuleNotFoundError
        If a package is missing that writes such files.
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
    check_writable(path.absolute().parent, "--output", "Give a path in another folder.")
    with optional_packages(f"--output with the suffix {path.suffix.lower()!r}", EXTRA.get(path.suffix.lower())):
        for package in PACKAGES.get(path.suffix.lower(), ()):
            import_module(package)


def write_as(path: Path, writers: dict[str, Callable[[Path], Any]]) -> None:
    """Write a file in the form that its suffix names."""
    writers[path.suffix.lower()](path)
