"""The file of selected pictures, and the pictures themselves."""

import json
from dataclasses import asdict

import numpy as np

from brainsnn.files import check_file, checked_path, write_atomically
from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import whole_number
from brainsnn.stimuli.coco.cues import HALVES
from brainsnn.stimuli.coco.selection import Selection, TestPicture, TrainingPicture
from brainsnn.stimuli.search import SearchScenes

__all__ = ["load_coco_scenes", "load_coco_training", "read_selection", "read_photograph", "write_selection"]

FORMAT = "brainsnn coco scenes 1"
INTERPOLATIONS = ("nearest", "bilinear")


def write_selection(selection, path):
    """
    Write a selection to a JSON file.

    Parameters
    ----------
    selection : `~brainsnn.stimuli.coco.selection.Selection`
    path : str or path-like

    Examples
    --------
    >>> import tempfile
    >>> from brainsnn.stimuli.coco import Selection, read_selection, write_selection
    >>> street = Selection("street", ["car", "bus"], training=[], test=[], steps={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_selection(street, f"{folder}/street.json")
    ...     read_selection(f"{folder}/street.json") == street
    True
    """
    path = checked_path(path, "write_selection: path", is_file=True)
    with write_atomically(path) as file:
        file.write(json.dumps({"format": FORMAT, **asdict(selection)}, indent=0).encode())


def read_selection(path):
    """
    Read a file that ``python -m brainsnn.stimuli.coco`` has written.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    selection : `~brainsnn.stimuli.coco.selection.Selection`

    Raises
    ------
    ValueError
        If it is another file.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import read_selection
    >>> selection = read_selection("street.json")  # a file that you have  # doctest: +SKIP
    """
    path = checked_path(path, "read_selection: path")
    check_file(path, "read_selection")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError("another format")
        training = [TrainingPicture(**picture) for picture in data.pop("training")]
        return Selection(training=training, test=[TestPicture(**picture) for picture in data.pop("test")], **data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"read_selection: {path} is not a file of {FORMAT!r} ({error}). Make one with "
            "python -m brainsnn.stimuli.coco FOLDER --out FILE."
        ) from error


def read_photograph(folder, picture, size, interpolation="nearest"):
    """
    Read the crop of a photograph.

    Parameters
    ----------
    folder : str or path-like
        COCO's folder, which holds ``train2017`` and ``val2017``.
    picture : TrainingPicture or TestPicture
    size : int
        Rows and columns of the result.
    interpolation : {"nearest", "bilinear"}, optional
        Nearest neighbour as published.

    Returns
    -------
    pixels : (size, size, 3) ndarray of float32
        From 0 to 1. Gray photographs have three equal channels.

    Raises
    ------
    ValueError
        If the interpolation is unknown, or the photograph is smaller than its crop.
    FileNotFoundError
        If the photograph is missing.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from brainsnn.stimuli.coco import TrainingPicture, read_photograph
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "train2017").mkdir()
    ...     Image.new("L", (40, 30), 255).save(Path(folder, "train2017", "1.png"))
    ...     picture = TrainingPicture("train2017", "1.png", row=0, column=5, side=20, labels=[])
    ...     read_photograph(Path(folder), picture, size=8).shape
    (8, 8, 3)
    """
    with optional_packages("coco scenes"):
        from PIL import Image
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"coco scenes: interpolation must be 'nearest' or 'bilinear', got {interpolation!r}.")
    path = checked_path(folder, "read_photograph: folder") / picture.folder / picture.file_name
    if not path.exists():
        raise FileNotFoundError(
            f"coco scenes: {path} does not exist; the folder must be that of COCO 2017, with train2017 and val2017 in it."
        )
    check_file(path, "coco scenes")
    with Image.open(path) as opened:
        right, bottom = picture.column + picture.side, picture.row + picture.side
        if opened.width < right or opened.height < bottom:
            raise ValueError(
                f"coco scenes: {path} has {opened.height} x {opened.width} pixels, less than its crop. Use the photograph that "
                "belongs to the annotation files."
            )
        crop = opened.convert("RGB").crop((picture.column, picture.row, right, bottom))
        method = Image.Resampling.NEAREST if interpolation == "nearest" else Image.Resampling.BILINEAR
        return np.asarray(crop.resize((size, size), method), dtype=np.float32) / 255


