"""What a unit of a sweep is known by: the content of the code that computes it."""

import importlib
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import brainsnn as bs
from brainsnn.sweeps import content_key, sources

STUDY = """
import numpy as np
import brainsnn as bs
from brainsnn.analysis import spikes_per_image

FACTOR = {factor}

def helper(x):
    {comment}
    return x * FACTOR

def draw():
    return "{title}"

def unit(x, power=2):
    "{doc}"
    return {{"y": helper(x) ** power, "n": spikes_per_image}}

def simulate(graph):
    return bs.convert(graph)
"""


def functions(monkeypatch, name="study_of_test", factor=2, comment="pass", title="a", doc="b"):
    module = type(sys)(name)
    exec(compile(STUDY.format(factor=factor, comment=comment, title=title, doc=doc), name, "exec"), vars(module))
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_code_that_computes_counts_and_other_code_does_not(monkeypatch):
    keys = [
        content_key(functions(monkeypatch, **change).unit)
        for change in ({}, {"comment": "# why\n    pass"}, {"title": "another plot"}, {"doc": "better words"},
                       {"factor": 3}, {"comment": "x = x + 1"})
    ]  # fmt: skip
    assert keys[0] == keys[1] == keys[2] == keys[3]
    assert len(set(keys[3:])) == 3


def test_files_of_brainsnn_count_where_they_compute(monkeypatch, tmp_path):
    copy = tmp_path / "brainsnn"
    shutil.copytree(sources.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", copy)
    module = functions(monkeypatch)

    def keys():
        return content_key(module.unit), content_key(module.simulate)

    def edit(name, text):
        path = copy / name
        path.write_text(path.read_text() + text)

    first = keys()
    for name, text in {
        "builders/runtime.py": "\n# a comment\n", "analysis/plots.py": "\nX = 1\n", "training/surrogate.py": "\nX = 1\n",
        "attention/fields.py": "\nX = 1\n",
    }.items():  # fmt: skip
        edit(name, text)
    assert keys() == first
    edit("builders/runtime.py", "\nX = 1\n")
    assert keys()[0] == first[0] and keys()[1] != first[1]
    second = keys()
    template = next((copy / "builders" / "templates").rglob("*.cpp"))
    template.write_text(template.read_text() + "\n")
    assert keys()[1] != second[1]
    edit("analysis/metrics.py", "\nX = 1\n")
    assert keys()[0] != first[0]


def function(source, name="f"):
    """A function of the user's, as a notebook defines it."""
    module = types.ModuleType("__main__")
    exec("import functools, enum\nimport numpy as np\n" + source, vars(module))
    return vars(module)[name]


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


SAME = {
    "a docstring that was not there": ("def f(x):\n {}return [x, None, 3.5]", "", "'words'\n "),
    "docstring of a function in it": ("def f(x):\n def g():\n  '{}'\n  return 1\n return g", "a", "b"),
    "docstring of a class in it": ("def f(x):\n class A:\n  '{}'\n  k = 1\n return A", "a", "b"),
    "global with the name of an attribute": ("mean = {}\ndef f(x): return x.mean()", 1, "open(__import__('os').devnull)"),
    "annotations": ("def f(x: {}) -> float: return x", "int", "'list[int]'"),
}  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_what_computes_nothing_does_not_count(change):
    source, one, two = SAME[change]
    assert content_key(function(source.format(one))) == content_key(function(source.format(two)))


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


# Modules of the user's

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
    assert key(2, "other words") == first != key(3)
    monkeypatch.delitem(sys.modules, "helper_of_test", raising=False)


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


def test_brainsnn_imported_in_a_function_counts_by_what_is_taken(tmp_path, monkeypatch):
    copy = tmp_path / "brainsnn"
    shutil.copytree(sources.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", copy)
    uses = [
        function(f"def f(x):\n {source}")
        for source in ("import brainsnn as b\n return b.analysis.spikes_per_image(x)",
                       "from brainsnn.analysis import spikes_per_image\n return spikes_per_image(x)",
                       "import brainsnn.analysis\n return brainsnn.analysis.spikes_per_image(x)",
                       "import scipy\n return scipy.stats",
                       "import brainsnn as b\n return getattr(b, x)")
    ]  # fmt: skip
    first = list(map(content_key, uses))
    (copy / "builders" / "runtime.py").write_text("X = 1")
    second = list(map(content_key, uses))
    assert second[:4] == first[:4] and second[4] != first[4]
    (copy / "analysis" / "metrics.py").write_text("X = 1")
    assert [one == two for one, two in zip(map(content_key, uses), second)] == [False, False, False, True, False]


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


def test_once_calls_again_what_has_changed():
    """As in a notebook, where a global changes, or a helper is defined anew."""
    make = function("import brainsnn as bs\ndef helper(): return 2\nK = 1\n@bs.once\ndef f(): return K * helper()")
    variables = make.__wrapped__.__globals__
    assert make() == 2
    variables["K"] = 5
    assert make() == 10
    exec("def helper(): return 3", variables)
    assert make() == 15
