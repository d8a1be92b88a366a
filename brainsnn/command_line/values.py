"""What users type on the command line as values: times with units, neuron models, what to record."""

import math
import re
from collections.abc import Callable, Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from brian2 import Quantity

    from brainsnn import NeuronModel

__all__ = ["neuron_model", "one_of", "recordings", "time_value"]

NEURONS = ("ASN", "IF", "LIF")
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Zµμ]+)")


def time_value(text: str | None, option: str, *, is_duration: bool = False) -> "Quantity | None":
    """
    Return a time with its unit.

    Parameters
    ----------
    text : str or None
        Such as ``"300 ms"``, ``"300ms"`` or ``"0.3 s"``; None stays None.
    option : str
        Name of the option, for the message.
    is_duration : bool, optional
        Whether it must be longer than 0.

    Returns
    -------
    time : `~brian2.units.fundamentalunits.Quantity` or None

    Raises
    ------
    typer.BadParameter
        If the text is not a number with a unit of time, or if the time is negative, infinite, or 0 for a duration.
    """
    if text is None:
        return None
    from brian2 import have_same_dimensions, second

    value = _quantity(text)
    if value is None or not have_same_dimensions(value, second):
        raise typer.BadParameter(f"{text!r} must be a number with a unit of time, such as '300 ms'.", param_hint=option)
    if not math.isfinite(float(value)) or float(value) < 0 or (is_duration and float(value) == 0):
        allowed = "longer than 0" if is_duration else "0 or longer"
        raise typer.BadParameter(f"{text!r} must be {allowed}, and finite.", param_hint=option)
    return value


def _quantity(text: str) -> Any:
    """Return a number with a unit, or None."""
    from brian2.units import Unit, allunits, stdunits

    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    number, name = match.groups()
    name = {"s": "second", "V": "volt", "A": "amp"}.get(name, re.sub("^[µμ]", "u", name))
    unit = getattr(stdunits, name, None) or getattr(allunits, name, None)
    return float(number) * unit if isinstance(unit, Unit) else None


def _value(text: str) -> Any:
    """Return a whole number, a number, a truth value, a number with a unit, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    value = _quantity(text)
    return text if value is None else value


def neuron_model(text: str | None) -> "NeuronModel | None":
    """
    Return the neuron model that a text describes.

    Parameters
    ----------
    text : str or None
        A name, and after a colon its arguments, such as ``"ASN:m_f=0.1,tau_gamma=5ms"``; None stays None.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel` or None

    Raises
    ------
    typer.BadParameter
        If the name or an argument is unknown or given twice, or a value is refused.
    """
    if text is None:
        return None
    import brainsnn as bs

    name, _, rest = text.partition(":")
    known = {neuron.lower(): neuron for neuron in NEURONS}
    if name.strip().lower() not in known:
        raise _bad_neuron(text, f"there are {', '.join(NEURONS)}, and a model of your own needs Python.")
    make = getattr(bs, known[name.strip().lower()])
    arguments = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals or key.strip() not in signature(make).parameters:
            raise _bad_neuron(
                text, f"{part!r} must be NAME=VALUE with a name of {', '.join(signature(make).parameters)}."
            )
        if key.strip() in arguments:
            raise _bad_neuron(text, f"{key.strip()!r} is given twice.")
        arguments[key.strip()] = _value(value.strip())
    try:
        return make(**arguments)
    except (ValueError, TypeError) as error:
        raise _bad_neuron(text, str(error)) from None


def one_of(names: Callable[[], Iterable[str]]) -> Callable[[str], str]:
    """
    Return a function that refuses a value of an option unless it is one of those known.

    Parameters
    ----------
    names : callable
        Returns the known values; called when a command runs.

    Returns
    -------
    check : callable
        For ``typer.Option(callback=...)``.
    """

    def check(value: str) -> str:
        """Return the value, or raise the error of a wrong option."""
        if value not in (known := list(names())):
            raise typer.BadParameter(f"{value!r} must be one of {', '.join(known)}.")
        return value

    return check


def _bad_neuron(text: str, reason: str) -> typer.BadParameter:
    return typer.BadParameter(f"{text!r}: {reason}", param_hint="--neuron")


def recordings(texts: list[str]) -> dict[str, list[str]]:
    """
    Return what to record.

    Parameters
    ----------
    texts : list of str
        Such as ``["conv2:spikes,S", "dense1:spikes"]``; a layer without variables records its spikes.

    Returns
    -------
    record : dict of str to list of str
        The argument of `brainsnn.convert`.

    Raises
    ------
    typer.BadParameter
        If a text names no layer, or a layer comes twice.
    """
    record: dict[str, list[str]] = {}
    for text in texts:
        layer, _, variables = text.partition(":")
        layer = layer.strip()
        if not layer or layer in record:
            reason = "names no layer" if not layer else f"names {layer!r} again; give all its variables at once"
            raise typer.BadParameter(f"{text!r} {reason}, as in 'conv2:spikes,S'.", param_hint="--record")
        record[layer] = [name.strip() for name in variables.split(",") if name.strip()] or ["spikes"]
    return record
