"""Pictures from COCO: windows, criteria and files, on small data sets in its format."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from coco_files import CATEGORIES, instance, polygon, run_lengths, write_coco
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

pytest.importorskip("pycocotools")

from brainsnn.stimuli.coco import (
    FOOD,
    STREET,
    load_coco_scenes,
    load_coco_training,
    read_photograph,
    read_selection,
    select,
    write_selection,
)
from brainsnn.stimuli.coco.__main__ import main, read_features
from brainsnn.stimuli.coco.annotations import mask_of, pools, read_annotations
from brainsnn.stimuli.coco.windows import areas_in_windows, multi_window, single_window

masks = st.tuples(st.integers(2, 9), st.integers(2, 14)).flatmap(lambda shape: arrays(bool, shape))


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    return folder, write_coco(folder)


@pytest.fixture(scope="module")
def street(coco):
    return select(coco[1], STREET)


def windows_by_hand(mask):
    """Return all windows of a mask, one array each."""
    height, width = mask.shape
    side, n = min(height, width), max(abs(height - width), 1)
    return [mask[d : d + side] if height > width else mask[:, d : d + side] for d in range(n)]


# --- masks and windows ------------------------------------------------------------------------------------------------


@given(masks)
def test_areas_equal_brute_force(mask):
    assert areas_in_windows(mask).tolist() == [int(window.sum()) for window in windows_by_hand(mask)]


def valid_by_hand(masks_, min_area):
    """Return (window, target) of all windows that meet the criteria of a test picture."""
    found, side = [], min(masks_[0].shape)
    for d, windows in enumerate(zip(*map(windows_by_hand, masks_))):
        large = [k for k, window in enumerate(windows) if window.sum() >= min_area * side**2]
        if len(large) != 1:
            continue
        (k,) = large
        kept = windows[k].sum() >= 0.8 * masks_[k].sum() or masks_[k].shape[0] == masks_[k].shape[1]
        radius = np.ceil(0.05 * side) / 2
        distances = [np.hypot(r + 0.5 - side / 2, c + 0.5 - side / 2) for r, c in np.argwhere(windows[k])]
        if kept and min(distances) > radius:
            found.append((d, k))
    return found


@settings(max_examples=200)
@given(st.tuples(st.integers(2, 30), st.integers(2, 44), st.integers(1, 3)), st.integers(0, 2**32 - 1))
def test_test_windows_equal_brute_force(shape, seed):
    random = np.random.default_rng(seed)
    height, width, n = shape
    objects = []
    for _ in range(n):
        mask = np.zeros((height, width), dtype=bool)
        row, column = random.integers(height), random.integers(width)
        mask[row : row + random.integers(1, 9), column : column + random.integers(1, 9)] = True
        objects.append(mask)
    valid = valid_by_hand(objects, 0.05)
    drawn = {single_window(objects, np.random.default_rng(k), 0.05) for k in range(30)}
    assert drawn <= set(valid) if valid else drawn == {(None, None)}
    if len(valid) <= 2:
        assert drawn == set(valid) or not valid  # every one is drawn sooner or later


@given(st.lists(st.integers(0, 10), min_size=1, max_size=4), st.integers(0, 2**16))
def test_training_windows_hold_most_objects(places, seed):
    objects = []
    for place in places:
        mask = np.zeros((4, 12), dtype=bool)
        mask[1:3, place : place + 2] = True
        objects.append(mask)
    offset, inside = multi_window(objects, np.random.default_rng(seed), 0.2)
    visible = [[k for k, mask in enumerate(objects) if mask[:, d : d + 4].sum() >= 3.2] for d in range(8)]
    if not any(visible):
        assert (offset, inside) == (None, [])
    else:
        assert inside == visible[offset] and len(inside) == max(map(len, visible))


def test_masks_from_polygons_and_runs():
    expected = np.zeros((9, 12), dtype=bool)
    expected[2:5, 3:10] = True
    compressed = {"size": [9, 12], "counts": _compress(run_lengths(expected)["counts"])}
    for segmentation in (polygon(2, 3, 3, 7), run_lengths(expected), compressed):
        assert_array_equal(mask_of({"id": 1, "segmentation": segmentation}, 9, 12), expected)
    two = [*polygon(2, 3, 3, 7), *polygon(7, 0, 2, 1)]
    expected[7:9, 0] = True
    assert_array_equal(mask_of({"id": 1, "segmentation": two}, 9, 12), expected)
    for wrong in ([], None, run_lengths(expected.T)):
        with pytest.raises(ValueError, match="annotation 7 has no mask of 9 x 12 pixels"):
            mask_of({"id": 7, "segmentation": wrong}, 9, 12)


def _compress(counts):
    """Compress run lengths like rleToString in COCO's C code."""
    text = ""
    for k, count in enumerate(counts):
        value, more = count - counts[k - 2] if k > 2 else count, True
        while more:
            code = value & 0x1F
            value >>= 5
            more = value != -1 if code & 0x10 else value != 0
            text += chr((code | 0x20 if more else code) + 48)
    return text


