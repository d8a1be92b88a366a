"""The two published sets of scenes: which photographs, and which categories in the order of the network's outputs."""

from dataclasses import dataclass

from brainsnn.one_line import fields_line

__all__ = ["FOOD", "SETS", "STREET", "SceneSet"]


@dataclass(frozen=True)
class SceneSet:
    """
    A set of scenes.

    Attributes
    ----------
    name : str
    stuff : tuple of str
        Photographs with one of these "stuff" annotations belong to the set.
    categories : dict of str to tuple of str
        Names of the outputs, in order, and the COCO categories of each.
    """

    name: str
    stuff: tuple
    categories: dict

    __repr__ = fields_line


def _one_each(*names):
    return {name: (name,) for name in names}


#: The set of the published experiments.
STREET = SceneSet(
    "street", ("road",),
    _one_each("person", "bicycle", "car", "motorcycle", "bus", "truck", "fire hydrant", "stop sign"),
)  # fmt: skip
#: The second set, on which the authors trained a network as well.
FOOD = SceneSet(
    "food", ("table", "cloth", "food-other", "vegetable", "salad", "fruit", "napkin"),
    _one_each("bottle", "wine glass", "cup", "bowl", "sandwich", "carrot", "cake")
    | {"cutlery": ("fork", "knife", "spoon")},
)  # fmt: skip
SETS = {each.name: each for each in (STREET, FOOD)}
