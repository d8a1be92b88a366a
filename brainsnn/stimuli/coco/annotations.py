"""Read COCO annotation files, rasterise masks, and divide the photographs into a training and a test pool."""

import json
import math

import numpy as np

from brainsnn.files import check_file, checked_path
from brainsnn.optional import optional_packages

__all__ = ["POOL_SEED", "Pool", "category_numbers", "mask_of", "pools", "read_annotations"]

#: Seed and share of the photographs of train2017 that join the test pool, as published.
POOL_SEED, MOVED_SHARE = 5, 0.2
#: The folders of the photographs, which are also the ends of the names of the annotation files.
TRAIN, VAL = "train2017", "val2017"


class Pool:
    """
    The photographs of a pool, with the annotations of each.

    Parameters
    ----------
    images : list of dict
        As in COCO's files, with the entry ``folder``.
    annotations : list of dict
        Those of other images are left out.
    """

    def __init__(self, images, annotations):
        self.images = images
        self.annotations = {image["id"]: [] for image in images}
        for annotation in annotations:
            if annotation["image_id"] in self.annotations:
                self.annotations[annotation["image_id"]].append(annotation)

    def __len__(self):
        return len(self.images)

    def with_category(self, numbers):
        """Return the ids of the images that have an annotation of one of these categories (set of int)."""
        return {
            image for image, found in self.annotations.items() if any(each["category_id"] in numbers for each in found)
        }


def read_annotations(path):
    """
    Read a COCO annotation file.

    Parameters
    ----------
    path : str or path-like
        Plain JSON, such as ``instances_val2017.json``.

    Returns
    -------
    data : dict
        With the lists ``images``, ``annotations`` and ``categories``.

    Raises
    ------
    ValueError
        If it is no such file.

    References
    ----------
    Lin et al. (2014), Microsoft COCO: common objects in context, ECCV. https://cocodataset.org/#format-data
    """
    path = checked_path(path, "read_annotations: path")
    check_file(path, "read_annotations")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"read_annotations: {path} is not a JSON file: {error}.") from error
    parts = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in parts):
        raise ValueError(f"read_annotations: {path} is not a COCO annotation file; it needs lists {', '.join(parts)}.")
    return data


def category_numbers(data, names, where):
    """
    Return the numbers of categories.

    Parameters
    ----------
    data : dict
        From `read_annotations`.
    names : iterable of str
    where : str
        What the data are, for the message.

    Returns
    -------
    numbers : list of int

    Raises
    ------
    ValueError
        If the file lacks a category.
    """
    known = {category["name"]: category["id"] for category in data["categories"]}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"coco scenes: {where} has no category {missing[0]!r}. Known: {', '.join(map(str, known))}.")
    return [known[name] for name in names]


def mask_of(annotation, height, width):
    """
    Return the rasterised mask of an annotation: polygons, run lengths, or compressed run lengths.

    Parameters
    ----------
    annotation : dict
        With a ``segmentation``.
    height, width : int
        Of the image.

    Returns
    -------
    mask : (height, width) ndarray of bool

    Raises
    ------
    ValueError
        If the annotation has no mask, or one of another size.
    ImportError
        If pycocotools is not installed.

    Examples
    --------
    >>> mask_of({"id": 1, "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]]}, 2, 3).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    with optional_packages("coco scenes"):
        from pycocotools import mask as coco_mask
    shape = annotation.get("segmentation")
    if not shape or isinstance(shape, dict) and list(shape.get("size", ())) != [height, width]:
        raise ValueError(
            f"coco scenes: annotation {annotation.get('id')} has no mask of {height} x {width} pixels, the size of its image. "
            "Correct it in the annotation file, or remove it."
        )
    is_compressed = isinstance(shape, dict) and not isinstance(shape["counts"], list)
    runs = shape if is_compressed else coco_mask.frPyObjects(shape, height, width)
    return coco_mask.decode(coco_mask.merge(runs) if isinstance(runs, list) else runs).astype(bool)


def pools(train, val, seed=POOL_SEED, clean=True):
    """
    Move a fifth of the training photographs to the test pool, as published.

    Parameters
    ----------
    train, val : dict
        From `read_annotations`, of train2017 and val2017.
    seed : int, optional
        Of numpy's legacy generator, which shuffles the positions of the images in file order.
    clean : bool, optional
        Whether annotations move with their images. If False, as in the published code, which deletes from the list that it
        walks through: of two neighbours in the file the second stays, so moved images lack some annotations.

    Returns
    -------
    train, test : `Pool`
    """
    n_moved = math.ceil(MOVED_SHARE * len(train["images"]))
    order = np.random.RandomState(seed).permutation(len(train["images"]))
    chosen = {train["images"][k]["id"] for k in order[:n_moved]}
    staying = [{**image, "folder": TRAIN} for image in train["images"] if image["id"] not in chosen]
    moving = [{**image, "folder": TRAIN} for k, image in enumerate(train["images"]) if image["id"] in chosen]
    moved = [annotation for annotation in train["annotations"] if annotation["image_id"] in chosen]
    if not clean:
        moved = _deleted_while_iterated(train["annotations"], chosen)
    there = [{**image, "folder": VAL} for image in val["images"]]
    return Pool(staying, train["annotations"]), Pool([*there, *moving], [*val["annotations"], *moved])


def _deleted_while_iterated(annotations, chosen):
    """Return the annotations of chosen images that a loop finds which deletes them from the list: it skips the next one."""
    found, skips = [], False
    for annotation in annotations:
        if skips:
            skips = False
        elif annotation["image_id"] in chosen:
            found.append(annotation)
            skips = True
    return found
