"""Readable names for the nodes of an ONNX file: those of the PyTorch modules, where the file tells them."""

import ast
import re
from collections import Counter, defaultdict

__all__ = ["SCOPES", "module_path", "readable_names"]

#: Where PyTorch's exporter writes the modules of a node, as the text of a Python list.
SCOPES = "pkg.torch.onnx.name_scopes"


def readable_names(nodes, taken=()):
    """
    Return a name for each node.

    Parameters
    ----------
    nodes : list of Node
    taken : iterable of str, optional
        Names that are not free.

    Returns
    -------
    names : list of str
        The path of the module, ``layer1.0.relu``. Where the module holds other modules or operators as well, the operator
        follows: ``layer1.0.Add``. Nodes without a module keep their name. A name that is taken
        gets a number: ``relu_2``.

    Examples
    --------
    >>> from types import SimpleNamespace as Node
    >>> names = "/layer1/layer1.0/relu/Relu", "/layer1/layer1.0/Add", "/fc/Gemm", "logits"
    >>> readable_names([Node(name=n, op_type=n.split("/")[-1], scopes="") for n in names])
    ['layer1.0.relu', 'layer1.0.Add', 'fc', 'logits']
    """
    paths = [module_path(node) for node in nodes]
    holders = {path[:k] for path, node in zip(paths, nodes) for k in range(len(path))}
    operators = defaultdict(set)
    for path, node in zip(paths, nodes):
        operators[path].add(node.op_type)
    names, taken, numbers = [], set(taken), Counter()
    for path, node in zip(paths, nodes):
        if not path:
            name = _own_name(node)
        elif path in holders or len(operators[path]) > 1:
            name = ".".join((*_joined(path), node.op_type))
        else:
            name = ".".join(_joined(path))
        names.append(_unique(name, taken, numbers))
    return names


def _unique(name, taken, numbers):
    """Return a name with a number if it is taken, and note it: ``taken`` is a set of names, ``numbers`` a Counter."""
    found = name
    while found in taken:
        numbers[name] += 1
        found = f"{name}_{numbers[name] + 1}"
    taken.add(found)
    return found


def module_path(node):
    """Return the modules around a node, from the outermost on, as a tuple of names; () if the file does not tell."""
    if isinstance(node.scopes, str) and 0 < len(node.scopes) < 10_000:
        try:
            scopes = ast.literal_eval(node.scopes)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            scopes = None
        if isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes):
            return tuple(filter(None, scopes[:-1]))  # the last one is the operation
    if node.name.startswith("/"):
        return tuple(filter(None, node.name.split("/")[:-1]))
    return ()


def _joined(path):
    """Return the parts of a path without those that the next one repeats: ``layer1``, ``layer1.0`` is ``layer1.0``."""
    followers = (*path[1:], "")
    return [part for part, follower in zip(path, followers) if not follower.startswith(f"{part}.")]


def _own_name(node):
    """Return the name of a node outside of any module."""
    return re.sub(r"^node_(?=.)", "", node.name).strip("/") or node.op_type
