"""
Select the pictures of the published attention experiments from COCO 2017.

``python -m brainsnn.stimuli.coco FOLDER --out street.json`` reads ``FOLDER/annotations`` (``instances_train2017.json``,
``instances_val2017.json``, ``stuff_train2017.json``, ``stuff_val2017.json``), writes the crops, targets, cues and halves, and
prints their number by category and step. The photographs themselves are read later, from ``FOLDER/train2017`` and
``FOLDER/val2017``.

The published selection also used the targets' salience (DeepGaze II) and the scenes' coherence (Weibull statistics). Values from
these tools go into a table, ``--features FILE``: comma-separated, with columns ``annotation``, ``file_name``, ``salience`` and
``coherence``. Write the file without them first; the same seed gives the same crops.
"""

import argparse
import sys
from pathlib import Path

from brainsnn.stimuli.coco.annotations import read_annotations
from brainsnn.stimuli.coco.scene_file import read_selection, write_selection
from brainsnn.stimuli.coco.selection import MAX_COHERENCE, MIN_SALIENCE, select
from brainsnn.stimuli.coco.sets import SETS

__all__ = ["main", "read_features"]

FILES = ("instances_train2017", "instances_val2017", "stuff_train2017", "stuff_val2017")


def read_features(path):
    """
    Read the table of saliences and coherences.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    features : dict of (int, str) to (float, float)
        (annotation, file name) -> (salience, coherence).

    Raises
    ------
    ValueError
        If a column is missing or a value is not a number.
    """
    import pandas as pd

    columns = ["annotation", "file_name", "salience", "coherence"]
    try:
        table = pd.read_csv(path, dtype={"file_name": str})[columns]
        table = table.astype({"annotation": int, "salience": float, "coherence": float})
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"read_features: {path} must be comma-separated with columns {', '.join(columns)}: {error}."
        ) from error
    return {(a, name): (salience, coherence) for a, name, salience, coherence in table.itertuples(index=False)}


def _options(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m brainsnn.stimuli.coco",
        allow_abbrev=False,
        description="Select the pictures of the attention experiments from COCO.",
    )
    parser.add_argument("folder", type=Path, help="folder of COCO 2017, with annotations/, train2017/ and val2017/")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.json); if it is there, it is kept")
    parser.add_argument("--scenes", choices=SETS, default="street", help="set of scenes (street)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws of crops (0)")
    parser.add_argument("--features", type=Path, help="table of salience and coherence")
    parser.add_argument(
        "--published", action="store_true",
        help="divide the annotations as the published code did: moved photographs lack some of theirs",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.out.suffix != ".json":
        parser.error(f"--out must end in .json, got {str(options.out)!r}.")
    paths = [options.folder / "annotations" / f"{name}.json" for name in FILES]
    paths += [options.features] if options.features else []
    missing = [] if options.out.exists() else [path for path in paths if not path.is_file()]
    if missing:
        parser.error(f"{missing[0]} does not exist. It belongs to COCO 2017 (https://cocodataset.org/#download).")
    return options


def _report(selection, features):
    """Print the number of pictures by category and step."""
    rows = {**selection.steps}
    for half in ("search", "test"):
        counts = [
            sum(p.half == half and p.target == k for p in selection.test) for k in range(len(selection.categories))
        ]
        rows[f"{half} half"] = counts
    rows["training pictures that show it"] = [
        sum(k in picture.labels for picture in selection.training) for k in range(len(selection.categories))
    ]
    width = max(map(len, rows)) + 2
    print(" " * width + " ".join(f"{name:>12}" for name in [*selection.categories, "all"]))
    for step, counts in rows.items():
        print(f"{step:<{width}}" + " ".join(f"{count:>12}" for count in [*counts, sum(counts)]))
    if not features:
        print(
            f"Not applied: coherence <= {MAX_COHERENCE} and salience >= {MIN_SALIENCE} of the published selection, which need "
            "other tools: --features."
        )


def main(arguments=None):
    """
    Select pictures, write the file and print counts.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; that of the process by default.

    Returns
    -------
    selection : `~brainsnn.stimuli.coco.selection.Selection`
    """
    from tqdm import tqdm

    options = _options(arguments)
    if options.out.exists():
        print(f"{options.out} is there and is kept. To select again, remove it or give another --out.")
        selection = read_selection(options.out)
        _report(selection, "salience and coherence" in selection.steps)
        return selection
    features = read_features(options.features) if options.features else None
    files = {name: read_annotations(options.folder / "annotations" / f"{name}.json") for name in FILES}
    selection = select(
        files, SETS[options.scenes], options.seed, features, not options.published,
        lambda images: tqdm(images, unit="photograph", disable=None),
    )  # fmt: skip
    write_selection(selection, options.out)
    print(f"wrote {options.out}: {len(selection.training)} training and {len(selection.test)} test pictures")
    _report(selection, features is not None)
    return selection


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"python -m brainsnn.stimuli.coco: {error}")
