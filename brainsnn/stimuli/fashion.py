"""Fashion-MNIST: photographs of clothes, from Debian's package or Keras."""

import gzip
from pathlib import Path

import numpy as np

from brainsnn.stimuli.digits import check_split, load_with_keras

__all__ = ["FASHION_CLASSES", "load_fashion_mnist"]

#: Where Debian's package dataset-fashion-mnist puts its files.
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PREFIXES = {"train": ["train"], "test": ["t10k"], "all": ["train", "t10k"]}

#: Names of the classes 0 ... 9.
FASHION_CLASSES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def load_fashion_mnist(split="test", folder=None):
    """
    Return Fashion-MNIST, 60,000 training and 10,000 test photographs of clothes.

    The files of Debian's package ``dataset-fashion-mnist`` are read where it is installed. Elsewhere Keras downloads the data
    at the first use.

    Parameters
    ----------
    split : {"train", "test", "all"}, optional
        The official split.
    folder : str or `~pathlib.Path`, optional
        Folder with the four files ``*-ubyte.gz``; that of Debian's package by default.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Gray values from 0 to 1.
    labels : ndarray of int64, shape (n_images,)
        Classes from 0 to 9; `FASHION_CLASSES` are their names.

    Raises
    ------
    ValueError
        If `split` has another value, or a file is damaged.
    FileNotFoundError
        If `folder` lacks a file.
    RuntimeError
        If the package is not installed, and the data are not in Keras's cache and cannot be downloaded.

    References
    ----------
    Xiao, Rasul, Vollgraf (2017), arXiv:1708.07747.

    Examples
    --------
    >>> from brainsnn.stimuli import load_fashion_mnist
    >>> images, labels = load_fashion_mnist("test")  # doctest: +SKIP
    """
    check_split(split, "load_fashion_mnist")
    if folder is None and not DEBIAN.is_dir():
        hint = "On Debian, install dataset-fashion-mnist; or pass the folder that holds the four files *-ubyte.gz."
        images, labels = load_with_keras("fashion_mnist", split, "load_fashion_mnist", hint)
        return images[..., None], labels
    folder = Path(DEBIAN if folder is None else folder)
    parts = [(_read(folder, f"{p}-images-idx3", 16), _read(folder, f"{p}-labels-idx1", 8)) for p in PREFIXES[split]]
    images = np.concatenate([pixels.reshape(-1, 28, 28, 1) for pixels, _ in parts]).astype(np.float32) / 255
    return images, np.concatenate([labels for _, labels in parts]).astype(np.int64)


def _read(folder, name, header):
    """Return the bytes of an IDX file after its header, whose last numbers are the shape."""
    path = folder / f"{name}-ubyte.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"load_fashion_mnist: {path} is damaged ({error}). Get it again.") from error
    shape = np.frombuffer(content[4:header], ">u4")
    values = np.frombuffer(content, np.uint8, offset=min(header, len(content)))
    if (
        len(shape) != (header - 4) // 4
        or values.size != np.prod(shape, dtype=int)
        or tuple(shape[1:]) not in ((), (28, 28))
    ):
        raise ValueError(
            f"load_fashion_mnist: {path} holds {values.size} values of shape {tuple(map(int, shape))}. Get it again."
        )
    return values
