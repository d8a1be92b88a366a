"""Blocks of time: whatever code reads and writes, the same results as step by step; and what can be divided is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainsnn.builders.time_blocks import plan as plan_module
from brainsnn.builders.time_blocks.plan import Access, block_steps, plan_blocks

ARRAYS = "abcde"


@st.composite
def programs(draw):
    """Code that reads some arrays, sets some, whatever they held, and changes some."""
    codes = []
    for _ in range(draw(st.integers(1, 8))):
        sets = draw(st.sets(st.sampled_from(ARRAYS), max_size=2))
        rest = [array for array in ARRAYS if array not in sets]
        codes.append(
            (draw(st.sets(st.sampled_from(rest), max_size=3)), sets, draw(st.sets(st.sampled_from(rest), max_size=1)))
        )
    return codes


def access(reads, sets, changes):
    return Access(frozenset(reads | sets | changes), frozenset(sets | changes), frozenset(sets))


def execute(code, k, values):
    """Let one piece of code act; what it writes depends on all that it reads, and, for what it changes, on the old value."""
    reads, sets, changes = code
    seen = hash((k, *(values[array] for array in sorted(reads | changes))))
    for array in sorted(sets | changes):
        values[array] = hash((seen, array, values[array] if array in changes else None))


def in_steps(codes, n_steps):
    values, seen = dict.fromkeys(ARRAYS, 0), []
    for _ in range(n_steps):
        for k, code in enumerate(codes):
            execute(code, k, values)
            seen.append((k, tuple(values[array] for array in sorted(set().union(*code)))))
    return values, seen


class Slots(dict):
    """Values of which some are looked up in a slot for each step, as ``time_blocks.cpp`` does."""

    def __init__(self, values, kept, lags, step):
        super().__init__(values)
        self.values_before, self.kept, self.lags, self.step = values, kept, lags, step

    def slot(self, array):
        at = self.step - self.lags[array]
        return (self.values_before, array) if at < 0 else (self.kept[array], at)

    def __getitem__(self, array):
        store, key = self.slot(array) if array in self.lags else (self.values_before, array)
        return store[key]

    def __setitem__(self, array, value):
        store, key = self.slot(array) if array in self.lags else (self.values_before, array)
        store[key] = value


def in_blocks(codes, n_steps, n_block, plan):
    values, seen = dict.fromkeys(ARRAYS, 0), []
    for first in range(0, n_steps, n_block):
        n = min(n_block, n_steps - first)
        kept = {array: ["garbage"] * n for array in plan.arrays}
        for block in plan.blocks:
            for step in range(n):
                for k in block:
                    slots = Slots(values, kept, plan.kept.get(k, {}), step)
                    execute(codes[k], k, slots)
                    seen.append((k, tuple(slots[array] for array in sorted(set().union(*codes[k])))))
        for array in plan.arrays:
            values[array] = kept[array][-1]
    return values, seen


def by_code(seen, n_codes):
    return [[values for k, values in seen if k == code] for code in range(n_codes)]


@given(programs(), st.integers(1, 9), st.integers(1, 5), st.sets(st.sampled_from(ARRAYS)))
@settings(max_examples=300, deadline=None)
def test_blocks_compute_what_steps_compute(codes, n_steps, n_block, sparse):
    plan = plan_blocks([access(*code) for code in codes], sparse)
    assert sorted(k for block in plan.blocks for k in block) == list(range(len(codes)))
    values, seen = in_steps(codes, n_steps)
    found, found_seen = in_blocks(codes, n_steps, n_block, plan)
    assert found == values
    assert by_code(found_seen, len(codes)) == by_code(seen, len(codes))


def layer(name, *reads):
    """Update and threshold of a layer, and the projections that read the spikes of others."""
    spikes, state = f"{name} spikes", f"{name} state"
    update = Access(frozenset({spikes, state}), frozenset({spikes, state}), frozenset({spikes}))
    return [update], [Access(frozenset({f"{other} spikes", state}), frozenset({state})) for other in reads]


def plan_of(**reads):
    """The plan of layers by name, with the layers whose spikes reach them."""
    parts = [layer(name, *others) for name, others in reads.items()]
    accesses = [access for updates, _ in parts for access in updates] + [
        p for _, projections in parts for p in projections
    ]
    return plan_blocks(accesses, sparse={f"{name} spikes" for name in reads})


def test_each_layer_is_a_block():
    plan = plan_of(a="", b="a", c="ab", d="c")
    assert plan.blocks == [[0], [1, 4], [2, 5, 6], [3, 7]]
    assert set(plan.arrays) == {"a spikes", "b spikes", "c spikes"}
    assert all(lag == 0 for lags in plan.kept.values() for lag in lags.values())


def test_a_loop_is_one_block():
    plan = plan_of(a="", b="ad", c="b", d="c", e="d")
    assert [set(block) for block in plan.blocks] == [{0}, {1, 2, 3, 5, 6, 7, 8}, {4, 9}]


def test_what_is_read_before_it_is_set_is_that_of_the_step_before():
    reader = Access(frozenset("xs"), frozenset("s"))
    plan = plan_blocks([reader, Access(frozenset("x"), frozenset("x"), frozenset("x"))], sparse={"x"})
    assert plan.blocks == [[1], [0]] and plan.kept == {0: {"x": 1}, 1: {"x": 0}}


def test_two_blocks_are_joined_instead_of_keeping_an_array():
    def chain(sparse):
        sets = Access(frozenset("xs"), frozenset("xs"), frozenset("x"))
        return plan_blocks([sets, Access(frozenset("xr"), frozenset("r"))], sparse)

    assert chain(sparse={"x"}).blocks == [[0], [1]]
    assert chain(sparse=set()).blocks == [[0, 1]] and chain(sparse=set()).arrays == []


def test_numbers_for_the_library():
    plan = plan_of(a="", b="a")
    assert plan.numbers([10, 11, 12], {"a spikes": 4}) == [2, 1, 10, 1, 4, 0, 2, 11, 0, 12, 1, 4, 0]


@pytest.mark.parametrize(("n_bytes", "expected"), [(0, 16), (2**20, 16), (64 * 2**20, 8), (2**40, 1)])
def test_memory_limits_the_steps(n_bytes, expected):
    assert block_steps(n_bytes) == expected
    assert plan_module.STEPS == 16 and np.log2(plan_module.MEMORY) == 29
