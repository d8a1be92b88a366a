"""Keep what is costly to make, such as a network, for later calls in the same process."""

import functools
import inspect
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from brainsnn.one_line import brief, one_line
from brainsnn.plain_arrays import whole_number
from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.sources import SourceError

__all__ = ["once"]

P = ParamSpec("P")
R = TypeVar("R")


class once(Generic[P, R]):
    """
    Decorator that calls a function once in each process for equal arguments, and returns the same object afterwards.

    Parameters
    ----------
    function : callable
    size : int, optional
        Number of results that are kept. The one unused for longest is dropped first.

    Notes
    -----
    The function is called again if its code has changed, or that of a function of yours that it uses; see
    `~brainsnn.sweeps.content_key`.

    The object is in the state in which the last call left it: a network has the parameters, attention and weights that were
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
        if not callable(function):
            raise TypeError(
                f"once: {function!r:.100} is not a function. Write @once above a function, or once(function)."
            )
        self.size: int = whole_number(size, "once: size", 1)
        self._results: OrderedDict[Any, R] = OrderedDict()
        self._process = os.getpid()
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwds: P.kwargs) -> R:
        """Return what the function returned for these arguments; call it if needed."""
        bound = inspect.signature(self.__wrapped__).bind(*args, **kwds)
        values = (self.__wrapped__, list(bound.arguments.items()))
        try:
            key = content_key(*values)
        except SourceError:  # on a worker that does not have the user's files
            key = content_key(*values, code="memory")
        if self._process != os.getpid():  # forked: the results are the parent's
            self._results.clear()
            self._process = os.getpid()
        if key not in self._results:
            self._results[key] = self.__wrapped__(*args, **kwds)
            while len(self._results) > self.size:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        return self._results[key]

    def __repr__(self) -> str:
        return one_line(self, f"{brief(self.__wrapped__)}, {len(self._results)} results kept, at most {self.size}")

    def __reduce__(self):
        return once, (self.__wrapped__, self.size)
