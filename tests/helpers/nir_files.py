"""Write NIR files node by node, with h5py alone: also files that the package nir would refuse."""

import h5py
import numpy as np


def write_nir(path, nodes, edges, metadata=None):
    """Write nodes, name -> (type, fields), and edges; a nested graph is ("NIRGraph", (nodes, edges))."""
    with h5py.File(path, "w") as file:
        file["version"] = "1.0.8"
        _write_graph(file.create_group("node"), nodes, edges)
        _put(file["node"], "metadata", metadata or {})
    return path


def _write_graph(group, nodes, edges):
    group["type"] = "NIRGraph"
    group.create_dataset("edges", data=np.array(edges, dtype=object).reshape(-1, 2), dtype=h5py.string_dtype())
    members = group.create_group("nodes")
    for name, (kind, fields) in nodes.items():
        member = members.create_group(name)
        if kind == "NIRGraph":
            _write_graph(member, *fields)
            continue
        member["type"] = kind
        for key, value in fields.items():
            _put(member, key, value)


def _put(group, key, value):
    if isinstance(value, dict):
        for name, entry in value.items():
            _put(group.require_group(key), name, entry)
    else:
        group[key] = value


def lif(*shape, **changes):
    """Return a LIF node with equal neurons."""
    values = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0} | changes
    return "LIF", {name: value if np.ndim(value) else np.full(shape, value) for name, value in values.items()}


def chain(*nodes, shape, out):
    """Return the nodes and edges of a sequence: input, node_1, node_2, ..., output."""
    names = ["input", *(f"{kind.lower()}_{k}" for k, (kind, _) in enumerate(nodes, 1)), "output"]
    ends = ("Input", {"shape": np.array(shape)}), ("Output", {"shape": np.array(out)})
    return dict(zip(names, (ends[0], *nodes, ends[1]))), list(zip(names, names[1:]))
