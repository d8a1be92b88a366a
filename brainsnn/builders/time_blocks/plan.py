"""The parts of a step that may run apart: several steps of one, then the same steps of the next, with the same result."""

from collections.abc import Hashable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["Access", "Plan", "block_steps", "plan_blocks"]

#: Steps of a block that run before the next block, and bytes that blocks may hand to each other in them, besides spikes.
STEPS, MEMORY = 16, 512 * 2**20


@dataclass(frozen=True)
class Access:
    """
    What one piece of code does to arrays in a step.

    Parameters
    ----------
    uses : frozenset
        All arrays that it reads or writes.
    writes : frozenset
        Those that it writes.
    sets : frozenset
        Those of which it writes all that others read, whatever they held before.
    """

    uses: frozenset[Hashable]
    writes: frozenset[Hashable] = frozenset()
    sets: frozenset[Hashable] = frozenset()


@dataclass(frozen=True)
class Plan:
    """
    Blocks of code, one after the other.

    Attributes
    ----------
    blocks : list of list of int
        Indices of the code in each block, in the order of the step.
    kept : dict of int to dict
        For each piece of code, the arrays that blocks hand to each other: array -> 0 for the values of this step, 1 for those of
        the step before. They are kept for each step of a block.
    """

    blocks: list
    kept: dict

    @property
    def arrays(self):
        """Arrays that are kept for each step (list)."""
        return list(dict.fromkeys(array for lags in self.kept.values() for array in lags))

    def numbers(self, functions, arrays):
        """
        Return the plan as the numbers that ``templates/time_blocks.cpp`` reads.

        Parameters
        ----------
        functions : list of int
            Index of the function of each piece of code.
        arrays : dict of Hashable to int
            Index of each array that is kept.

        Returns
        -------
        numbers : list of int
        """
        numbers = [len(self.blocks)]
        for block in self.blocks:
            numbers.append(len(block))
            for k in block:
                lags = self.kept.get(k, {})
                numbers += [functions[k], len(lags)]
                numbers += [number for array, lag in lags.items() for number in (arrays[array], lag)]
        return numbers


def plan_blocks(accesses, sparse=()):
    """
    Divide the code of a step into blocks.

    Any number of steps of a block may run before the same steps of the next one. This is loop distribution: code that writes an
    array shares a block with all that use it, unless each step sets the array anew; its values are then kept for each step, as
    spikes are. What is in a loop, such as a network whose prediction gates its input, is one block.

    Parameters
    ----------
    accesses : list of Access
        In the order of the step.
    sparse : set, optional
        Arrays that cost little to keep, such as lists of spikes. Two blocks that another array connects are joined if the rest
        allows it.

    Returns
    -------
    plan : Plan
    """
    users, edges, setter = {}, set(), {}
    for k, access in enumerate(accesses):
        for array in access.uses:
            users.setdefault(array, []).append(k)
    for array, found in users.items():
        writers = {k for k in found if array in accesses[k].writes}
        if not writers:
            continue
        first = min(writers)
        if array in accesses[first].sets:
            setter[array] = first
            # What acts before it in a step reads what the step before has left.
            found = [k for k in found if k >= first] + [k for k in found if k < first]
            edges.update((a, b) for a, b in combinations(found, 2) if a in writers or b in writers)
        else:
            edges.update(pair for a in writers for b in found for pair in ((a, b), (b, a)))
    label = _components(len(accesses), edges)
    for array in setter:
        if array not in sparse:
            label = _joined(label, edges, {label[k] for k in users[array]})
    kept = {}
    for array, first in setter.items():
        if len({label[k] for k in users[array]}) > 1:
            for k in users[array]:
                kept.setdefault(k, {})[array] = int(k < first)
    return Plan(_in_order(label, edges), kept)


def block_steps(n_bytes=0):
    """
    Return how many steps of a block run before the next block.

    Parameters
    ----------
    n_bytes : int, optional
        Of the arrays that are kept for each step, besides spikes.

    Returns
    -------
    n_steps : int
    """
    return max(1, min(STEPS, MEMORY // max(n_bytes, 1)))


def _components(n, edges):
    """Return the strongly connected component of each node of a graph (list of int)."""
    start, end = np.array(sorted(edges), dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(n, n))
    return connected_components(graph, connection="strong")[1].tolist()


def _joined(label, edges, blocks):
    """Return the labels with two blocks joined, or as they are if a third block would have to run between the two."""
    if len(blocks) != 2:
        return label
    first, second = blocks
    joined = [first if block == second else block for block in label]
    try:
        _in_order(joined, edges)
    except CycleError:
        return label
    return joined


def _in_order(label, edges):
    """Return the nodes of each block, and the blocks in the order of the edges."""
    blocks = {}
    for k, block in enumerate(label):
        blocks.setdefault(block, []).append(k)
    before = {block: set() for block in blocks}
    for a, b in edges:
        if label[a] != label[b]:
            before[label[b]].add(label[a])
    sorter, ordered = TopologicalSorter(before), []
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda block: blocks[block][0])
        ordered += [blocks[block] for block in ready]
        sorter.done(*ready)
    return ordered
