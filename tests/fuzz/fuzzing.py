"""What fuzz tests share: the outcome of a check (equal, refused, wrong or raw) and counts of them by kind."""

import linecache
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import brainsnn

__all__ = ["OUTCOMES", "Check", "Counting", "Raising", "Refusal", "outcome_of"]

#: equal: the same as the independent computation. refused: an error that the package raises on purpose. wrong: other values.
#: raw: any other error.
OUTCOMES = ("equal", "refused", "wrong", "raw")
PACKAGE = Path(brainsnn.__file__).parent
#: What the package raises on purpose. A class outside of this list is raw even where the package raises it.
REFUSALS = (ValueError, TypeError, KeyError, IndexError, RuntimeError, OSError, FloatingPointError, MemoryError)

#: A check of one kind: its name and a function that raises AssertionError where values differ. It returns the outcome.
Check = Callable[[str, Callable[[], None]], str]


class Refusal(Exception):
    """What a process that a case ran in was refused with."""


def outcome_of(error: BaseException | None) -> str:
    """Return what an error (None if there was none) says about the case."""
    if error is None:
        return "equal"
    if isinstance(error, AssertionError):
        return "wrong"
    if isinstance(error, Refusal):
        return "refused"
    last = traceback.extract_tb(error.__traceback__)[-1]
    raised = linecache.getline(last.filename, last.lineno or 0).strip().startswith("raise ")
    on_purpose = (
        raised and PACKAGE in Path(last.filename).parents and isinstance(error, REFUSALS) and str(error).strip()
    )
    return "refused" if on_purpose else "raw"


class Raising:
    """Checks of a test: a wrong or raw outcome is raised."""

    runs = 0

    def __call__(self, kind, function):
        try:
            function()
        except Exception as error:
            if outcome_of(error) != "refused":
                raise
            return "refused"
        return "equal"


@dataclass
class Counting:
    """Checks of ``make fuzz``: every outcome is counted, and wrong and raw ones are kept with the case that gave them."""

    counts: dict = field(default_factory=lambda: defaultdict(Counter))
    refusals: dict = field(default_factory=lambda: defaultdict(Counter))
    failures: list = field(default_factory=list)
    case: str = ""
    #: Runs of spiking networks that the cases made.
    runs: int = 0

    def __call__(self, kind, function):
        try:
            function()
            error = None
        except Exception as found:
            error = found
        outcome = outcome_of(error)
        self.counts[kind][outcome] += 1
        if outcome == "refused":
            self.refusals[kind][f"{type(error).__name__}: {str(error)[:220]}"] += 1
        elif error is not None:
            self.failures.append((kind, outcome, self.case, "".join(traceback.format_exception(error)[-2:])))
        return outcome