# --- pools ------------------------------------------------------------------------------------------------------------


def test_a_fifth_of_the_photographs_moves(coco):
    files = coco[1]
    train, test = pools(files["instances_train2017"], files["instances_val2017"])
    assert (len(train), len(test)) == (48, 52)
    order = np.arange(60)
    np.random.RandomState(5).shuffle(order)  # as published: numpy seeded with 5, then a shuffle of the positions
    moved = {files["instances_train2017"]["images"][k]["id"] for k in order[:12]}
    assert {image["id"] for image in test.images if image["folder"] == "train2017"} == moved
    assert not moved & set(train.annotations)
    everything = [*files["instances_train2017"]["annotations"], *files["instances_val2017"]["annotations"]]
    assert sum(map(len, [*train.annotations.values(), *test.annotations.values()])) == len(everything)


def test_the_published_division_loses_annotations(coco):
    """Deleting from a list while walking through it leaves every second one of neighbours there."""
    files = coco[1]
    train, test = pools(files["instances_train2017"], files["instances_val2017"], clean=False)
    moved = {image["id"] for image in test.images if image["folder"] == "train2017"}
    remaining, found = list(files["instances_train2017"]["annotations"]), []
    for annotation in remaining:
        if annotation["image_id"] in moved:
            found.append(annotation["id"])
            remaining.remove(annotation)
    ours = [a["id"] for image in moved for a in test.annotations[image]]
    assert sorted(ours) == sorted(found)
    clean = pools(files["instances_train2017"], files["instances_val2017"])[1]
    assert len(found) < sum(len(clean.annotations[image]) for image in moved)


# --- selection --------------------------------------------------------------------------------------------------------


def test_test_pictures_meet_the_criteria(coco, street):
    files = coco[1]
    by_id = {a["id"]: a for f in ("train2017", "val2017") for a in files[f"instances_{f}"]["annotations"]}
    images = {i["file_name"]: i for f in ("train2017", "val2017") for i in files[f"instances_{f}"]["images"]}
    roads = {
        a["image_id"]
        for f in ("train2017", "val2017")
        for a in files[f"stuff_{f}"]["annotations"]
        if a["category_id"] == 149
    }
    assert len(street.test) > 20
    assert any(by_id[picture.annotation]["iscrowd"] for picture in street.test)  # crowds are allowed
    for picture in street.test:
        annotation, image = by_id[picture.annotation], images[picture.file_name]
        assert image["id"] in roads and annotation["image_id"] == image["id"]
        assert CATEGORIES[street.categories[picture.target]] == annotation["category_id"]
        mask = mask_of(annotation, image["height"], image["width"])
        crop = mask[picture.row : picture.row + picture.side, picture.column : picture.column + picture.side]
        assert crop.shape == (picture.side, picture.side) == (40, 40)
        assert crop.sum() >= 0.8 * mask.sum() and picture.area == crop.mean() >= 0.005
        assert not crop[19:21, 19:21].any()  # a disc of 2 pixels
        rows, columns = np.nonzero(crop)
        assert_allclose(picture.cue, (rows.mean() / 40, columns.mean() / 40))
    keys = [(picture.annotation, picture.file_name) for picture in street.test]
    assert len(set(keys)) == len(keys)
    both = [(picture.file_name, picture.target) for picture in street.test]
    assert len(set(both)) == len(both) and len({name for name, _ in both}) < len(both)  # once per image and category
    assert street.steps["one target of the category in the window"] == [
        sum(picture.target == k for picture in street.test) for k in range(8)
    ]


def test_training_and_test_photographs_differ(street):
    assert not {p.file_name for p in street.training} & {p.file_name for p in street.test}
    assert {p.folder for p in street.training} == {"train2017"}
    assert {p.folder for p in street.test} == {"train2017", "val2017"}
    assert all(picture.labels for picture in street.training)


def test_the_seed_gives_the_crops(coco, street):
    assert select(coco[1], STREET, seed=0) == street
    other = select(coco[1], STREET, seed=1)
    assert [p.column for p in other.test] != [p.column for p in street.test]


