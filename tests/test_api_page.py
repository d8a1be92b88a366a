"""docs/api.md: it has every public name, and each of them, and each method of a public class, has an example."""

import inspect
import pkgutil
import re
from importlib import import_module

import pytest
from locations import ROOT

import brainsnn as bs

SECTION = re.compile(r"currentmodule:: (\S+)\n.. autosummary::\n   :toctree: generated\n\n((?:   \w+\n)+)")
LISTED = {
    (module, name)
    for module, names in SECTION.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    for name in names.split()
}
#: Commands have their own page; `SpikingNetwork.to_nir` calls the other one; units are those of Brian2.
ELSEWHERE = {"brainsnn.command_line", "brainsnn.builders.to_nir"}
UNITS = {"ms", "second"}
EXAMPLE = re.compile(r"^ *Examples\n *-+\n(?: *\n| *[^> \n].*\n)* *>>> ", re.MULTILINE)


def test_the_page_has_every_name_of_every_folder():
    """What a folder has in its ``__all__`` is public (CONTRIBUTING.md, Deprecation)."""
    found = {("brainsnn", name) for name in set(bs.__all__) - UNITS - {"plot"}}
    for package in pkgutil.walk_packages(bs.__path__, "brainsnn."):
        if package.ispkg and package.name not in ELSEWHERE and "devices." not in package.name:
            names = getattr(import_module(package.name), "__all__", ())
            found |= {
                (package.name, name) for name in names if name not in bs.__all__ or package.name == "brainsnn.plot"
            }
    errors = {(module, name) for module, name in LISTED if module == "brainsnn.errors"}
    assert len(found) > 150 and LISTED - errors == found
    assert {name for _, name in errors} == set(import_module("brainsnn.errors").__all__) - set(bs.__all__) - {"warn"}


def things():
    """Yield (name, thing) of what is on the page and has a docstring of its own, with the methods of classes."""
    for module, name in sorted(LISTED):
        thing = getattr(import_module(module), name)
        if inspect.isclass(thing) or callable(thing):
            yield f"{module}.{name}", thing
        if inspect.isclass(thing) and module == "brainsnn":
            for method, _ in inspect.getmembers(thing, inspect.isroutine):
                if not method.startswith("_") and owners(thing, method)[0].__module__.startswith("brainsnn"):
                    yield f"{module}.{name}.{method}", (thing, method)


def owners(thing, method):
    return [base for base in thing.__mro__ if method in vars(base)]


def has_example(thing):
    """Whether a docstring has one; that of a method may be in the class whose method it overrides."""
    docs = [getattr(base, thing[1]).__doc__ for base in owners(*thing)] if isinstance(thing, tuple) else [thing.__doc__]
    return any(EXAMPLE.search(inspect.cleandoc(text or "")) for text in docs)


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in things()])
def test_public_names_and_methods_have_an_example(name, thing):
    """The examples run as doctests."""
    assert has_example(thing), name
