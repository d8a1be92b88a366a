"""Names of layers: find what a result holds by any name of a layer, and valid names for files."""

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from brainsnn.errors import UnknownNameError
from brainsnn.one_line import dict_line

__all__ = ["LayerDict", "NameDict", "file_name", "free_name"]


#: Names that Windows keeps for devices, also before a dot.
_DEVICES = {"aux", "con", "nul", "prn", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))}


def file_name(*parts):
    """Return a valid file name that is unique for these names of layers and variables, but for capitals."""
    name = _plain_name(*parts)
    return f"%{ord(name[0]):02X}{name[1:]}" if parts[0].lower() in _DEVICES else name


def _plain_name(*parts):
    name = ".".join(quote(part, safe=" ").replace(".", "%2E") for part in parts)
    # A file system allows 255 bytes, with what is appended.
    return name if len(name) <= 200 else f"{name[:120]}.{hashlib.sha256(name.encode()).hexdigest()}"


def free_name(name, taken):
    """
    Return a name for a group or a variable of a file that nothing has yet, and enter it.

    Parameters
    ----------
    name : str
        A layer or a variable.
    taken : set of str

    Returns
    -------
    free : str
        The name itself where it is a plain one, without slashes and dots, and free.

    Examples
    --------
    >>> taken = {"output"}
    >>> free_name("conv2", taken), free_name("output", taken), free_name("block/conv", taken)
    ('conv2', 'output_', 'block%2Fconv')
    """
    free = _plain_name(name) or "_"
    free = f"%5F{free[1:]}" if free.startswith("__") else free  # zarr keeps such names for itself
    while free in taken:
        free += "_"
    taken.add(free)
    return free


class NameDict(dict[str, Any]):
    """
    A dict whose error for an unknown name suggests a known one.

    Parameters
    ----------
    values : Mapping
    kind : str
        What the names stand for, for the message of the error.
    """

    def __init__(self, values: Mapping[str, Any], kind: str) -> None:
        super().__init__(values)
        self.kind = kind

    __repr__ = dict_line

    def __missing__(self, name: object) -> Any:
        raise UnknownNameError(name, self, self.kind)


class LayerDict(dict[str, Any]):
    """
    A dict by population that also accepts the names of layers that were folded into a population.

    Parameters
    ----------
    aliases : dict of str to str
        Population of each layer that was folded into one.
    kind : str, optional
        What the dict holds, for the message of an error.
    fix : str, optional
        How to have more of it, for a population that exists; ``{layer!r}`` stands for its name.
    populations : iterable of str, optional
        All populations of the network; those that the dict holds and those of ``aliases`` by default.
    values : dict, optional
        What the dict holds at first.
    """

    def __init__(
        self,
        aliases: Mapping[str, str],
        kind: str = "population",
        fix: str = "",
        populations: Iterable[object] = (),
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.aliases, self.kind, self.fix, self.populations = aliases, kind, fix, populations
        for layer, value in values.items():
            self[layer] = value

    __repr__ = dict_line

    def __setitem__(self, layer: str, values: Any) -> None:
        if type(values) is dict:  # of the variables of one population
            values = NameDict(values, f"recorded variable of {layer!r}")
        super().__setitem__(layer, values)

    def setdefault(self, layer: str, default: Any = None) -> Any:
        """Return a value, after entering the default if there is none, like `dict.setdefault`."""
        if layer not in self:
            self[layer] = default
        return self[layer]

    def __contains__(self, layer: object) -> bool:
        return super().__contains__(layer) or super().__contains__(self.aliases.get(str(layer)))

    def __missing__(self, layer: object) -> Any:
        return super().__getitem__(self.name_of(layer))

    def get(self, layer: str, default: Any = None) -> Any:
        """Return a value like `dict.get`, also for an alias."""
        return self[layer] if layer in self else default

    def name_of(self, layer: object) -> str:
        """
        Return the name under which the values of a layer are held.

        Parameters
        ----------
        layer : str
            Name of the population, or of a layer that was folded into it.

        Returns
        -------
        name : str

        Raises
        ------
        UnknownNameError
            If there is no such layer, or nothing is held of it.
        """
        for name in (str(layer), self.aliases.get(str(layer))):
            if name is not None and super().__contains__(name):
                return name
        population = self.aliases.get(str(layer), str(layer))  # also of a list or an array, which cannot be looked up
        note = None
        if population in tuple(self.populations) or str(layer) in self.aliases:
            note = "" if population == str(layer) else f"The layer is part of {population!r}. "
            note = (note + self.fix.format(layer=layer)).strip()
        also = [alias for alias, name in self.aliases.items() if super(LayerDict, self).__contains__(name)]
        raise UnknownNameError(layer, self, self.kind, note, also)
