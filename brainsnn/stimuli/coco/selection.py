"""Select training and test pictures from COCO: crops, targets, cues and halves."""

from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from brainsnn.one_line import fields_line
from brainsnn.stimuli.coco.annotations import category_numbers, mask_of, pools
from brainsnn.stimuli.coco.cues import CUE_SEED, center_of_mass, halves, invalid_cues
from brainsnn.stimuli.coco.windows import MIN_AREA, multi_window, single_window

__all__ = ["MAX_COHERENCE", "MIN_SALIENCE", "Selection", "TestPicture", "TrainingPicture", "select"]

#: The published limits of scene coherence and of the target's salience.
MAX_COHERENCE, MIN_SALIENCE = 1.2, 0.04


@dataclass(frozen=True)
class TrainingPicture:
    """
    A crop of a photograph with the categories that are in it.

    Attributes
    ----------
    folder, file_name : str
        Of the photograph.
    row, column, side : int
        First row and column, and side of the square crop.
    labels : list of int
        Categories in the crop.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import TrainingPicture
    >>> TrainingPicture("train2017", "1.jpg", row=0, column=10, side=224, labels=[3]).side
    224
    """

    folder: str
    file_name: str
    row: int
    column: int
    side: int
    labels: list

    __repr__ = fields_line


@dataclass(frozen=True)
class TestPicture:
    """
    A crop of a photograph with one target.

    Attributes
    ----------
    folder, file_name : str
        Of the photograph.
    row, column, side : int
        First row and column, and side of the square crop.
    annotation : int
        COCO's id of the target. Together with the file name, it identifies the picture.
    target : int
        Category of the target.
    area : float
        Share of the crop that the target covers.
    cue, invalid_cue : list of float
        (row, column) in fractions of the crop; the invalid one is None before it is drawn.
    half : str or None
        ``"search"`` or ``"test"``.
    salience, coherence : float or None
        Of the target and of the crop, from other tools; None if not known.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import TestPicture
    >>> TestPicture("val2017", "1.jpg", 0, 10, 224, annotation=7, target=3, area=0.1, cue=[0.5, 0.25]).invalid_cue is None
    True
    """

    __test__ = False  # not a test of pytest's

    folder: str
    file_name: str
    row: int
    column: int
    side: int
    annotation: int
    target: int
    area: float
    cue: list
    invalid_cue: list | None = None
    half: str | None = None
    salience: float | None = None
    coherence: float | None = None

    __repr__ = fields_line


@dataclass(frozen=True)
class Selection:
    """
    The pictures of a set of scenes.

    Attributes
    ----------
    scenes : str
        Name of the set.
    categories : list of str
        In the order of the network's outputs.
    training : list of TrainingPicture
    test : list of TestPicture
    steps : dict of str to list of int
        Pictures per category after each step of the selection.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import Selection
    >>> Selection("street", ["car", "bus"], training=[], test=[], steps={}).categories
    ['car', 'bus']
    """

    scenes: str
    categories: list
    training: list
    test: list
    steps: dict

    __repr__ = fields_line