def test_salience_and_coherence(coco, street):
    keys = [(picture.annotation, picture.file_name) for picture in street.test]
    features = {key: (0.05, 1.0) for key in keys}
    features[keys[0]], features[keys[1]] = (0.0399, 1.0), (0.05, 1.201)
    features[keys[2]], features[keys[3]] = (0.04, 1.2), (np.nan, 1.0)
    del features[keys[4]]
    chosen = select(coco[1], STREET, features=features)
    left = [(picture.annotation, picture.file_name) for picture in chosen.test]
    assert left == [key for k, key in enumerate(keys) if k not in (0, 1, 3, 4)]
    assert (chosen.test[0].salience, chosen.test[0].coherence) == (0.04, 1.2)
    assert sum(chosen.steps["salience and coherence"]) == len(left)


def test_food_has_one_class_for_cutlery():
    assert len(FOOD.categories) == len(STREET.categories) == 8
    assert list(FOOD.categories)[-1] == "cutlery" and FOOD.categories["cutlery"] == ("fork", "knife", "spoon")


def test_smaller_and_other_objects_may_be_visible():
    big, small = np.zeros((40, 40), dtype=bool), np.zeros((40, 40), dtype=bool)
    big[2:12, 2:12], small[30:32, 30:32] = True, True  # 4 pixels are less than 0.5 %
    assert single_window([big, small], np.random.default_rng(0)) == (0, 0)
    assert single_window([big, big.T[::-1]], np.random.default_rng(0)) == (None, None)


# --- the command and its file -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(coco, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "street.json"
    main([str(coco[0]), "--out", str(path)])
    return path


def test_the_command_prints_counts_and_keeps_its_file(coco, street, file, capsys):
    assert read_selection(file) == street
    before = file.read_bytes()
    main([str(coco[0]), "--out", str(file), "--seed", "7"])
    printed = capsys.readouterr().out
    assert "is kept" in printed and "Not applied: coherence <= 1.2" in printed
    counts = street.steps["one target of the category in the window"]
    row = next(line for line in printed.splitlines() if line.startswith("one target"))
    assert [int(word) for word in row.split()[-9:]] == [*counts, sum(counts)]
    assert file.read_bytes() == before


def test_the_command_reads_features(coco, street, tmp_path, capsys):
    table = "annotation,file_name,salience,coherence\n" + "\n".join(
        f"{p.annotation},{p.file_name},{0.05 if k else 0.01},1.1" for k, p in enumerate(street.test)
    )
    (tmp_path / "features.csv").write_text(table)
    chosen = main([str(coco[0]), "--out", str(tmp_path / "s.json"), "--features", str(tmp_path / "features.csv")])
    assert len(chosen.test) == len(street.test) - 1
    assert "Not applied" not in capsys.readouterr().out
    (tmp_path / "wrong.csv").write_text("annotation,salience\n1,2\n")
    with pytest.raises(ValueError, match="read_features: .* columns annotation, file_name, salience, coherence"):
        read_features(tmp_path / "wrong.csv")


