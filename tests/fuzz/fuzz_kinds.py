"""The kinds of fuzz tests, and one batch of random cases of a kind."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from fuzzing import Check
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

__all__ = ["KINDS", "Kind", "run_batch"]


@dataclass(frozen=True)
class Kind:
    """A kind of random cases: ``module.function(draw, check)`` draws and checks one; ``in_tests`` of them are tests."""

    function: str
    what: str
    in_tests: int
    #: Whether failures are made smaller.
    shrinks: bool = True

    def load(self) -> Callable:
        module, name = self.function.split(":")
        return getattr(import_module(module), name)


KINDS: dict[str, Kind] = {
    "graphs": Kind("fuzz_graphs:case", "random Keras graphs, saved and loaded in every format, and read", 6),
    "runs": Kind(
        "fuzz_runs:case", "random networks and runs, against dense simulators and each other", 1, shrinks=False
    ),
    "objects": Kind(
        "fuzz_objects:case",
        "assignments to added objects and populations between runs, and runs by hand",
        20,
        shrinks=False,
    ),
    "edits": Kind(
        "fuzz_edits:case",
        "edited neuron models in random networks, against plain Brian2 of what is printed",
        1,
        shrinks=False,
    ),
    "analyses": Kind(
        "fuzz_analyses:case", "random input of the analyses, with NaN, ties, constants and wrong shapes", 100
    ),
    "files": Kind("fuzz_files:case", "damaged model files, against what they held and what Keras reads in them", 25),
    "results": Kind("fuzz_results:case", "damaged results in files and folders, against what they held", 25),
    "sweeps": Kind("fuzz_sweeps:case", "damaged folders of sweeps, against the undamaged sweep", 10),
    "expressions": Kind("fuzz_expressions:case", "equations with mistakes, huge numbers and code in them", 15),
    "arguments": Kind("fuzz_arguments:case", "values that nobody expects as arguments of public functions", 15),
}


#: So many cases hypothesis draws anew; later ones repeat most of an earlier one.
FRESH = 9


def run_batch(kind: str, seed: int, n: int, check: Check) -> None:
    """
    Check n random cases of a kind.

    With `fuzzing.Raising` the first failure is made as small as possible and raised; with `fuzzing.Counting` all cases run.
    """
    for start in range(0, n, FRESH):
        _run(KINDS[kind], seed * 1000 + start, min(FRESH, n - start), check)


def _run(kind, seed, n, check):
    case = kind.load()
    raising = not hasattr(check, "counts")
    phases = [Phase.generate, Phase.shrink] if raising and kind.shrinks else [Phase.generate]

    @hypothesis_seed(seed)
    @settings(max_examples=n, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32), st.data())
    def batch(number, data):
        assume(number)  # the simplest case comes first, with every seed
        case(data.draw, check)

    batch()
