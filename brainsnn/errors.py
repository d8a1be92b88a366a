"""Errors that name the object, the value and the fix."""

import difflib
from collections.abc import Iterable

__all__ = ["ConversionError", "DeviceLimitError", "UnknownNameError"]


class ConversionError(ValueError):
    """
    A Keras model, or a layer of it, that cannot become a spiking network.

    Parameters
    ----------
    message : str
        What is wrong, with the values.
    layer : object, optional
        Keras layer (anything with a ``name``) at fault; its name and class are put in front of the message.
    fix : str, optional
        What the user can do; put behind the message.

    Attributes
    ----------
    layer_name, layer_class : str or None
        The layer at fault, for programs.
    """

    def __init__(self, message: str, layer: object = None, fix: str | None = None) -> None:
        self.layer_name = getattr(layer, "name", None)
        self.layer_class = None if layer is None else type(layer).__name__
        prefix = "" if layer is None else f"Layer '{self.layer_name}' ({self.layer_class}): "
        super().__init__(prefix + message + ("" if fix is None else f" {fix}"))


class UnknownNameError(KeyError):
    """
    A name that does not exist, with the nearest one that does.

    Parameters
    ----------
    name : str
        What the user asked for.
    known : iterable of str
        What exists.
    kind : str, optional
        What the name should have named, such as ``"population"``.
    note : str, optional
        A sentence to add.
    also : iterable of str, optional
        Further names that would do, such as aliases: not listed, but offered where they are near.

    Notes
    -----
    It is a `KeyError`, so that mappings behave as usual, but it prints as a sentence and not as a quoted key.
    """

    def __init__(
        self,
        name: object,
        known: Iterable[object],
        kind: str = "name",
        note: str | None = None,
        also: Iterable[str] = (),
    ) -> None:
        names = [str(k) for k in known]
        nearest = difflib.get_close_matches(str(name), [*names, *also], n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        note = f" {note}" if note else ""
        self.message = f"There is no {kind} named {name!r}.{hint}{note} Known: {shown or 'none'}."
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class DeviceLimitError(ValueError):
    """A device cannot do what is asked for; the message says what to use instead."""
