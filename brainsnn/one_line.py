"""One line for `repr`: what an object is and how big, with arrays by their shape and long parts cut."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import PurePath
from typing import Any

__all__ = ["brief", "dict_line", "fields_line", "one_line", "shortened"]

#: Most characters of a line, and of a part of it.
LINE, PART = 180, 60
#: Most items of a collection that are shown.
ITEMS = 4


def _cut(text, length):
    """Return a text on one line, cut to a length."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


def brief(value: Any, length: int = PART) -> str:
    """
    Return a value as a short text: arrays by shape and type, collections by their first items, functions by name.

    Parameters
    ----------
    value : object
    length : int, optional
        Most characters.

    Returns
    -------
    text : str

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.one_line import brief
    >>> brief({"conv": np.zeros((20, 300), np.float32), "rates": list(range(9))}, 80)
    "{'conv': (20, 300) float32, 'rates': [0, 1, 2, 3, ... 5 more]}"
    """
    if getattr(value, "ndim", 0) and hasattr(value, "dtype"):
        size, text = getattr(value, "size", ITEMS + 1), f"{tuple(value.shape)} {value.dtype}"
        return text if size > ITEMS else _cut(repr(value.tolist()) if hasattr(value, "tolist") else text, length)
    if isinstance(value, Mapping):
        return _cut(_items((f"{brief(k)}: {brief(v)}" for k, v in value.items()), len(value), "{}"), length)
    if type(value) in (list, tuple):
        return _cut(_items(map(brief, value), len(value), "[]" if isinstance(value, list) else "()"), length)
    if isinstance(value, PurePath):
        return repr(str(value)) if len(str(value)) < length else repr(f"...{str(value)[6 - length :]}")
    if callable(value) and hasattr(value, "__qualname__"):
        return _cut(f"function {value.__qualname__}", length)
    return _cut(re.sub(r" (object )?at 0x[0-9a-f]+", "", repr(value)), length)


def _items(texts, n, brackets):
    """Return the first of n texts within brackets."""
    shown = [text for text, _ in zip(texts, range(ITEMS))]
    shown += [f"... {n - ITEMS} more"] if n > ITEMS else []
    comma = "," if brackets == "()" and n == 1 else ""
    return f"{brackets[0]}{', '.join(shown)}{comma}{brackets[1]}"


def shortened(line: str) -> str:
    """
    Return a line such as ``<Class: text>`` cut to the length of a line, with its last character.

    Parameters
    ----------
    line : str

    Returns
    -------
    line : str
    """
    return _cut(line, LINE) if len(line) <= LINE else _cut(line, LINE - 1) + line[-1]


def one_line(owner: object, text: str) -> str:
    """
    Return ``<Class: text>``, cut to one line.

    Parameters
    ----------
    owner : object
    text : str

    Returns
    -------
    line : str
    """
    return shortened(f"<{' '.join(f'{type(owner).__name__}: {text}'.split())}>")


def fields_line(self: Any) -> str:
    """
    Return the fields of a dataclass that differ from their defaults, as one line: its ``__repr__``.

    Returns
    -------
    line : str

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from brainsnn.one_line import fields_line
    >>> @dataclass
    ... class Cue:
    ...     name: str
    ...     width: float = 0.1
    ...     __repr__ = fields_line
    >>> Cue("left"), Cue("right", 0.2)
    (Cue(name='left'), Cue(name='right', width=0.2))
    """
    shown = []
    for each in fields(self):
        value = getattr(self, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if each.repr and (default is MISSING or brief(value) != brief(default)):
            shown.append(f"{each.name}={brief(value)}")
    return shortened(f"{type(self).__name__}({', '.join(shown)})")


def dict_line(self: Any) -> str:
    """
    Return what a dict holds as one line: its ``__repr__``.

    Returns
    -------
    line : str
    """
    return shortened(f"{type(self).__name__}({brief(dict(self), LINE)})")
