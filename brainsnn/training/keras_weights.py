"""Assign the weights in Keras's HDF5 files to a model, after checking each."""

import numpy as np

from brainsnn.errors import warn
from brainsnn.hdf5_files import Array, Group
from brainsnn.training.keras_config import ModelFileError, snake_case
from brainsnn.training.keras_layers import name_of

__all__ = ["assign_legacy_weights", "assign_keras3_weights", "is_legacy_weights", "check_finite"]


def is_legacy_weights(group):
    """
    Return whether a group has the layout of Keras 2, one group per layer name.

    Parameters
    ----------
    group : Group

    Returns
    -------
    is_legacy : bool
    """
    return "layer_names" in group.attributes or "layer_names0" in group.attributes


def assign_legacy_weights(model, group, config):
    """
    Assign the weights of a Keras 2 weights group to a model.

    Layers are matched in order, as Keras does. If names differ, a warning says so.

    Parameters
    ----------
    model : keras.Model
        Built model; changed in place.
    group : Group
        Group with the attribute ``layer_names`` and a group for each layer.
    config : dict
        ``{"class_name": ..., "config": ...}`` of the model, whose layers are in the order of the file.

    Raises
    ------
    ModelFileError
        If a layer's weights are missing, too many, of the wrong shape, or not finite; or if the layers have the same
        names in another order.
    """
    if group.attributes.get("backend") == "theano":
        raise ModelFileError(
            "The weights were saved with Keras's Theano backend, whose convolution kernels are flipped. Save them with the "
            "TensorFlow backend."
        )
    stored = {}
    for name in _text_list(group, "layer_names"):
        layer_group = _group(group, name)
        names = _text_list(layer_group, "weight_names")
        if any("/lora_" in weight for weight in names):
            raise ModelFileError(
                f"Layer {name!r}: the file holds the matrices of LoRA apart from its kernel. Save the model as .keras: Keras "
                "then adds them to the kernel."
            )
        if names:
            stored[name] = [(weight, _dataset(layer_group, weight)) for weight in names]
    names = [name_of(entry) for entry in _entries(config)]
    found = {layer.name: _variables(layer) for layer in model.layers if layer.weights and _variables(layer)}
    wanted = {name: found[name] for name in names if name in found}
    if len(wanted) != len(stored):
        missing, extra = sorted(set(wanted) - set(stored)), sorted(set(stored) - set(wanted))
        raise ModelFileError(
            f"The weights file does not fit the model: no weights for the layers {missing}, and weights "
            f"for the layers {extra}, which the "
            "model does not have. Use the weights that were saved with this model."
        )
    _check_names(list(wanted), list(stored))
    for (name, variables), datasets in zip(wanted.items(), stored.values(), strict=True):
        _assign_layer(name, _match(name, variables, datasets))


def assign_keras3_weights(model, group, config):
    """
    Assign the weights of a Keras 3 weights file to a model.

    Parameters
    ----------
    model : keras.Model
        Built model; changed in place.
    group : Group
        Root of ``model.weights.h5``.
    config : dict
        ``{"class_name": ..., "config": ...}`` of the model. The file numbers the layers of each class in the order of
        the configuration.

    Raises
    ------
    ModelFileError
        If a layer's weights are missing, of the wrong shape, or not finite.
    """
    if "layers" not in group.members:
        raise ModelFileError(
            "The weights file has no group 'layers': it is not from Keras 3. Load the model in the Keras that wrote it and "
            "save it again."
        )
    counts, groups = {}, {}
    for entry in _entries(config):
        base = snake_case("Functional" if entry["class_name"] == "Model" else entry["class_name"])
        count = counts[base] = counts.get(base, -1) + 1
        entry_name = entry.get("name") or entry["config"].get("name")
        groups[entry_name] = (entry, f"{base}_{count}" if count else base)
    layers = _group(group, "layers")
    _check_groups(model, layers, {name: path for name, (_, path) in groups.items()})
    for layer in model.layers:
        if not layer.weights:
            continue
        entry, path = groups[layer.name]
        if path not in layers.members:
            raise ModelFileError(
                f"Layer {layer.name!r}: the file has no weights for it (no group 'layers/{path}'). A .keras file keeps the "
                "weights of a layer that two models share in one of them only: save such a model as .h5."
            )
        layer_group = _group(layers, path)
        if hasattr(layer, "layers"):
            assign_keras3_weights(layer, layer_group, entry)
            continue
        values = _group(layer_group, "vars")
        if not all(key.isdecimal() for key in values.members):
            raise ModelFileError(
                f"The file's {values.path!r} must hold arrays with numbers as names, got {sorted(values.members)}: the file is "
                "damaged. Save the model again."
            )
        names = sorted(values.members, key=int)
        variables = _variables(layer)
        _check_number(layer.name, len(variables), len(names))
        _assign_layer(
            layer.name, [(variable, _dataset(values, key)) for variable, key in zip(variables, names, strict=True)]
        )


def _check_groups(model, layers, paths):
    """Check the groups of a Keras 3 weights file, given the one of each layer: their names, and that none is left over."""
    names = {}
    for layer in model.layers:
        values = _values_of(layers, paths[layer.name]) if layer.weights and layer.name in paths else None
        if values is not None and isinstance(values.attributes.get("name"), str):
            names[layer.name] = values.attributes["name"]
    _check_names(list(names), list(names.values()))
    extra = set(layers.members) - set(paths.values())
    extra = sorted(key for key in extra if (values := _values_of(layers, key)) is not None and values.members)
    if extra:
        raise ModelFileError(
            f"The weights file does not fit the model: it has weights for {extra}, which the model does not have. Use the "
            "weights that were saved with this model."
        )


