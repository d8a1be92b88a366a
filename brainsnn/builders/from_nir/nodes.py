"""The nodes and edges of a NIR file: plain arrays and texts, with nested graphs opened."""

from dataclasses import dataclass, field

import numpy as np

from brainsnn.errors import ConversionError
from brainsnn.hdf5_files import Array, Group, read_hdf5

__all__ = ["NirGraph", "Node", "read_graph"]

#: Nested graphs may stand in each other so often.
DEPTH = 16


@dataclass
class Node:
    """
    One node of a NIR graph.

    Attributes
    ----------
    name : str
        The names of nested graphs come before it: ``"rnn.lif"``.
    type : str
        ``"LIF"``, ``"Conv2d"``, ...
    values : dict of str to (ndarray or str)
        Its fields.
    metadata : dict of str to (ndarray or str)
    """

    name: str
    type: str
    values: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)

    def error(self, message, fix=""):
        """Return an error that names this node."""
        return ConversionError(f"read_nir: node {self.name!r} ({self.type}): {message}{' ' * bool(fix)}{fix}")

    def array(self, name, default=None):
        """
        Return a field as numbers.

        Parameters
        ----------
        name : str
        default : float, optional
            Used where the file has no such field.

        Returns
        -------
        values : ndarray of float

        Raises
        ------
        ConversionError
            If it is missing, or holds no finite numbers.
        """
        values = self.values.get(name, default)
        if values is None:
            raise self.error(f"the file does not hold its {name!r}.", "Write it again with the package 'nir'.")
        values = np.asarray(values)
        if values.dtype.kind not in "biuf":
            raise self.error(f"{name!r} must hold numbers, got {values.dtype}.")
        values = values.astype(float)
        if not np.isfinite(values).all():
            raise self.error(f"{name!r} holds NaN or infinite values.")
        return values

    def integers(self, name, n, default=None):
        """Return a field as whole numbers: n of them, or one that stands for all (tuple of int)."""
        values = self.array(name, default).ravel()
        if values.size not in (1, n) or np.any(values != np.rint(values)) or np.any(np.abs(values) >= 2**31):
            raise self.error(f"{name!r} must hold {n} whole number(s), got {values[:8].tolist()}.")
        return tuple(int(v) for v in np.broadcast_to(values, n))

    def shape(self, name):
        """Return a field as the shape of a tensor, or None if the file does not say it."""
        if name not in self.values:
            return None
        values = self.array(name).ravel()
        if values.size == 0 or np.any(values != np.rint(values)) or values.min() < 1 or values.max() >= 2**31:
            raise self.error(f"{name!r} must be a shape of positive whole numbers, got {values[:8].tolist()}.")
        return tuple(int(v) for v in values)


@dataclass
class NirGraph:
    """
    The content of a file.

    Attributes
    ----------
    nodes : dict of str to Node
    edges : list of (str, str)
        Each once, in the order of the file.
    version : str
    metadata : dict
    """

    nodes: dict
    edges: list
    version: str
    metadata: dict


def read_graph(path, max_bytes):
    """
    Read a NIR file.

    Parameters
    ----------
    path : `~pathlib.Path`
    max_bytes : int
        How much its arrays may take in memory.

    Returns
    -------
    graph : NirGraph

    Raises
    ------
    ConversionError
        If the file is damaged, holds no NIR graph, or more than ``max_bytes``.
    """
    try:
        root = read_hdf5(path, max_bytes, ConversionError, with_texts=True)
    except ConversionError as error:
        raise ConversionError(f"read_nir: {str(path)!r}: {error}") from None
    top = root.members.get("node")
    if not isinstance(top, Group) or _text(top, "type") != "NIRGraph":
        raise ConversionError(
            f"read_nir: {str(path)!r} holds no NIR graph: it has no group 'node' of the type 'NIRGraph'. Files come from "
            "nir.write(path, graph)."
        )
    graph = NirGraph({}, [], _text(root, "version") or "unknown", _fields(top.members.get("metadata")))
    _open(top, "", graph, 0)
    graph.edges[:] = dict.fromkeys(graph.edges)
    return graph


def _text(group, name):
    """Return a text of a group, or None."""
    found = group.members.get(name)
    return found.texts if isinstance(found, Array) and isinstance(found.texts, str) else None


def _fields(group):
    """Return the arrays and texts of a group."""
    members = group.members if isinstance(group, Group) else {}
    return {
        name: found.values if found.texts is None else found.texts
        for name, found in members.items()
        if isinstance(found, Array) and (found.values is not None or found.texts is not None)
    }


def _open(group, prefix, graph, depth):
    """Add the nodes of a graph; a nested one is named before its nodes, and joined at its input and output."""
    about = f"read_nir: graph {prefix[:-1]!r}" if prefix else "read_nir: the graph of the file"
    if depth > DEPTH:
        raise ConversionError(f"{about} stands in more than {DEPTH} others. Write it with fewer nested graphs.")
    nodes, edges = group.members.get("nodes"), group.members.get("edges")
    pairs = edges.texts if isinstance(edges, Array) else None
    if pairs is None and isinstance(edges, Array) and edges.values is not None and edges.values.size == 0:
        pairs = []
    if not isinstance(nodes, Group) or not isinstance(pairs, list):
        raise ConversionError(f"{about} has no nodes and edges: the file is damaged. Write it again.")
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise ConversionError(f"{about}: its edges are not pairs of names: the file is damaged. Write it again.")
    ends = {}  # nested graph -> the names of its inputs and outputs
    for name, member in nodes.members.items():
        kind = _text(member, "type") if isinstance(member, Group) else None
        if kind is None:
            raise ConversionError(f"{about}: its node {name!r} has no type: the file is damaged. Write it again.")
        full = prefix + name
        if kind == "NIRGraph":
            _open(member, f"{full}.", graph, depth + 1)
            ends[name] = [_ends(member, f"{full}.", end) for end in ("Output", "Input")]
            continue
        if full in graph.nodes:
            raise ConversionError(f"{about}: two nodes are named {full!r}. Rename one.")
        values = {key: value for key, value in _fields(member).items() if key != "type"}
        node = graph.nodes[full] = Node(full, kind, values, _fields(member.members.get("metadata")))
        if depth and kind in ("Input", "Output"):
            node.type = f"nested {kind}"
    for source, target in pairs:
        for name in (source, target):
            if name not in nodes.members:
                raise ConversionError(
                    f"{about}: its edge {source!r} -> {target!r} names the node {name!r}, which it does not have."
                )
        sources = ends[source][0] if source in ends else [prefix + source]
        targets = ends[target][1] if target in ends else [prefix + target]
        graph.edges += [(a, b) for a in sources for b in targets]


def _ends(group, prefix, kind):
    """Return the full names of the inputs or outputs of a nested graph: one of them."""
    names = [prefix + name for name, node in group.members["nodes"].members.items()
             if isinstance(node, Group) and _text(node, "type") == kind]  # fmt: skip
    if len(names) != 1:
        raise ConversionError(
            f"read_nir: the nested graph {prefix.removesuffix('.')!r} has {len(names)} {kind} nodes; one is supported."
        )
    return names
