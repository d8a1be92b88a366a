"""Keys of functions: the values and modules to which a function refers, and what `brainsnn.once` keeps by its key."""

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from swept_code import function

import brainsnn as bs
from brainsnn.sweeps import content_key, sources
from brainsnn.sweeps.module_origin import origin_of

# What a function refers to

DECORATOR = """
def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def inner(*args):
            return factor {operator} function(*args)
        return inner
    return decorate
"""
CHANGES = {
    "text in a generator": ("def f(x): return max(d[{}] for d in x)", "'a'", "'b'"),
    "text in a list comprehension": ("def f(x): return [d[{}] for d in x]", "'a'", "'b'"),
    "text in a dict comprehension": ("def f(x): return {{k: x[{}] for k in 'ab'}}", "'a'", "'b'"),
    "text in a lambda": ("def f(x): return (lambda: {})()", "'a'", "'b'"),
    "text that is the docstring, too": ("def f(x):\n 'a'\n return {}", "'a'", "'b'"),
    "names of keywords": ("def f(x): return dict({}=x)", "a", "b"),
    "argument by keyword alone": ("def f(a, {}b): return a", "", "*, "),
    "argument of a decorator": (DECORATOR.format(operator="*") + "@scaled({})\ndef f(x): return x", 2, 3),
    "code of a decorator": (DECORATOR.replace("{operator}", "{}") + "@scaled(2)\ndef f(x): return x", "*", "+"),
    "decorator of a helper": (
        DECORATOR.format(operator="*") + "@scaled({})\ndef h(x): return x\ndef f(x): return h(x)", 2, 3
    ),
    "cached helper": ("@functools.lru_cache\ndef h(): return {}\ndef f(x): return h()", 1, 2),
    "size of a cache": ("@functools.lru_cache({})\ndef h(): return 1\ndef f(x): return h()", 1, 2),
    "implementation for a type": (
        "@functools.singledispatch\ndef h(x): return 0\n@h.register\ndef _(x: int): return {}\ndef f(x): return h(x)", 1, 2
    ),
    "attribute of a function": ("def f(x): return f.k\nf.k = {}", 1, 2),
    "metaclass": (
        "class M(type):\n def k(c): return {}\nclass A(metaclass=M): pass\ndef f(x): return A.k()", 1, 2
    ),
    "method of a kind of list": ("class L(list):\n def s(self): return {}\nl = L()\ndef f(x): return l.s()", 1, 2),
    "method of an enumeration": (
        "class E(enum.IntEnum):\n A = 1\n def s(self): return {}\na = E.A\ndef f(x): return a.s()", 1, 2
    ),
    "member of an enumeration": ("class E(enum.Enum):\n A = {}\ndef f(x): return E.A", 1, 2),
    "deleter of a property": (
        "class A:\n p = property(None, None, lambda self: {})\na = A()\ndef f(x): del a.p", 1, 2
    ),
    "cached property": ("class A:\n @functools.cached_property\n def p(self): return {}\ndef f(x): return A().p", 1, 2),
    "partial method": (
        "class A:\n def m(self, k): return k\n n = functools.partialmethod(m, {})\ndef f(x): return A().n()", 1, 2
    ),
    "class as decorator": (
        "class D:\n def __init__(self, g): functools.update_wrapper(self, g)\n"
        " def __call__(self, x): return {}\n@D\ndef f(x): return x", 1, 2
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_all_that_a_function_does_counts(change):
    source, one, two = CHANGES[change]
    first = content_key(function(source.format(one)))
    assert first == content_key(function(source.format(one)))
    assert first != content_key(function(source.format(two)))


WORDS = {
    "a docstring that was not there": ("def f(x):\n {}return [x, None, 3.5]", "", "'words'\n "),
    "docstring of a function in it": ("def f(x):\n def g():\n  '{}'\n  return 1\n return g", "a", "b"),
    "docstring of a class in it": ("def f(x):\n class A:\n  '{}'\n  k = 1\n return A", "a", "b"),
    "annotations": ("def f(x: {}) -> float: return x", "int", "'list[int]'"),
    "comment": ("def f(x):\n {}\n return x", "# a", "# b"),
}  # fmt: skip


@pytest.mark.parametrize("change", WORDS)
def test_words_in_the_source_of_a_function_count(change):
    source, one, two = WORDS[change]
    assert content_key(function(source.format(one))) != content_key(function(source.format(two)))


def test_the_rest_of_a_notebook_does_not_count():
    source = "mean = {}\ndef f(x): return x.mean()"  # a global with the name of an attribute
    assert content_key(function(source.format(1))) == content_key(
        function(source.format("open(__import__('os').devnull)"))
    )
    assert content_key(function("def f(x): return x\ndef g(): return 1")) == content_key(function("def f(x): return x"))


@pytest.mark.parametrize(
    "source",
    [
        "K = 1\ndef f(x): return K * x",
        "K = 1\ndef g(): return K\ndef f(x): return g()",
        "K = 1\nclass A:\n def g(self): return K\ndef f(x): return A().g()",
        "K = 1\ndef f(x): return [(lambda: K)() for _ in x]",
    ],
)
def test_a_global_set_at_run_time_counts(load, source):
    module = load(study_of_test=source)
    first = content_key(module.f)
    module.K = 2
    assert content_key(module.f) != first
    module.K = 1
    assert content_key(module.f) == first
    module.K = open(os.devnull)
    with pytest.raises(TypeError, match="'K' in .* is a _io.TextIOWrapper"):
        content_key(module.f)


def test_a_global_of_another_module_set_at_run_time_counts(load):
    module = load(
        study_of_test="import settings_of_test\ndef f(x): return settings_of_test.K", settings_of_test="K = 1\nL = 1"
    )
    first = content_key(module.f)
    module.settings_of_test.L = 2
    assert content_key(module.f) == first
    module.settings_of_test.K = 2
    assert content_key(module.f) != first


@pytest.mark.parametrize(
    "source",
    [
        "import abc\nclass A(abc.ABC):\n @abc.abstractmethod\n def g(self): ...\n"
        "class B(A):\n def g(self): return 1\nb = B()\ndef f(x): return b.g()",
        "import typing\nclass P(typing.Protocol):\n def g(self): ...\ndef f(x): return P",
        "import typing\nT = typing.TypeVar('T')\nclass P(typing.Generic[T]): pass\ndef f(x): return P(), list[int]",
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\np = P(1, 2)\ndef f(x): return p.x, P(1, 2)",
        "from numpy.random import rand\nfrom brian2 import exp\nfrom scipy.stats import norm\n"
        "def f(x): return rand(), exp(x), norm.pdf(x)",
        "import contextlib\n@contextlib.contextmanager\ndef g(): yield 1\ndef f(x):\n with g() as y: return y",
    ],
)
def test_classes_of_all_kinds_have_content(source):
    assert content_key(function(source)) == content_key(function(source))


EVERYTHING = """
import abc, dataclasses, enum, functools, logging, re, typing
import numpy as np
import brainsnn as bs
from brian2 import check_units, defaultclock, mV, ms

class Flag(enum.Flag):
    A = enum.auto()
    B = enum.auto()

class Coin(str, enum.Enum):
    def __new__(cls, text, weight):
        one = str.__new__(cls, text)
        one._value_, one.weight = text, weight
        return one
    HEADS = "h", 0.5
    TAILS = "t", 0.4

@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    k: int = 1
    names: tuple = ("a",)

class Base(abc.ABC):
    REGISTRY = {}
    def __init_subclass__(cls, **more):
        Base.REGISTRY[cls.__name__] = cls
    @abc.abstractmethod
    def go(self): ...

class Derived(Base):
    def go(self):
        return super().__init__() or even(3)

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)

@check_units(x=mV, result=1)
def checked(x): return x / mV

@bs.once
def network(graph): return bs.convert(graph, device="cpp_standalone")

@functools.singledispatch
def kind(x): return "any"
@kind.register
def _(x: int): return "int"

LOG, WORD, NAMES = logging.getLogger(__name__), re.compile("w+"), {"b", "a", "c", ("d", 1)}

def f(images, tau=5 * ms, *, order="C", **more):
    from scipy import ndimage
    import numpy.linalg as la
    LOG.info("%s", NAMES)
    if images in {"x", "y", "z"}:
        return Coin.HEADS.weight, Flag.A | Flag.B, Slots(2), Derived().go(), checked(1 * mV), network(None), kind(1)
    try:
        return {i: WORD.match(str(i)) for i in sorted(NAMES, key=str)}, defaultclock.dt, bs.ms, la.norm, ndimage.zoom
    except (ValueError, KeyError) as error:
        return lambda: error

VALUES = [Coin.TAILS, Flag.B, Slots(), Derived(), NAMES, np.float32(1), [1, 2] * ms]
"""


def test_keys_are_the_same_in_every_process(tmp_path):
    (tmp_path / "everything.py").write_text(EVERYTHING)
    command = (
        "import everything as e; from brainsnn.sweeps import content_key as key; print(key(e.f), key(e.VALUES)); "
        "e.f(3); e.kind(2); e.VALUES[3].go(); print(key(e.f), key(e.VALUES))"
    )
    found = {
        subprocess.run([sys.executable, "-c", command], cwd=tmp_path, text=True, check=True, stdout=subprocess.PIPE,
                       env={**os.environ, "PYTHONPATH": str(sources.PACKAGE.parent), "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    before, after = found.pop().splitlines()
    assert not found and before == after


# Modules of the user's that are imported

USES = {
    "from import": "def f(x):\n from helper_of_test import g\n return g(x)",
    "import": "def f(x):\n import helper_of_test\n return helper_of_test.g(x)",
    "import as": "def f(x):\n import helper_of_test as h\n return [h.g(y) for y in x]",
    "import used by getattr": "def f(x):\n import helper_of_test as h\n return getattr(h, 'g')(x)",
    "in a method": "class A:\n def m(self):\n  import helper_of_test\n  return helper_of_test.g(1)\ndef f(x): return A().m()",
    "global": "import helper_of_test\ndef f(x): return helper_of_test.g(x)",
    "global used by getattr": "import helper_of_test\ndef f(x): return getattr(helper_of_test, 'g')(x)",
    "default value": "import helper_of_test\ndef f(x, m=helper_of_test): return m.g(x)",
    "closure": "def make():\n import helper_of_test\n def f(x): return helper_of_test.g(x)\n return f\nf = make()",
    "value": "import helper_of_test\nM = {'a': helper_of_test}\ndef f(x): return M['a'].g(x)",
    "attribute of a class": "import helper_of_test\nclass A:\n m = helper_of_test\ndef f(x): return A.m.g(x)",
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_modules_of_the_user_count_however_they_are_reached(use, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "helper_of_test.py"

    def key(factor, words="words"):
        path.write_text(f"K = {factor}\ndef g(x):\n    '{words}'\n    return x * K\n")
        monkeypatch.delitem(sys.modules, "helper_of_test", raising=False)
        importlib.invalidate_caches()
        return content_key(function(USES[use]))

    first = key(2)
    assert first == key(2)
    assert len({first, key(2, "other words"), key(3)}) == 3
    monkeypatch.delitem(sys.modules, "helper_of_test", raising=False)


IMPORTS = {
    "at the top": "import helper_of_test\ndef f(x): return x",
    "inside a function": "def f(x):\n from helper_of_test import g\n return g(x)",
    "inside another function": "def draw():\n from helper_of_test import g\n return g(1)\ndef f(x): return x",
    "by importlib": "import importlib\ndef f(x): return importlib.import_module('helper_of_test').g(x)",
    "with all names": "from helper_of_test import *\ndef f(x): return x",
    "under a condition": "try:\n import helper_of_test\nexcept ImportError: pass\ndef f(x): return x",
}


@pytest.mark.parametrize("source", IMPORTS.values(), ids=IMPORTS)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_an_import_counts_wherever_it_stands(load, tmp_path, source, is_loaded):
    """And whether the module has already been imported or not, such as by a unit that ran here."""
    load(helper_of_test="def g(x): return x")
    module = load(study_of_test=source)
    if not is_loaded:
        del sys.modules["helper_of_test"]
    first = content_key(module.f)
    (tmp_path / "helper_of_test.py").write_text("def g(x): return x  # no other code\n")
    assert content_key(module.f) != first
    (tmp_path / "unrelated_of_test.py").write_text("")
    (tmp_path / "helper_of_test.py").write_text("def g(x): return x")
    assert content_key(module.f) == first
    (tmp_path / "helper_of_test.py").unlink()
    assert content_key(module.f) != first


def test_where_modules_come_from(load):
    assert origin_of("brainsnn.sweeps") == "brainsnn"
    assert {origin_of(name) for name in ("numpy.linalg", "os.path", "sys", "pytest", "_cython_magic_1")} == {"library"}
    load(colorsys="X = 1")  # a file of the user's with the name of one of Python's
    assert {origin_of(name) for name in ("colorsys", __name__, "__main__", "sweep_example")} == {"user"}
    del sys.modules["colorsys"]


def test_a_module_counts_with_those_that_it_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "package_of_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "outer.py").write_text("import numpy\nfrom . import inner\n")
    (folder / "inner.py").write_text("K = 1\n")
    source = "import package_of_test.outer\nM = [package_of_test.outer]\ndef f(x): return M[0].inner.K"
    first = content_key(function(source))
    assert content_key(function(source)) == first
    (folder / "inner.py").write_text("K = 22\n")
    assert content_key(function(source)) != first
    for name in [name for name in sys.modules if name.startswith("package_of_test")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_module_without_a_file_is_refused_by_name():
    module = types.ModuleType("made_up")
    with pytest.raises(TypeError, match="the module 'made_up', which has no source file"):
        content_key([module])


# once


def test_once_keeps_what_it_made_for_equal_arguments(tmp_path):
    log = str(tmp_path / "log")

    def number_of_calls(x, y=0):
        with open(log, "a") as file:
            file.write("x")
        return Path(log).stat().st_size

    make = bs.once(number_of_calls)
    assert make(np.arange(3)) == make(np.arange(3)) == make(x=np.arange(3)) == 1
    assert make(np.arange(4)) == 2 and make(np.arange(3), 1) == 3
    assert make(np.arange(3)) == 1


def test_once_needs_a_function_and_a_size():
    with pytest.raises(TypeError, match="once: 5 is not a function. Write @once above"):
        bs.once(5)
    with pytest.raises(ValueError, match="once: size=0 must be a whole number, 1 or greater"):
        bs.once(len, size=0)


def test_once_calls_again_what_has_changed():
    """As in a notebook, where a global or a helper changes."""
    make = function("import brainsnn as bs\ndef helper(): return 2\nK = 1\n@bs.once\ndef f(): return K * helper()")
    variables = make.__wrapped__.__globals__
    assert make() == 2
    variables["K"] = 5
    assert make() == 10
    variables["helper"] = function("def helper(): return 3", "helper")
    assert make() == 15


def test_once_works_without_source_files():
    """As on a worker of a cluster that does not have the user's files."""
    variables = {"bs": bs, "__name__": "made_up"}
    exec("calls = []\n@bs.once\ndef f(x):\n    return [x, K]\nK = 1", variables)
    first = variables["f"](1)
    assert variables["f"](1) is first and variables["f"](2) == [2, 1]
    variables["K"] = 2
    assert variables["f"](1) == [1, 2]