def _values_of(layers, path):
    """Return the group with the values of a layer, or None."""
    layer = layers.members.get(path)
    values = layer.members.get("vars") if isinstance(layer, Group) else None
    return values if isinstance(values, Group) else None


def _check_names(wanted, stored):
    """Check the names of layers whose weights are assigned in order: warn if they differ, refuse a permutation."""
    if wanted == stored:
        return
    if sorted(wanted) == sorted(stored):  # Keras assigns in order, whatever the names
        raise ModelFileError(
            f"The weights file has the layers in the order {stored}, the model in the order {wanted}: the weights "
            "belong to another model, or layers of a nested model were frozen when they were saved. Use the weights that "
            "were saved with this model."
        )
    warn("The names of the layers in the weights file differ from the model's; weights are assigned in order.")


def _entries(config):
    """Return the entries of a model's layers. Keras before 2.2.3 wrote a bare list for a sequential model."""
    inner = config["config"]
    return inner if isinstance(inner, list) else inner["layers"]


def check_finite(layer_name, weight_name, value):
    """
    Check that a weight has no NaN and no infinite values.

    Parameters
    ----------
    layer_name, weight_name : str
    value : ndarray of float

    Raises
    ------
    ModelFileError
        If a value is not finite.
    """
    n_bad = int(value.size - np.count_nonzero(np.isfinite(value)))
    if n_bad:
        raise ModelFileError(
            f"Layer {layer_name!r}: weight {weight_name!r} has {n_bad} of {value.size} values that are NaN or infinite. "
            "The training diverged: load an earlier checkpoint."
        )


def _variables(layer):
    """Return variables in the order of the files: trainable ones first, without states of random generators."""
    # A frozen layer lists all its variables as non-trainable in order of creation, as Keras does on saving.
    found = layer.trainable_weights + layer.non_trainable_weights
    return [variable for variable in found if "seed_generator" not in variable.path]


def _match(layer_name, variables, datasets):
    """Return pairs (variable, dataset): by name if the names agree and are unique, else in order."""
    _check_number(layer_name, len(variables), len(datasets))
    for depth in (2, 1):
        theirs = {_tail(name, depth): dataset for name, dataset in datasets}
        ours = [_tail(variable.path, depth) for variable in variables]
        if len(theirs) == len(datasets) and len(set(ours)) == len(ours) and set(ours) == set(theirs):
            # The layers of a nested model; the weights of a layer differ in the last part only.
            _check_names(*(list(dict.fromkeys("/".join(name[:-1]) for name in names)) for names in (ours, theirs)))
            return [(variable, theirs[key]) for variable, key in zip(variables, ours, strict=True)]
    return [(variable, dataset) for variable, (_, dataset) in zip(variables, datasets, strict=True)]


def _tail(path, depth):
    """Return the last parts of a weight's path, without the ``:0`` of a tensor."""
    return tuple(path.split(":")[0].split("/")[-depth:])


def _check_number(layer_name, expected, found):
    if expected != found:
        raise ModelFileError(
            f"Layer {layer_name!r}: the model has {expected} weights, the file has {found}. Use the "
            "weights that were saved with this model."
        )


def _assign_layer(layer_name, pairs):
    """Check all weights of a layer, then assign them."""
    values = []
    for variable, array in pairs:
        value = _values(layer_name, variable, array)
        if value.shape != tuple(variable.shape):
            raise ModelFileError(
                f"Layer {layer_name!r}: weight {variable.name!r} has the shape {value.shape} in the file and "
                f"{tuple(variable.shape)} in the model. Use the weights that were saved with this model."
            )
        values.append(value)
        with np.errstate(over="ignore"):  # too large for the type of the variable: infinite
            stored = value.astype("float32" if variable.dtype == "bfloat16" else variable.dtype)
        check_finite(layer_name, variable.name, stored)
    for (variable, _), value in zip(pairs, values, strict=True):
        variable.assign(value)


def _values(layer_name, variable, array):
    """Return the values of a weight. HDF5 has no type for bfloat16, the first half of float32: it holds two bytes."""
    value = array.values
    if value is not None and value.dtype == "V2" and variable.dtype == "bfloat16":
        return (value.view("uint16").astype("uint32") << 16).view("float32").reshape(value.shape)
    whole = "int" in variable.dtype  # such as the number of images seen by Normalization
    if value is None or value.dtype.kind not in ("fiu" if whole else "f"):
        raise ModelFileError(
            f"Layer {layer_name!r}: weight {variable.name!r} is stored as {array.dtype}, not as floating point of the "
            f"type {variable.dtype}. Save the model again from the Keras that trained it."
        )
    return value


def _descend(group, path):
    """Return the object at a path."""
    for part in path.split("/"):
        if not isinstance(group, Group) or part not in group.members:
            raise ModelFileError(
                f"The file has no {path!r}: it is damaged, or from an unknown version of Keras. Save the model again."
            )
        group = group.members[part]
    return group


def _dataset(group, path):
    return _of_kind(_descend(group, path), Array, "an array")


def _group(group, path):
    return _of_kind(_descend(group, path), Group, "a group")


def _of_kind(found, kind, what):
    if not isinstance(found, kind):
        raise ModelFileError(f"The file's {found.path!r} is not {what}: the file is damaged. Save the model again.")
    return found


def _text_list(group, name):
    """Return the list of strings in an attribute. Keras splits long ones into name0, name1, ..."""
    keys = [name] if name in group.attributes else []
    while not keys[:1] == [name] and f"{name}{len(keys)}" in group.attributes:
        keys.append(f"{name}{len(keys)}")
    found = [group.attributes[key] for key in keys]
    if not found or not all(isinstance(items, list) for items in found):
        raise ModelFileError(f"The file's group {group.path!r} has no {name!r}: it is damaged. Save the model again.")
    return [item for items in found for item in items]
