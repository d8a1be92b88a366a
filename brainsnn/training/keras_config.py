"""Build a Keras 3 model from the JSON of a model file of any age, executing nothing in it."""

import re
import sys
from contextlib import contextmanager

from brainsnn.builders.from_keras.classes import trains_by_default
from brainsnn.training.keras_layers import (
    ModelFileError,
    batch_shape,
    check_name,
    first_line,
    guarded,
    is_of_keras,
    make_layer,
    name_of,
    plain,
)  # fmt: skip

__all__ = ["ModelFileError", "build_model", "snake_case"]

MODEL_CLASSES = frozenset({"Model", "Functional", "Sequential"})
MERGE_CLASSES = frozenset({"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"})


def build_model(config):
    """
    Build an uncompiled Keras model with new weights from its parsed configuration.

    Parameters
    ----------
    config : dict
        ``{"class_name": ..., "config": ...}`` as Keras 2.2 to Keras 3 write it.

    Returns
    -------
    model : keras.Model
        Functional or sequential, with an open batch size. Initializers, regularizers and constraints are dropped:
        they do not change what a trained network computes.

    Raises
    ------
    ModelFileError
        If the configuration is damaged, or names a class that is not on the allow-list (Lambda, custom
        layers).
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise ModelFileError(
            "The model configuration has no 'class_name': it is not the JSON of a Keras model (model.to_json())."
        )
    if not _is_model(config):
        module = f" of {config['module']!r}" if config.get("module") else ""
        raise ModelFileError(
            f"The model is of class {config['class_name']!r}{module}; only functional and sequential models of Keras can be "
            "read. Save a functional model made from the same layers: keras.Model(inputs, outputs)."
        )
    try:
        return _build_any_model(config)
    except ModelFileError:
        raise
    except RecursionError as error:
        raise ModelFileError(
            "Its models are nested in each other so deeply that Python cannot open them. Rebuild it with fewer levels, or from "
            "the layers themselves, and save it again."
        ) from error
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ModelFileError(
            f"The model configuration is damaged or of an unknown form ({type(error).__name__}: "
            f"{first_line(error)}). Save the model again."
        ) from error


def _is_model(entry):
    return entry["class_name"] in MODEL_CLASSES and is_of_keras(entry)


def _build_any_model(entry):
    if entry["class_name"] == "Sequential" or isinstance(entry["config"], list):
        return _build_sequential(entry["config"])
    return _build_functional(entry["config"])


def _make(entry):
    """Return the layer or the nested model of an entry."""
    check_name(entry)
    return _build_any_model(entry) if _is_model(entry) else make_layer(entry)


def _build_sequential(config):
    """Build a sequential model. Keras before 2.2.3 wrote a bare list of layers."""
    import keras

    if isinstance(config, list):
        config = {"layers": config}
    entries = config["layers"]
    if not entries:
        raise ModelFileError("The sequential model has no layers.")
    layers = [_make(entry) for entry in entries]
    if entries[0]["class_name"] != "InputLayer":
        shape = batch_shape(entries[0]["config"]) if isinstance(entries[0]["config"], dict) else None
        shape = shape or config.get("build_input_shape")
        if shape is None and not _is_model(entries[0]):
            raise ModelFileError(
                f"Layer {name_of(entries[0])!r}: the sequential model does not say its input shape. "
                "Build it with model.build(...) before you save it."
            )
        if shape is not None:
            entries = [{"class_name": "InputLayer", "config": {"name": None}}, *entries]
            layers = [keras.layers.InputLayer(batch_shape=(None, *plain(shape)[1:])), *layers]
    try:
        with _room_for(len(layers)):  # all at once: with add, Keras builds the model again for each layer
            return keras.Sequential(layers, name=config.get("name"))
    except Exception:
        _name_fault(entries, layers)
        raise


def _name_fault(entries, layers):
    """Raise an error that names the layer which cannot follow those before it in a sequential model."""
    import keras

    model, tensor = keras.Sequential(), None
    for entry, layer in zip(entries, layers, strict=True):
        guarded(entry, model.add, layer, False)
        if tensor is None:
            tensor = keras.KerasTensor(layer.input_shape if _is_model(entry) else layer.batch_shape)
        if not isinstance(layer, keras.layers.InputLayer):
            tensor = guarded(entry, layer, tensor)


@contextmanager
def _room_for(n_layers):
    """Let Keras recurse through so many layers, as it does when it makes a model of them."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + n_layers)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _build_functional(config):
    """Build a functional model: make the layers, then call each as soon as its inputs exist."""
    import keras

    made, tensors, pending = {}, {}, []
    for entry in config["layers"]:
        check_name(entry)
        name = name_of(entry)
        if name in made:
            raise ModelFileError(
                f"Layer {name!r}: the model has two layers of that name. Rename one and save the model again."
            )
        made[name] = _make(entry)
        if entry["class_name"] == "InputLayer":
            tensors[name, 0] = [made[name].output]
        else:
            pending += [
                (entry, name, *call)
                for call in enumerate(_read_node(entry, made[name], n) for n in entry["inbound_nodes"])
            ]
    pending, output_references = _count_from_zero(config["layers"], pending, _references(config["output_layers"]))
    _call_in_order(pending, made, tensors)
    inputs = [_find(tensors, reference) for reference in _references(config["input_layers"])]
    outputs = [_find(tensors, reference) for reference in output_references]
    if not inputs or not outputs or any(tensor is None for tensor in inputs + outputs):
        raise ModelFileError("The model's inputs or outputs are not among its layers: the configuration is damaged.")
    with _room_for(len(pending)):
        return keras.Model(_single(inputs), _single(outputs), name=config.get("name"))