def select(files, scenes, seed=0, features=None, clean=True, progress=iter):
    """
    Select the pictures of a set of scenes, as published.

    Parameters
    ----------
    files : dict of str to dict
        `read_annotations` of ``"instances_train2017"``, ``"instances_val2017"``, ``"stuff_train2017"`` and
        ``"stuff_val2017"``.
    scenes : `~brainsnn.stimuli.coco.sets.SceneSet`
    seed : int, optional
        Of the draws of windows (the published ones were not seeded).
    features : dict of (int, str) to (float, float), optional
        (annotation, file name) -> (salience, coherence). With it, pictures of coherence > 1.2 or salience < 0.04, and pictures
        that it does not name, are left out.
    clean : bool, optional
        See `~brainsnn.stimuli.coco.annotations.pools`.
    progress : callable, optional
        Wraps the list of photographs, such as tqdm.

    Returns
    -------
    selection : Selection

    Raises
    ------
    ValueError
        If a file lacks a category, a mask is wrong, or too few pictures are left for invalid cues and halves.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import STREET, select
    >>> from brainsnn.stimuli.coco.annotations import read_annotations
    >>> names = [f"{kind}_{part}2017" for kind in ("instances", "stuff") for part in ("train", "val")]
    >>> files = {name: read_annotations(f"coco/annotations/{name}.json") for name in names}  # your files  # doctest: +SKIP
    >>> selection = select(files, STREET)  # doctest: +SKIP
    """
    index = {}
    for k, own in enumerate(scenes.categories.values()):
        index |= dict.fromkeys(category_numbers(files["instances_train2017"], own, "instances_train2017"), k)
    stuff = set(category_numbers(files["stuff_train2017"], scenes.stuff, "stuff_train2017"))
    train, test = pools(files["instances_train2017"], files["instances_val2017"], clean=clean)
    wanted = [
        pool.with_category(stuff) for pool in pools(files["stuff_train2017"], files["stuff_val2017"], clean=clean)
    ]
    if clean:  # the two kinds of files may name the photographs in another order
        wanted = [wanted[0] | wanted[1]] * 2
    random = np.random.default_rng(seed)
    training = [
        picture
        for image in progress([image for image in train.images if image["id"] in wanted[0]])
        if (picture := _training_picture(image, train.annotations[image["id"]], index, random))
    ]
    singles = [
        picture
        for image in progress([image for image in test.images if image["id"] in wanted[1]])
        for picture in _test_pictures(image, test.annotations[image["id"]], index, random)
    ]
    kept = singles if features is None else [p for p in map(lambda p: _with_features(p, features), singles) if p]
    names = list(scenes.categories)
    steps = {"one target of the category in the window": _counts(singles, names)}
    if features is not None:
        steps["salience and coherence"] = _counts(kept, names)
    return Selection(scenes.name, names, training, _with_cues(kept), steps)


def _counts(pictures, names):
    counts = Counter(picture.target for picture in pictures)
    return [counts[k] for k in range(len(names))]


def _candidates(image, annotations, index):
    """Return (category, annotation) of all annotations of the categories that are large enough for the window."""
    smallest = MIN_AREA * min(image["height"], image["width"]) ** 2
    return [
        (index[each["category_id"]], each)
        for each in annotations
        if each["category_id"] in index and each["area"] > smallest
    ]


def _crop(image, offset):
    """Return the row, column and side of a window."""
    side = min(image["height"], image["width"])
    return (offset, 0, side) if image["height"] > image["width"] else (0, offset, side)


def _training_picture(image, annotations, index, random):
    """Return a photograph as a training picture, or None."""
    found = _candidates(image, annotations, index)
    if not found:
        return None
    masks = [mask_of(each, image["height"], image["width"]) for _, each in found]
    offset, inside = multi_window(masks, random)
    if offset is None:
        return None
    labels = sorted({found[k][0] for k in inside})
    return TrainingPicture(image["folder"], image["file_name"], *_crop(image, offset), labels)


def _test_pictures(image, annotations, index, random):
    """Return the test pictures of a photograph: at most one for each category."""
    pictures, found = [], _candidates(image, annotations, index)
    for target in sorted({category for category, _ in found}):
        own = [each for category, each in found if category == target]
        masks = [mask_of(each, image["height"], image["width"]) for each in own]
        offset, k = single_window(masks, random)
        if offset is None:
            continue
        row, column, side = _crop(image, offset)
        mask = masks[k][row : row + side, column : column + side]
        pictures.append(
            TestPicture(
                image["folder"], image["file_name"], row, column, side, own[k]["id"], target,
                float(mask.mean()), list(center_of_mass(mask)),
            )
        )  # fmt: skip
    return pictures


def _with_features(picture, features):
    """Return a picture with its salience and coherence, or None where a limit or a value is missing."""
    values = features.get((picture.annotation, picture.file_name))
    if values is None or values[0] < MIN_SALIENCE or values[1] > MAX_COHERENCE or not np.isfinite(values).all():
        return None
    return TestPicture(**asdict(picture) | {"salience": float(values[0]), "coherence": float(values[1])})


def _with_cues(pictures):
    """Return pictures with invalid cues and halves."""
    if not pictures:
        raise ValueError(
            "coco scenes: no photograph meets the criteria. Check that the four annotation files belong together."
        )
    invalid = invalid_cues([picture.cue for picture in pictures], CUE_SEED)
    sides = halves([picture.target for picture in pictures], CUE_SEED)
    return [
        TestPicture(**asdict(picture) | {"invalid_cue": cue.tolist(), "half": str(half)})
        for picture, cue, half in zip(pictures, invalid, sides)
    ]
