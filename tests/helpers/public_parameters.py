"""List the parameters of every public function, class and method of the package."""

import inspect
from collections.abc import Iterator
from importlib import import_module

__all__ = ["public_parameters"]

ROOMS = (
    "brainsnn",
    *(
        f"brainsnn.{room}"
        for room in ("attention", "feedback", "stimuli", "stimuli.coco", "training", "sweeps", "analysis")
    ),
)
#: Modules of the training whose own ``__all__`` is public, too.
TRAINING = (
    "train_digits", "train_relu", "train_search", "train_resnet", "train_predictive", "photographs", "rates", "epochs",
    "predictive_recipe", "predictive_data", "predictive_training", "predictive_measures", "predictive_vgg", "hybrid_resnet",
    "surrogate", "unroll", "balancing",
)  # fmt: skip


def public_parameters() -> Iterator[tuple[str, str, list[str]]]:
    """Yield (room, name, parameters) of what takes parameters; what several rooms offer is listed once."""
    seen = set()
    for room, title, prefix in (
        *((room, room, "") for room in ROOMS),
        ("brainsnn.plot", "brainsnn.plot", "plot."),
        *((f"brainsnn.training.{module}", "brainsnn.training, its modules", f"{module}.") for module in TRAINING),
    ):
        module = import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            own = callable(value) and getattr(value, "__module__", "").startswith("brainsnn")
            is_error = inspect.isclass(value) and issubclass(value, Exception)
            if own and not is_error and id(value) not in seen:
                seen.add(id(value))
                for about, function in _functions(value):
                    if names := [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]:
                        yield title, f"{prefix}{name}{about}", names


def _functions(value):
    yield "", value
    if not inspect.isclass(value):
        return
    # With those of base classes that are not public.
    own = [
        vars(base)
        for base in reversed(value.__mro__)
        if base is value or base.__name__ in ("NetworkView", "LearnedWeights", "ResultFormats")
    ]
    for name, member in {name: member for members in own for name, member in members.items()}.items():
        function = getattr(member, "__func__", member)
        if inspect.isfunction(function) and (not name.startswith("_") or name == "__call__"):
            yield "()" if name == "__call__" else f".{name}", function
