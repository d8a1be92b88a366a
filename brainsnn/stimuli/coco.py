"""Search scenes from COCO photographs: one annotated target, with the cue at its centre of mass."""

import json
from dataclasses import dataclass

import numpy as np

from brainsnn.files import check_file, checked_path
from brainsnn.plain_arrays import whole_number
from brainsnn.stimuli.search import SearchScenes, draw_invalid_cue

__all__ = ["STREET_CATEGORIES", "CocoTarget", "load_coco_scenes", "read_coco_targets"]

#: Eight COCO categories that are common in street scenes. For a network trained on other categories, pass those in the
#: order of its outputs.
STREET_CATEGORIES = (
    "bicycle", "car", "motorcycle", "bus", "truck", "traffic light", "fire hydrant", "stop sign",
)  # fmt: skip


@dataclass(frozen=True)
class CocoTarget:
    """
    An image with one annotated target.

    Attributes
    ----------
    image_id : int
    file_name : str
    category : int
        Index of the target's category in the requested categories.
    center : tuple of float
        Centre of mass of the target as (row, column) in fractions of the image.
    area : float
        Fraction of the image that the target covers.
    """

    image_id: int
    file_name: str
    category: int
    center: tuple
    area: float


def read_coco_targets(annotations, categories=STREET_CATEGORIES, min_area=0.0, max_area=1.0):
    """
    Read a COCO "instances" file and return the images with exactly one object of the given categories.

    Parameters
    ----------
    annotations : str or `~pathlib.Path`
        Plain JSON, such as ``instances_val2017.json``; pycocotools is not needed.
    categories : sequence of str, optional
        Names of categories, in the order of the network's outputs.
    min_area, max_area : float, optional
        Smallest and largest fraction of the image that the target may cover.

    Returns
    -------
    targets : list of `CocoTarget`
        Sorted by image id. Images with a crowd of one of the categories are excluded.

    Raises
    ------
    ValueError
        If the file is not a COCO annotation file, if it lacks a category, if the categories are not different names, or if
        a mask is empty.

    References
    ----------
    Lin et al. (2014), Microsoft COCO: common objects in context, ECCV. https://cocodataset.org/#format-data
    """
    if isinstance(categories, str) or len(set(categories)) < len(categories):
        raise ValueError(f"read_coco_targets: categories={categories!r} must be a list of different names.")
    data = _read(annotations)
    known = {category["name"]: category["id"] for category in data["categories"]}
    missing = [name for name in categories if name not in known]
    if missing:
        raise ValueError(f"read_coco_targets: {annotations} has no category {missing[0]!r}. Known: {', '.join(known)}.")
    index = {known[name]: k for k, name in enumerate(categories)}
    found = {}
    for annotation in data["annotations"]:
        if annotation["category_id"] in index:
            found.setdefault(annotation["image_id"], []).append(annotation)
    targets = []
    for image in sorted(data["images"], key=lambda image: image["id"]):
        objects = found.get(image["id"], [])
        if len(objects) != 1 or objects[0].get("iscrowd"):
            continue
        (row, col), area = _center_of_mass(objects[0], image)
        size = image["width"] * image["height"]
        if min_area <= area / size <= max_area:
            center = (row / image["height"], col / image["width"])
            category = index[objects[0]["category_id"]]
            targets.append(CocoTarget(image["id"], image["file_name"], category, center, area / size))
    return targets


def load_coco_scenes(
    annotations, images, categories=STREET_CATEGORIES, size=224, n_scenes=None, seed=0, min_area=0.0, max_area=1.0
):
    """
    Return cued search scenes from COCO photographs.

    Parameters
    ----------
    annotations : str or `~pathlib.Path`
        Annotation file; see `read_coco_targets`.
    images : str or `~pathlib.Path`
        Folder of the photographs.
    categories : sequence of str, optional
    size : int, optional
        Photographs are resized to this number of rows and columns regardless of their aspect ratio, so that positions in
        fractions of the image stay valid.
    n_scenes : int, optional
        Number of scenes to draw at random, balanced over the categories as far as possible; all scenes by default.
    seed : int, optional
        Seed of the draw and of the invalid cues.
    min_area, max_area : float, optional
        See `read_coco_targets`.

    Returns
    -------
    scenes : `~brainsnn.stimuli.search.SearchScenes`
        ``images`` has the shape (n, size, size, 3) and values from 0 to 1, ``labels`` the shape (n, n_categories). Invalid
        cues are at least half an image width away from the target.

    Raises
    ------
    ValueError
        If no image has exactly one target, or ``n_scenes`` is not valid.
    FileNotFoundError
        If a photograph is missing.
    ImportError
        If Pillow is not installed.
    """
    if n_scenes is not None:
        n_scenes = whole_number(n_scenes, "load_coco_scenes: n_scenes", 1)
    random, images = np.random.default_rng(seed), checked_path(images, "load_coco_scenes: images")
    targets = _drawn(read_coco_targets(annotations, categories, min_area, max_area), n_scenes, random)
    if not targets:
        raise ValueError(
            f"load_coco_scenes: no image of {annotations} has exactly one annotated object of {', '.join(categories)} that "
            f"covers {min_area:g} to {max_area:g} of the image."
        )
    classes = np.array([[target.category] for target in targets])
    labels = np.eye(len(categories), dtype=np.float32)[classes[:, 0]]
    positions = np.array([[target.center] for target in targets])
    invalid = np.array([draw_invalid_cue(random, place) for place in positions[:, 0]])
    pictures = _read_photographs([images / target.file_name for target in targets], size)
    return SearchScenes(pictures, labels, classes[:, 0].copy(), classes, positions, invalid)


