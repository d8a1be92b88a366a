"""How a result came about: the equations of its populations and the settings of the run, as plain values."""

from dataclasses import asdict, dataclass

import numpy as np

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


def use_description(result, about):
    """
    Give a result models, settings and labels.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    about : dict
        From `description_of`.
    """
    result.settings = about["settings"]
    result.models.update({name: PopulationModel(**model) for name, model in about["models"].items()})
    result.labels = None if about["labels"] is None else np.array(about["labels"], dtype=int)