def _call_in_order(calls, made, tensors):
    """Make the calls (entry, name, index, (references, is_list)), each as soon as its inputs are among the tensors."""
    blocked = {}
    for first in calls:
        stack = [(first, iter(first[3][0]))]
        while stack:
            call, references = stack.pop()
            entry, name, index, (found, is_list) = call
            missing = next((reference[:2] for reference in references if reference[:2] not in tensors), None)
            if missing is not None:
                blocked.setdefault(missing, []).append((call, references))
                continue
            inputs = [_find(tensors, reference) for reference in found]
            if any(tensor is None for tensor in inputs):
                blocked[None] = [(call, references)]
                continue
            as_list = is_list or entry["class_name"] in MERGE_CLASSES
            output = guarded(entry, made[name], inputs if as_list else inputs[0])
            tensors[name, index] = list(output) if isinstance(output, (list, tuple)) else [output]
            stack += reversed(blocked.pop((name, index), []))
    if blocked:
        name = next(call[1] for call in calls if call[1:3] not in tensors)
        raise ModelFileError(
            f"Layer {name!r}: it takes its input from a layer that is not in the model, or from itself."
        )


def _count_from_zero(entries, calls, outputs):
    """
    Return the calls and the outputs of a model with references that count the calls of nested models from 0.

    Keras 2 counts them from 1, or from 0 for a sequential model without an input layer. Keras 3 counts from 0, but from
    1 where a functional model is an output of the outer one.
    """
    seen, first, first_of_output = {}, {}, {}
    for name, index, _ in [reference for *_, (references, _) in calls for reference in references] + outputs:
        seen.setdefault(name, set()).add(index)
    for entry in entries:
        name, nodes = name_of(entry), entry.get("inbound_nodes")
        if not _is_model(entry) or name not in seen:
            continue
        if isinstance(nodes[0], dict):
            first[name], first_of_output[name] = 0, int(entry["class_name"] != "Sequential")
        else:  # the model refers to each of the calls
            first[name] = first_of_output[name] = min(seen[name])
        if len(nodes) == 1:  # whatever the version counts from
            first[name] = first_of_output[name] = None

    def count(references, first):
        """Return references to calls, counted from 0."""
        starts = [first.get(name, 0) for name, *_ in references]
        return [(n, 0 if start is None else k - start, t) for (n, k, t), start in zip(references, starts, strict=True)]

    return [(*call, (count(found, first), as_list)) for *call, (found, as_list) in calls], count(
        outputs, first_of_output
    )


def _find(tensors, reference):
    name, node, index = reference
    found = tensors.get((name, node))
    return None if found is None or index >= len(found) else found[index]


def _single(values):
    return values[0] if len(values) == 1 else values


def _read_node(entry, layer, node):
    """Return ((name, node, tensor) of each input of one call, whether they come as a list)."""
    if isinstance(node, dict):  # Keras 3, which records the defaults of a call, too
        given = dict(node.get("kwargs") or {})
        if trains_by_default(layer):
            given.pop("training", None)
        _check_call_arguments(entry, given)
        arguments = node["args"]
        if len(arguments) != 1:
            raise ModelFileError(
                f"Layer {name_of(entry)!r}: it is called with {len(arguments)} arguments; one is supported. Call it with a list "
                "of tensors, and save the model again."
            )
        is_list = isinstance(arguments[0], list)
        found = arguments[0] if is_list else [arguments[0]]
        if "config" not in found[0]:
            raise ModelFileError(
                f"Layer {name_of(entry)!r} ({entry['class_name']}): it is called with {str(found[0])[:80]}, and only tensors "
                "and lists of tensors can be read. Rebuild the model with these and save it again."
            )
        return _references([tensor["config"]["keras_history"] for tensor in found]), is_list
    for reference in node if not isinstance(node[0], str) else [node]:  # Keras 2
        _check_call_arguments(entry, reference[3] if len(reference) > 3 else {})
    references = _references(node)
    return references, len(references) > 1


def _check_call_arguments(entry, arguments):
    for key, value in arguments.items():
        nothing = value in (None, False) or (key == "mask" and isinstance(value, list) and not any(value))
        if key not in ("training", "mask") or not nothing:
            raise ModelFileError(
                f"Layer {name_of(entry)!r} ({entry['class_name']}): it is called with {key}={value!r}, "
                "which is not supported. "
                "Rebuild the model without that argument and save it again."
            )


def _references(value):
    """Return (name, node, tensor) for each reference in a list; a single reference counts as a list of one."""
    if isinstance(value, dict):
        raise ModelFileError(
            f"The model or one that is nested in it has a dictionary of inputs or outputs: {', '.join(map(repr, value))}. "
            "Rebuild it with a list of them."
        )
    if value and isinstance(value[0], str):
        value = [value]
    return [(str(item[0]), int(item[1]), int(item[2])) for item in value]


def snake_case(class_name):
    """
    Return the name that Keras gives to the weights of a class in ``.keras`` files.

    Parameters
    ----------
    class_name : str
        Such as ``"Conv2D"``.

    Returns
    -------
    name : str
        Such as ``"conv2d"``.
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
