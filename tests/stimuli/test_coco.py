"""Tests of COCO annotations, with small files in the format of instances_val2017.json."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from brainsnn.stimuli.coco import _decode_counts, _decode_runs, load_coco_scenes, read_coco_targets

CATEGORIES = [
    {"supercategory": "vehicle", "id": 2, "name": "bicycle"},
    {"supercategory": "vehicle", "id": 3, "name": "car"},
    {"supercategory": "outdoor", "id": 13, "name": "stop sign"},
]


def annotation(number, image, category, segmentation, bbox, crowd=0):
    return {
        "segmentation": segmentation, "area": bbox[2] * bbox[3], "iscrowd": crowd, "image_id": image, "bbox": bbox,
        "category_id": category, "id": number,
    }  # fmt: skip


def square(x, y, side):
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


@pytest.fixture
def folder(tmp_path):
    """Six images of 40x20. Only the first three and the last one have exactly one target."""
    mask = np.zeros((20, 40), dtype=bool)
    mask[4:8, 30:40] = True
    runs = np.diff(np.r_[0, np.flatnonzero(np.diff(mask.T.ravel())) + 1, mask.size]).tolist()
    annotations = [
        annotation(1, 139, 3, square(10.0, 5.0, 10.0), [10.0, 5.0, 10.0, 10.0]),
        annotation(2, 285, 2, [*square(0.0, 0.0, 4.0), *square(10.0, 10.0, 2.0)], [0.0, 0.0, 12.0, 12.0]),
        annotation(3, 632, 13, {"size": [20, 40], "counts": runs}, [30.0, 4.0, 10.0, 4.0]),
        annotation(4, 724, 3, square(1.0, 1.0, 4.0), [1.0, 1.0, 4.0, 4.0]),
        annotation(5, 724, 13, square(9.0, 9.0, 4.0), [9.0, 9.0, 4.0, 4.0]),
        annotation(6, 776, 3, {"size": [20, 40], "counts": [0, 800]}, [0.0, 0.0, 40.0, 20.0], crowd=1),
        annotation(7, 785, 3, [], [20.0, 10.0, 10.0, 6.0]),
        annotation(8, 785, 99, square(0.0, 0.0, 4.0), [0.0, 0.0, 4.0, 4.0]),
    ]
    images = [
        {
            "license": 4, "file_name": f"{number:012d}.jpg", "coco_url": "", "height": 20, "width": 40,
            "date_captured": "2013-11-14 17:02:52", "flickr_url": "", "id": number,
        }
        for number in (785, 139, 285, 632, 724, 776)
    ]  # fmt: skip
    data = {
        "info": {"description": "COCO 2017 Dataset", "version": "1.0", "year": 2017},
        "licenses": [{"url": "", "id": 4, "name": "Attribution License"}],
        "images": images, "annotations": annotations, "categories": CATEGORIES,
    }  # fmt: skip
    (tmp_path / "instances.json").write_text(json.dumps(data))
    for image in images:
        pixels = np.zeros((20, 40, 3), dtype=np.uint8)
        pixels[:, 20:] = 255
        Image.fromarray(pixels).save(tmp_path / image["file_name"], quality=95)
    return tmp_path


NAMES = ("car", "bicycle", "stop sign")


def test_images_with_one_target_and_their_centres(folder):
    targets = read_coco_targets(folder / "instances.json", NAMES)
    assert [(t.image_id, t.category) for t in targets] == [(139, 0), (285, 1), (632, 2), (785, 0)]
    # A square, two squares of area 16 and 4 at 2 and 11, a mask, and an annotation with only a box.
    both = (16 * 2 + 4 * 11) / 20
    centers = [(10 / 20, 15 / 40), (both / 20, both / 40), (6 / 20, 35 / 40), (13 / 20, 25 / 40)]
    assert_allclose([t.center for t in targets], centers)
    assert_allclose([t.area for t in targets], np.array([100, 20, 40, 60]) / 800)
    assert len(read_coco_targets(folder / "instances.json", NAMES, min_area=0.06)) == 2
    assert len(read_coco_targets(folder / "instances.json", ("bicycle",))) == 1


def test_scenes(folder):
    scenes = load_coco_scenes(folder / "instances.json", folder, NAMES, size=32)
    assert scenes.images.shape == (4, 32, 32, 3)
    assert scenes.images[0, 16, 4].max() < 0.1 < 0.9 < scenes.images[0, 16, 28].min()
    assert_array_equal(scenes.targets, [0, 1, 2, 0])
    assert_array_equal(scenes.labels, np.eye(3)[[0, 1, 2, 0]])
    assert np.linalg.norm(scenes.invalid_cues - scenes.cues, axis=1).min() >= 0.5
    some = load_coco_scenes(folder / "instances.json", folder, NAMES, size=8, n_scenes=3)
    assert sorted(some.targets) == [0, 1, 2]  # one of each category


def test_polygons_in_either_direction(folder):
    data = json.loads((folder / "instances.json").read_text())
    points = np.reshape(data["annotations"][0]["segmentation"][0], (-1, 2))[::-1]
    data["annotations"][0]["segmentation"] = [points.ravel().tolist()]
    (folder / "turned.json").write_text(json.dumps(data))
    assert_allclose(read_coco_targets(folder / "turned.json", NAMES)[0].center, (0.5, 15 / 40))


def encode(counts):
    """Compress run lengths like rleToString in COCO's C code."""
    text = ""
    for k, count in enumerate(counts):
        value = count - counts[k - 2] if k > 2 else count
        more = True
        while more:
            code = value & 0x1F
            value >>= 5
            more = value != -1 if code & 0x10 else value != 0
            text += chr((code | 0x20 if more else code) + 48)
    return text


def test_compressed_run_lengths():
    counts = [6, 1, 40, 4, 5, 4, 5, 4, 700, 31]
    assert _decode_counts(encode(counts)) == counts
    mask = _decode_runs({"size": [20, 40], "counts": encode(counts)})
    assert mask.shape == (20, 40)
    assert_array_equal(np.flatnonzero(mask.T.ravel()), np.flatnonzero(np.repeat(np.arange(10) % 2, counts)))


def test_errors(folder):
    with pytest.raises(ValueError, match="no category 'tram'"):
        read_coco_targets(folder / "instances.json", ("tram",))
    (folder / "other.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="needs lists"):
        read_coco_targets(folder / "other.json", NAMES)
    with pytest.raises(ValueError, match="not a JSON file"):
        read_coco_targets(folder / "000000000139.jpg", NAMES)
    (folder / "000000000139.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="139.jpg does not exist"):
        load_coco_scenes(folder / "instances.json", folder, NAMES)