@pytest.mark.parametrize("arguments, message", [
    (["nowhere", "--out", "a.json"], "instances_train2017.json does not exist"),
    (["nowhere", "--out", "a.csv"], "must end in .json"),
])  # fmt: skip
def test_the_command_refuses_wrong_files_before_it_reads(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("half", ["search", "test", None])
def test_scenes(coco, street, file, half):
    scenes = load_coco_scenes(file, coco[0], half, size=20)
    pictures = [picture for picture in street.test if half in (None, picture.half)]
    assert scenes.images.shape == (len(pictures), 20, 20, 3)
    assert_array_equal(scenes.targets, [picture.target for picture in pictures])
    assert_array_equal(scenes.labels, np.eye(8)[scenes.targets])
    assert_array_equal(scenes.cues, [picture.cue for picture in pictures])
    assert_array_equal(scenes.invalid_cues, [picture.invalid_cue for picture in pictures])
    assert_array_equal(scenes.photographs, [f"{picture.folder}/{picture.file_name}" for picture in pictures])
    assert all((coco[0] / name).exists() for name in scenes.photographs)
    rows, columns = (scenes.cues * 20).astype(int).T
    assert scenes.images[np.arange(len(pictures)), rows, columns].mean() > 0.6  # objects are light


def test_some_scenes_are_drawn_from_all_of_the_file(coco, street, file):
    """Of each target in proportion to its number: not the first ones, which come from one folder."""
    targets = np.array([picture.target for picture in street.test])
    order = [picture.cue for picture in street.test]
    drawn = [load_coco_scenes(file, coco[0], size=4, n_scenes=24, seed=seed) for seed in (0, 0, 1)]
    counts, known = np.bincount(drawn[0].targets, minlength=8), np.bincount(targets, minlength=8)
    assert len(drawn[0]) == 24 and (counts >= 1).all()
    assert (abs(counts - 24 * known / len(targets)) <= 1).all()
    places = [order.index(tuple(cue) if isinstance(order[0], tuple) else list(cue)) for cue in drawn[0].cues.tolist()]
    assert places == sorted(places) and places != list(range(24))
    assert_array_equal(drawn[0].cues, drawn[1].cues)
    assert not np.array_equal(drawn[0].cues, drawn[2].cues)
    assert len(load_coco_scenes(file, coco[0], size=4, n_scenes=len(targets))) == len(targets)
    with pytest.raises(ValueError, match="n_scenes=999, but .* in half 'test'. Use at most these"):
        load_coco_scenes(file, coco[0], "test", 4, 999)


def test_a_file_without_such_pictures_is_refused(coco, street, tmp_path):
    path = tmp_path / "one_half.json"
    write_selection(replace(street, training=[], test=[p for p in street.test if p.half == "search"]), path)
    with pytest.raises(ValueError, match="load_coco_scenes: .* has no picture in half 'test'. Give another half"):
        load_coco_scenes(path, coco[0], "test", 4)
    with pytest.raises(ValueError, match="load_coco_training: .* has no training picture. Give another file"):
        load_coco_training(path, coco[0], size=4)


def test_training_pictures(coco, street, file):
    images, labels = load_coco_training(file, coco[0], size=20)
    assert images.shape == (len(street.training), 20, 20, 3)
    assert [np.flatnonzero(row).tolist() for row in labels] == [picture.labels for picture in street.training]
    some, their_labels = load_coco_training(file, coco[0], 5, 20, seed=1)
    k = np.random.default_rng(1).permutation(len(images))[:5]
    assert_array_equal(some, images[k])
    assert_array_equal(their_labels, labels[k])
    for load in (load_coco_scenes, load_coco_training):
        with pytest.raises(ValueError, match=f"{load.__name__}: seed=-1 must be a whole number"):
            load(file, coco[0], seed=-1)
    with pytest.raises(ValueError, match="n_pictures=999, but .* Use at most these"):
        load_coco_training(file, coco[0], 999)


def test_pixels_are_those_of_the_crop(coco, street):
    picture = street.test[0]
    with Image.open(coco[0] / picture.folder / picture.file_name) as opened:
        whole = np.asarray(opened, dtype=np.float32) / 255
    crop = whole[picture.row : picture.row + 40, picture.column : picture.column + 40]
    assert_allclose(read_photograph(coco[0], picture, 40), crop)
    assert_allclose(read_photograph(str(coco[0]), picture, 40), crop)
    assert_allclose(read_photograph(coco[0], picture, 20), crop[1::2, 1::2])  # nearest: no pixel is averaged
    with pytest.raises(ValueError, match="interpolation must be"):
        read_photograph(coco[0], picture, 20, "cubic")


def test_files_that_do_not_belong_together_are_refused(coco, street, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; the folder must be that of COCO"):
        read_photograph(tmp_path, street.test[0], 10)
    (tmp_path / street.test[0].folder).mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / street.test[0].folder / street.test[0].file_name)
    with pytest.raises(ValueError, match="has 9 x 9 pixels, less than its crop"):
        read_photograph(tmp_path, street.test[0], 10)
    for text in ("[1, 2]", "{}", json.dumps({"format": "other"}), "x"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(ValueError, match="is not a file of 'brainsnn coco scenes 1'"):
            read_selection(tmp_path / "other.json")
    (tmp_path / "other.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="needs lists"):
        read_annotations(tmp_path / "other.json")
    (tmp_path / "other.json").write_text("x")
    with pytest.raises(ValueError, match="is not a JSON file"):
        read_annotations(tmp_path / "other.json")
    with pytest.raises(ValueError, match="half must be"):
        load_coco_scenes("a.json", tmp_path, "first")


def test_a_missing_category_and_an_empty_set_are_refused(coco):
    files = coco[1]
    with pytest.raises(ValueError, match="instances_train2017 has no category 'bottle'"):
        select(files, FOOD)
    empty = {name: {**data, "annotations": []} for name, data in files.items()}
    with pytest.raises(ValueError, match="no photograph meets the criteria"):
        select(empty, STREET)


def test_annotations_may_have_no_mask_where_they_do_not_count(coco, street):
    """Those of other categories and small ones are never rasterised."""
    files = json.loads(json.dumps(coco[1]))
    extra = [instance(9001, 101, "dog", [], 900.0), instance(9002, 101, "car", [], 1.0)]
    files["instances_train2017"]["annotations"] += extra
    assert [asdict(p) for p in select(files, STREET).test] == [asdict(p) for p in street.test]
