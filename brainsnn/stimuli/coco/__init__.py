"""Cued search scenes from COCO 2017, as in Soerensen et al. (2022): ``python -m brainsnn.stimuli.coco FOLDER --out FILE``."""

from brainsnn.stimuli.coco.cues import center_of_mass, halves, invalid_cues
from brainsnn.stimuli.coco.scene_file import (
    load_coco_scenes,
    load_coco_training,
    read_photograph,
    read_selection,
    write_selection,
)
from brainsnn.stimuli.coco.selection import Selection, TestPicture, TrainingPicture, select
from brainsnn.stimuli.coco.sets import FOOD, STREET

__all__ = [
    "FOOD", "STREET", "Selection", "TestPicture", "TrainingPicture", "center_of_mass", "halves", "invalid_cues",
    "load_coco_scenes", "load_coco_training", "read_photograph", "read_selection", "select", "write_selection",
]  # fmt: skip
