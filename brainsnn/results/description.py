"""How a result came about: the equations of its populations and the settings of the run, as plain values."""

from dataclasses import asdict, dataclass, fields

import numpy as np

from brainsnn.one_line import one_line

__all__ = ["PopulationModel", "description_of", "use_description"]


@dataclass(frozen=True)
class PopulationModel:
    """
    The equations of a population, as they were simulated. Prints like the neuron model.

    Parameters
    ----------
    text : str
        Equations, threshold, reset and parameters, as ``print(model)`` shows them.
    threshold : str or None
        Condition for a spike.
    constants : dict of str to float
        Values of the constants of the equations, in SI units.
    units : dict of str to str
        Unit of each variable, ``"1"`` for numbers without one.
    """

    text: str
    threshold: str | None
    constants: dict[str, float]
    units: dict[str, str]

    def __repr__(self) -> str:
        return one_line(self, f"{self.text.splitlines()[0] if self.text else ''}, spikes when {self.threshold}")

    def __str__(self) -> str:
        return self.text


def description_of(result):
    """
    Return models, settings and labels of a result as plain values, which a JSON file can hold.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    description : dict
        Texts, numbers, lists and dicts.
    """
    labels = None if result.labels is None else np.asarray(result.labels).tolist()
    models = {name: asdict(model) for name, model in result.models.items()}
    return {"settings": result.settings, "models": models, "labels": labels}


def use_description(result, about, n_images, refuse):
    """
    Give a result models, settings and labels.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    about : dict
        From `description_of`.
    n_images : int
    refuse : callable
        As `~brainsnn.results.checks.refusal` returns.
    """
    if not isinstance(about, dict) or set(about) != {"settings", "models", "labels"}:
        refuse("the description", f"is {about!r:.100}, not a dict of settings, models and labels")
    settings, models, labels = about["settings"], about["models"], about["labels"]
    for what, values in (("settings", settings), ("models", models)):
        if not isinstance(values, dict):
            refuse(f"the entry {what!r} of the description", f"is {values!r:.100}, not a dict")
    for name, model in models.items():
        if not _is_model(model):
            refuse(f"the model of {name!r} in the description", f"is {model!r:.100}")
    if labels is not None and not (isinstance(labels, list) and all(_is_label(label) for label in labels)):
        refuse("the entry 'labels' of the description", f"is {labels!r:.100}, not a list of whole numbers")
    if labels is not None and len(labels) != n_images:
        refuse("the entry 'labels' of the description", f"has {len(labels)} labels for {n_images} images")
    result.settings = settings
    result.models.update({name: PopulationModel(**model) for name, model in models.items()})
    result.labels = None if labels is None else np.array(labels, dtype=int)


def _is_label(label):
    return type(label) is int and -(2**63) <= label < 2**63


def _is_model(model):
    if not isinstance(model, dict) or set(model) != {field.name for field in fields(PopulationModel)}:
        return False
    constants, units = model["constants"], model["units"]
    return (
        isinstance(model["text"], str)
        and isinstance(model["threshold"], str | None)
        and isinstance(constants, dict)
        and all(type(value) in (int, float, bool) for value in constants.values())
        and isinstance(units, dict)
        and all(isinstance(unit, str) for unit in units.values())
    )