def _read_photographs(paths, size):
    """Return photographs, (n, size, size, 3) with values from 0 to 1."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("load_coco_scenes: reading photographs needs Pillow; run pip install pillow.") from error
    pictures = np.zeros((len(paths), size, size, 3), dtype=np.float32)
    for picture, path in zip(pictures, paths):
        if not path.exists():
            raise FileNotFoundError(
                f"load_coco_scenes: {path} does not exist; the argument images must be the folder of the photographs."
            )
        check_file(path, "load_coco_scenes")
        with Image.open(path) as opened:
            picture[:] = np.asarray(opened.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)) / 255
    return pictures


def _read(path):
    path = checked_path(path, "read_coco_targets: annotations")
    check_file(path, "read_coco_targets")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"read_coco_targets: {path} is not a JSON file: {error}.") from error
    parts = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in parts):
        raise ValueError(f"read_coco_targets: {path} is not a COCO annotation file; it needs lists {', '.join(parts)}.")
    return data


def _center_of_mass(annotation, image):
    """Return ((row, column), area) of the annotated object in pixels."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return _center_of_mask(_decode_runs(segmentation), annotation)
    polygons = [np.reshape(polygon, (-1, 2)) for polygon in segmentation or [] if len(polygon) >= 6]
    parts = [_polygon_moments(polygon) for polygon in polygons]
    area = sum(part[0] for part in parts)
    if area > 0:
        x, y = (sum(part[k] for part in parts) / area for k in (1, 2))
        return (y, x), area
    x, y, width, height = annotation["bbox"]
    return (y + height / 2, x + width / 2), width * height


def _polygon_moments(points):
    """Return the area of a polygon (n, 2), and the area times x and y of its centroid."""
    x, y = points.T
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    cross = x * y_next - x_next * y
    area = cross.sum() / 2
    sign = -1 if area < 0 else 1  # points may be in either orientation
    return sign * area, sign * ((x + x_next) * cross).sum() / 6, sign * ((y + y_next) * cross).sum() / 6


def _decode_runs(segmentation):
    """Return the (height, width) mask of COCO's run lengths, which run down the columns and start with zeros."""
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    counts = _decode_counts(counts) if isinstance(counts, str) else counts
    values = np.arange(len(counts)) % 2
    return np.repeat(values, counts).reshape(width, height).T.astype(bool)


def _decode_counts(text):
    """
    Return the run lengths of one of COCO's compressed strings.

    Each character holds 5 bits. From the fourth run on, the string holds the difference from the run two before.
    """
    counts, value, shift = [], 0, 0
    for character in text:
        code = ord(character) - 48
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    return counts


def _center_of_mask(mask, annotation):
    rows, cols = np.nonzero(mask)
    if len(rows) == 0:
        raise ValueError(
            f"read_coco_targets: the mask of annotation {annotation.get('id')} is empty; correct it or remove the annotation."
        )
    return (rows.mean() + 0.5, cols.mean() + 0.5), float(len(rows))


def _drawn(targets, n_scenes, random):
    """Draw targets without replacement, taking the categories in turn."""
    if n_scenes is None or n_scenes >= len(targets):
        return targets
    by_category = {}
    for k in random.permutation(len(targets)):
        by_category.setdefault(targets[k].category, []).append(targets[k])
    drawn = []
    while len(drawn) < n_scenes:
        drawn += [queue.pop() for queue in by_category.values() if queue]
    return drawn[:n_scenes]
