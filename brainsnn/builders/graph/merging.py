"""Add up projections between the same populations."""

from dataclasses import replace

from brainsnn.builders.operators.composition import add_operators

__all__ = ["merge_projections"]


def merge_projections(projections):
    """
    Add up operators between the same populations where one operator can represent both.

    Parameters
    ----------
    projections : list of Projection
        Onto one target.

    Returns
    -------
    list of Projection
    """
    merged = []
    places = {}
    for projection in projections:
        same = places.setdefault((projection.source, projection.mode), [])
        for k in same if projection.mode != "membrane" else ():
            total = add_operators(merged[k].operator, projection.operator)
            if total is not None:
                merged[k] = replace(merged[k], operator=total)
                break
        else:
            same.append(len(merged))
            merged.append(projection)
    return merged
