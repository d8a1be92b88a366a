"""A small data set in the format of COCO 2017: photographs, polygons, run lengths, crowds and stuff."""

import json

import numpy as np
from PIL import Image

__all__ = ["CATEGORIES", "instance", "polygon", "run_lengths", "write_coco"]

#: Those of the set "street", and two others, with COCO's numbers.
CATEGORIES = {
    "person": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "bus": 6, "truck": 8, "fire hydrant": 11, "stop sign": 13,
    "traffic light": 10, "dog": 18,
}  # fmt: skip
STUFF = {"road": 149, "sky-other": 157}


def polygon(row, column, height, width):
    """Return the polygon of a rectangle of pixels."""
    bottom, right = row + height, column + width
    return [[column, row, right, row, right, bottom, column, bottom]]


def run_lengths(mask):
    """Return COCO's uncompressed run lengths, which run down the columns and start with zeros."""
    values = np.asarray(mask).T.ravel()
    edges = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff([0, *edges, values.size]).tolist()
    return {"size": list(np.shape(mask)), "counts": [0, *runs] if values[0] else runs}


def instance(number, image, category, segmentation, area, crowd=0):
    """Return an annotation."""
    return {
        "segmentation": segmentation, "area": area, "iscrowd": crowd, "image_id": image, "bbox": [0.0, 0.0, 1.0, 1.0],
        "category_id": CATEGORIES[category], "id": number,
    }  # fmt: skip


def _image(number, height, width):
    return {
        "license": 4, "file_name": f"{number:012d}.jpg", "coco_url": "", "height": height, "width": width,
        "date_captured": "2013-11-14 17:02:52", "flickr_url": "", "id": number,
    }  # fmt: skip


def write_coco(folder, n_train=60, n_val=40, height=40, width=56, roads=0.8, seed=0):
    """
    Write a data set of random rectangles; return its annotations by file.

    A tenth of the objects are crowds with run lengths. Images without a road belong to no street.
    """
    random, number = np.random.default_rng(seed), 0
    categories = [{"supercategory": "thing", "id": k, "name": name} for name, k in CATEGORIES.items()]
    stuffs = [{"supercategory": "stuff", "id": k, "name": name} for name, k in STUFF.items()]
    (folder / "annotations").mkdir(parents=True)
    written, first = {}, 100
    for split, n in (("train2017", n_train), ("val2017", n_val)):
        (folder / split).mkdir()
        images, instances, stuff = [], [], []
        for k in range(first, first + n):
            images.append(_image(k, *((height, width) if k % 3 else (width, height))))
            shape = images[-1]["height"], images[-1]["width"]
            pixels = np.zeros((*shape, 3), dtype=np.uint8)
            for _ in range(random.integers(1, 4)):
                number += 1
                size = random.integers(5, 13, 2)
                row, column = (int(random.integers(0, n - s)) for n, s in zip(shape, size))
                mask = np.zeros(shape, dtype=bool)
                mask[row : row + size[0], column : column + size[1]] = True
                crowd = int(random.random() < 0.1)
                outline = run_lengths(mask) if crowd else polygon(row, column, *map(int, size))
                category = list(CATEGORIES)[random.integers(len(CATEGORIES))]
                instances.append(instance(number, k, category, outline, float(mask.sum()), crowd))
                pixels[mask] = 200
            name = "road" if random.random() < roads else "sky-other"
            stuff.append({"id": 10_000 + k, "image_id": k, "category_id": STUFF[name], "area": 1.0, "iscrowd": 0})
            Image.fromarray(pixels).save(folder / split / images[-1]["file_name"], quality=95)
        first += n
        for kind, annotations, names in (("instances", instances, categories), ("stuff", stuff, stuffs)):
            data = {
                "info": {"year": 2017},
                "licenses": [],
                "images": images,
                "annotations": annotations,
                "categories": names,
            }
            (folder / "annotations" / f"{kind}_{split}.json").write_text(json.dumps(data))
            written[f"{kind}_{split}"] = data
    return written