def load_coco_scenes(path, folder, half=None, size=224, n_scenes=None, interpolation="nearest", seed=0):
    """
    Return cued search scenes from COCO photographs.

    Parameters
    ----------
    path : str or path-like
        File of selected pictures, which ``python -m brainsnn.stimuli.coco`` writes.
    folder : str or path-like
        COCO's folder, which holds ``train2017`` and ``val2017``.
    half : {"search", "test"}, optional
        The half in which strengths are chosen, or the one that is reported; all pictures by default.
    size : int, optional
        Rows and columns of the scenes.
    n_scenes : int, optional
        Scenes to draw at random, stratified by target, in the order of the file; all by default, as published.
    interpolation : {"nearest", "bilinear"}, optional
        Nearest neighbour as published.
    seed : int, optional
        Of the draw.

    Returns
    -------
    scenes : `~brainsnn.stimuli.search.SearchScenes`
        ``images`` has the shape (n, size, size, 3), ``labels`` (n, n_categories) with a 1 for the target alone: other objects
        that are visible count as absent, as published.

    Raises
    ------
    ValueError
        If an argument is not valid, or the file is another one or has fewer pictures.
    FileNotFoundError
        If a photograph is missing.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import load_coco_scenes
    >>> scenes = load_coco_scenes("street.json", "coco")  # files that you have  # doctest: +SKIP
    """
    if half not in (None, *HALVES):
        raise ValueError(f"load_coco_scenes: half must be 'search', 'test' or None, got {half!r}.")
    size = whole_number(size, "load_coco_scenes: size", 1)
    seed = whole_number(seed, "load_coco_scenes: seed", 0)
    n_scenes = None if n_scenes is None else whole_number(n_scenes, "load_coco_scenes: n_scenes", 1)
    folder, selection = checked_path(folder, "load_coco_scenes: folder"), read_selection(path)
    pictures = [picture for picture in selection.test if half in (None, picture.half)]
    if not pictures:
        raise ValueError(
            f"load_coco_scenes: {path} has no picture in half {half!r}. Give another half, or another file."
        )
    if n_scenes is not None:
        if n_scenes > len(pictures):
            raise ValueError(
                f"load_coco_scenes: n_scenes={n_scenes}, but {path} has {len(pictures)} in half {half!r}. Use at most these."
            )
        pictures = [pictures[k] for k in _stratified([picture.target for picture in pictures], n_scenes, seed)]
    images = np.stack([read_photograph(folder, picture, size, interpolation) for picture in pictures])
    targets = np.array([picture.target for picture in pictures])
    labels = np.eye(len(selection.categories), dtype=np.float32)[targets]
    cues, invalid = (np.array([getattr(p, name) for p in pictures]) for name in ("cue", "invalid_cue"))
    photographs = np.array([f"{picture.folder}/{picture.file_name}" for picture in pictures])
    return SearchScenes(images, labels, targets, targets[:, None], cues[:, None], invalid, photographs)


def _stratified(targets, n, seed):
    """Return n indices in ascending order, of each target in proportion to its number; the first of each target come first."""
    targets, random = np.asarray(targets), np.random.default_rng(seed)
    order = random.permutation(len(targets))
    share = np.empty(len(targets))
    for target in np.unique(targets):
        own = order[targets[order] == target]
        share[own] = np.arange(len(own)) / len(own)
    return np.sort(order[np.argsort(share[order], kind="stable")[:n]])


def load_coco_training(path, folder, n_pictures=None, size=224, seed=0, interpolation="nearest"):
    """
    Return training pictures, such as those whose means set the criterion for latencies.

    Parameters
    ----------
    path, folder : str or path-like
        As for `load_coco_scenes`.
    n_pictures : int, optional
        Pictures to draw at random; all of them, in the order of the file, by default.
    size : int, optional
    seed : int, optional
        Of the draw.
    interpolation : {"nearest", "bilinear"}, optional

    Returns
    -------
    images : (n, size, size, 3) ndarray of float32
        From 0 to 1.
    labels : (n, n_categories) ndarray of float32
        1 for each category in the crop.

    Raises
    ------
    ValueError
        If an argument is not valid, or the file is another one or has fewer pictures.
    FileNotFoundError
        If a photograph is missing.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import load_coco_training
    >>> images, labels = load_coco_training("street.json", "coco")  # files that you have  # doctest: +SKIP
    """
    size = whole_number(size, "load_coco_training: size", 1)
    seed = whole_number(seed, "load_coco_training: seed", 0)
    folder, selection = checked_path(folder, "load_coco_training: folder"), read_selection(path)
    pictures = selection.training
    if not pictures:
        raise ValueError(f"load_coco_training: {path} has no training picture. Give another file.")
    if n_pictures is not None:
        n_pictures = whole_number(n_pictures, "load_coco_training: n_pictures", 1)
        if n_pictures > len(pictures):
            raise ValueError(
                f"load_coco_training: n_pictures={n_pictures}, but {path} has {len(pictures)}. Use at most these."
            )
        pictures = [pictures[k] for k in np.random.default_rng(seed).permutation(len(pictures))[:n_pictures]]
    labels = np.zeros((len(pictures), len(selection.categories)), dtype=np.float32)
    for row, picture in zip(labels, pictures):
        row[picture.labels] = 1
    return np.stack([read_photograph(folder, picture, size, interpolation) for picture in pictures]), labels
