"""Keeping in a process what is costly to make."""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

__all__ = ["once"]

P = ParamSpec("P")
R = TypeVar("R")


class once(Generic[P, R]):
    """
    Decorator of a function that makes something costly, such as a network: each process calls it once for equal arguments.

    Parameters
    ----------
    function : callable
    size : int, optional
        How many results are kept.

    Notes
    -----
    The function is called again, too, when it has changed, or anything of the user's that it refers to; see
    `~brainsnn.sweeps.content_key`.

    What is kept is the object itself, as the last call left it: a network has the parameters, attention and weights that were
    set last. Set everything that a unit of a sweep depends on in each unit.

    Examples
    --------
    >>> import brainsnn as bs
    >>> @bs.once
    ... def network(name, m_f):
    ...     return bs.convert(bs.load_model(name), neuron=bs.ASN(m_f=m_f))
    >>> network("digits", m_f=0.1) is network("digits", m_f=0.1)
    True
    """

    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R], size: int = 4) -> None:
        self.size: int = size
        self._kept: OrderedDict[Any, R] = OrderedDict()
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwds: P.kwargs) -> R:
        """Call the function, or return what it returned for these arguments."""
        from brainsnn.sweeps.content import content_key  # which must know this class to look through it

        bound = inspect.signature(self.__wrapped__).bind(*args, **kwds)
        key = content_key(self.__wrapped__, list(bound.arguments.items()))
        if key not in self._kept:
            self._kept[key] = self.__wrapped__(*args, **kwds)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def __reduce__(self):
        return once, (self.__wrapped__, self.size)
