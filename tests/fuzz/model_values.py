"""What every call of a layer in a Keras model gives, nested ones too, and comparisons of two models by it."""

import inspect
from collections import defaultdict

import numpy as np

__all__ = ["calls", "close", "is_model", "layer_values", "run_node", "same_values"]

#: Of values that are computed in another order, relative to the largest one. A graph is evaluated in double precision.
TOLERANCE = 1e-4


def is_model(layer):
    """Return whether a layer is a model that is nothing but its layers."""
    return type(layer).__module__.startswith("keras.") and (
        hasattr(layer, "_nodes_by_depth") or hasattr(layer, "_functional")
    )


def calls(model):
    """Return the graph of a functional or built sequential model, and its calls in an order in which they can run."""
    graph = getattr(model, "_functional", None) or model
    return graph, [node for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True) for node in nodes]


def _outputs(found):
    return list(found) if isinstance(found, (list, tuple)) else [found]


def layer_values(model, images):
    """
    Run a model as a whole, and call by call.

    Returns
    -------
    outputs : list of ndarray
        Of the model as a whole.
    values : dict of tuple of str to list of ndarray
        Path of names of a layer, through nested models -> the output of each of its calls.
    """
    values = defaultdict(list)
    outputs = _outputs(model(images if len(images) > 1 else images[0], training=False))
    if is_model(model):
        _walk(model, images, (), values)
    return [np.asarray(value) for value in outputs], dict(values)


def run_node(node, known):
    """
    Run one call of a layer, outside of its model.

    Parameters
    ----------
    node : keras Node
    known : dict of int to tensor
        Values of its input tensors, by their ids.
    """
    arguments, options = node.arguments.fill_in(known)
    if "training" in inspect.signature(node.operation.call).parameters:
        options = {**options, "training": False}  # as the model passes it on; augmentation layers augment by default
    return node.operation(*arguments, **options)


def _walk(model, inputs, path, values):
    graph, nodes = calls(model)
    known = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for node in nodes:
        if node.is_input:
            continue
        layer = node.operation
        if is_model(layer):
            found = _walk(layer, [known[id(t)] for t in node.input_tensors], (*path, layer.name), values)
        else:
            found = _outputs(run_node(node, known))
        for tensor, value in zip(node.outputs, found, strict=True):
            known[id(tensor)] = value
            values[*path, layer.name].append(np.asarray(value))
    return [known[id(tensor)] for tensor in graph.outputs]


def close(found, expected):
    """Return whether two arrays have one shape and are equal up to rounding, relative to their largest value."""
    if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return False
    scale = max(1e-3, float(np.abs(expected, dtype=float).max(initial=0)))
    return np.array_equal(np.isfinite(found), np.isfinite(expected)) and bool(
        np.allclose(found, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True)
    )


def same_values(found, expected):
    """Check that two models, of which `layer_values` told, give the same: each output, and each call of each layer."""
    outputs, values = found
    wanted_outputs, wanted = expected
    assert len(outputs) == len(wanted_outputs)
    for k, (value, other) in enumerate(zip(outputs, wanted_outputs, strict=True)):
        assert close(value, other), f"output {k}:\n{value}\nfor\n{other}"
    assert set(values) == set(wanted), f"layers {set(values) ^ set(wanted)} are in one of the models only"
    for path, expected_calls in wanted.items():
        left = list(values[path])
        assert len(left) == len(expected_calls), f"{path}: {len(left)} calls for {len(expected_calls)}"
        for other in expected_calls:  # the calls of a layer may come in another order
            same = [k for k, value in enumerate(left) if close(value, other)]
            assert same, f"layer {'/'.join(path)}: no call gives\n{other}\nbut\n{left}"
            del left[same[0]]
