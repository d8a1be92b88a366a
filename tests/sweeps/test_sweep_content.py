"""What a unit of a sweep is known by: the content of values."""

import collections
import datetime
import decimal
import enum
import fractions
import logging
import re
import typing
import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.sweeps import content_key


@dataclass
class Setting:
    strength: float
    names: list = field(default_factory=list)


def test_content_of_values():
    from brian2 import defaultclock, ms, mV, second

    assert content_key(2**70) != content_key(2**70 + 1)
    assert content_key([1, 2]) == content_key([1, 2]) != content_key([2, 1])
    assert content_key({1, "a", (2, 3)}) == content_key({(2, 3), "a", 1}) != content_key({1, "a"})
    x = np.arange(6.0)
    assert content_key(x.reshape(2, 3)) != content_key(x.reshape(3, 2)) != content_key(x)
    assert content_key(x.reshape(2, 3).T) == content_key(x.reshape(2, 3).T.copy())
    assert content_key(1 * ms) == content_key(0.001 * second) != content_key(0.001)
    assert content_key(1 * mV) != content_key(1 * ms)
    assert content_key(defaultclock) == content_key(defaultclock)
    assert content_key(bs.ASN(m_f=0.1)) == content_key(bs.ASN(m_f=0.1)) != content_key(bs.ASN(m_f=0.2))
    assert content_key(Setting(1)) == content_key(Setting(1)) != content_key(Setting(2))
    assert content_key(bs.ASN()) != content_key(
        bs.ASN().replace("dS_hat/dt = -S_hat/tau_eta : 1", "dS_hat/dt = 0/ms : 1")
    )


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(typing.NamedTuple):
    x: float
    y: float = 0.0


class Base:
    __slots__ = ("hidden",)


class Slotted(Base):
    def __init__(self, hidden, shown=1):
        self.hidden, self.shown = hidden, shown

    @cached_property
    def square(self):
        return self.hidden**2


class Numbers(list):
    def __init__(self, values, scale=1):
        super().__init__(values)
        self.scale = scale


def masked(mask, fill=9):
    return np.ma.array([1, 2], mask=mask, fill_value=fill)


@pytest.mark.parametrize(
    "different",
    [
        (1, 1.0, "1", True, b"1", 1j, Level.LOW, np.int64(1), np.int8(1)),
        (0.5, np.float32(0.5), np.float64(0.5), np.array(0.5)),  # arithmetic with them differs
        ([1, 2], (1, 2), {1, 2}, np.array([1, 2]), Point(1, 2), Numbers([1, 2]), Numbers([1, 2], scale=2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, collections.Counter(a=1, b=2)),
        (np.array([1, 2]), masked([0, 0]), masked([0, 1]), masked([0, 1], fill=8)),
        (np.zeros(1, [("a", "i4"), ("b", "i4")]), np.zeros(1, [("b", "i4"), ("a", "i4")])),
        (Level.LOW, Level.HIGH),
        (Slotted(1), Slotted(2), Slotted(1, shown=2)),
        (re.compile("a"), re.compile("a", re.IGNORECASE), re.compile("b")),
        (np.dtype("f4"), np.dtype("f8"), np.dtype(">f4")),
        (datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 2)),
        (datetime.timedelta(1), datetime.timedelta(2)),
        (fractions.Fraction(1, 2), fractions.Fraction(1, 3), decimal.Decimal("0.5"), decimal.Decimal("0.50")),
        (uuid.UUID(int=1), uuid.UUID(int=2)),
        (collections.deque([1]), collections.deque([1], maxlen=3), collections.deque([2])),
    ],
)
def test_values_that_differ_have_different_keys(different):
    from copy import deepcopy

    keys = [content_key(value) for value in different]
    assert len(set(keys)) == len(keys)
    assert [content_key(value) for value in deepcopy(different)] == keys


def test_content_of_sparse_arrays():
    sparse = pytest.importorskip("scipy.sparse")
    x = np.eye(3)
    assert content_key(sparse.csr_array(x)) == content_key(sparse.csr_array(x)) != content_key(sparse.csr_array(2 * x))
    assert content_key(sparse.csr_array(x)) != content_key(sparse.csc_array(x))


def test_what_an_object_keeps_for_later_does_not_count():
    one, two = Slotted(3), Slotted(3)
    assert one.square == 9
    assert content_key(one) == content_key(two)


def test_containers_that_hold_themselves_through_an_object():
    def handler():
        return handlers

    handlers = {handler}
    assert content_key(handler) == content_key(handler)


def test_loggers_count_by_name():
    assert content_key(logging.getLogger("a")) == content_key(logging.getLogger("a"))


@pytest.mark.parametrize("value", [np.random.default_rng(0), iter([1]), object()])
def test_what_has_no_content_is_refused(value):
    with pytest.raises(TypeError, match=re.escape(type(value).__name__)):
        content_key({"a": value})


def test_content_of_files_and_graphs(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    before = content_key(path)
    path.write_text("2")
    assert content_key(path) != before
    with pytest.raises(FileNotFoundError, match="does not exist"):
        content_key(tmp_path / "b")
    graph, again = (bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras")) for _ in range(2))
    assert content_key(graph) == content_key(again)
    k, old = next((k, p) for k, p in enumerate(again.projections) if hasattr(p.operator, "kernel"))
    kernel = old.operator.kernel + np.eye(1, old.operator.kernel.size).reshape(old.operator.kernel.shape) * 1e-3
    again.projections[k] = replace(old, operator=replace(old.operator, kernel=kernel))
    assert content_key(graph) != content_key(again)
    with pytest.raises(TypeError, match="Make it inside the function"):
        content_key(bs.convert(graph, device="cpp_standalone"))
