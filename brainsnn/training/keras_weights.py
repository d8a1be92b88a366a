"""Assign the weights in Keras's HDF5 files to a model, after checking each."""

import warnings

import h5py
import numpy as np

from brainsnn.training.keras_config import ModelFileError, snake_case

__all__ = ["refuse_references", "assign_legacy_weights", "assign_keras3_weights", "is_legacy_weights", "check_finite"]


def is_legacy_weights(group):
    """
    Return whether a group has the layout of Keras 2, one group per layer name.

    Parameters
    ----------
    group : h5py.Group

    Returns
    -------
    is_legacy : bool
    """
    return "layer_names" in group.attrs or "layer_names0" in group.attrs


def assign_legacy_weights(model, group, config):
    """
    Assign the weights of a Keras 2 weights group to a model.

    Layers are matched in order, as Keras does. If names differ, a warning says so.

    Parameters
    ----------
    model : keras.Model
        Built model; changed in place.
    group : h5py.Group
        Group with the attribute ``layer_names`` and a group for each layer.
    config : dict
        ``{"class_name": ..., "config": ...}`` of the model, whose layers are in the order of the file.

    Raises
    ------
    ModelFileError
        If a layer's weights are missing, too many, of the wrong shape, or not finite; or if the layers have the same
        names in another order.
    """
    backend = _text(group.attrs.get("backend", "tensorflow"))
    if backend == "theano":
        raise ModelFileError(
            "The weights were saved with Keras's Theano backend, whose convolution kernels are flipped. Save them with the "
            "TensorFlow backend."
        )
    stored = {}
    for name in _text_list(group, "layer_names"):
        layer_group = _descend(group, name)
        names = _text_list(layer_group, "weight_names")
        if any("/lora_" in weight for weight in names):
            raise ModelFileError(
                f"Layer {name!r}: the file holds the matrices of LoRA apart from its kernel. Save the model as .keras: Keras "
                "then adds them to the kernel."
            )
        if names:
            stored[name] = [(weight, _dataset(layer_group, weight)) for weight in names]
    names = [entry.get("name") or entry["config"].get("name") for entry in _entries(config)]
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
    group : h5py.Group
        Root of ``model.weights.h5``.
    config : dict
        ``{"class_name": ..., "config": ...}`` of the model. The file numbers the layers of each class in the order of
        the configuration.

    Raises
    ------
    ModelFileError
        If a layer's weights are missing, of the wrong shape, or not finite.
    """
    if "layers" not in group:
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
    _check_groups(model, group["layers"], {name: path for name, (_, path) in groups.items()})
    for layer in model.layers:
        if not layer.weights:
            continue
        entry, path = groups[layer.name]
        if path not in group["layers"]:
            raise ModelFileError(
                f"Layer {layer.name!r}: the file has no weights for it (no group 'layers/{path}'). A .keras file keeps the "
                "weights of a layer that two models share in one of them only: save such a model as .h5."
            )
        layer_group = _descend(group, f"layers/{path}")
        if hasattr(layer, "layers"):
            assign_keras3_weights(layer, layer_group, entry)
            continue
        values = _descend(layer_group, "vars")
        names = sorted(values, key=int)
        variables = _variables(layer)
        _check_number(layer.name, len(variables), len(names))
        _assign_layer(
            layer.name, [(variable, _dataset(values, key)) for variable, key in zip(variables, names, strict=True)]
        )


def _check_groups(model, layers, paths):
    """Check the groups of a Keras 3 weights file, given the one of each layer: their names, and that none is left over."""
    names = {}
    for layer in model.layers:
        values = layers.get(f"{paths[layer.name]}/vars") if layer.weights and layer.name in paths else None
        if isinstance(values, h5py.Group) and "name" in values.attrs:
            names[layer.name] = _text(values.attrs["name"])
    _check_names(list(names), list(names.values()))
    extra = set(layers) - set(paths.values())
    extra = sorted(key for key in extra if isinstance(layers[key], h5py.Group) and layers[key].get("vars"))
    if extra:
        raise ModelFileError(
            f"The weights file does not fit the model: it has weights for {extra}, which the model does not have. Use the "
            "weights that were saved with this model."
        )


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
    warnings.warn(
        "The names of the layers in the weights file differ from the model's; weights are assigned in order.",
        stacklevel=3,
    )


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
    for variable, dataset in pairs:
        if tuple(dataset.shape) != tuple(variable.shape):
            raise ModelFileError(
                f"Layer {layer_name!r}: weight {variable.name!r} has the shape {tuple(dataset.shape)} in "
                "the file and "
                f"{tuple(variable.shape)} in the model. Use the weights that were saved with this model."
            )
        values.append(_values(layer_name, variable, dataset))
        check_finite(layer_name, variable.name, values[-1])
    for (variable, _), value in zip(pairs, values, strict=True):
        variable.assign(value)


def _values(layer_name, variable, dataset):
    """Return the values of a weight. HDF5 has no type for bfloat16, the first half of float32: it holds two bytes."""
    value = dataset[()]
    if dataset.dtype == "V2" and variable.dtype == "bfloat16":
        return (np.frombuffer(value.tobytes(), "uint16").astype("uint32") << 16).view("float32").reshape(value.shape)
    whole = "int" in variable.dtype  # such as the number of images seen by Normalization
    if dataset.dtype.kind not in ("fiu" if whole else "f"):
        raise ModelFileError(
            f"Layer {layer_name!r}: weight {variable.name!r} is stored as {dataset.dtype}, not as floating point of the "
            f"type {variable.dtype}. Save the model again from the Keras that trained it."
        )
    return value


def refuse_references(file):
    """
    Refuse an HDF5 file that refers to other places or other files, anywhere in it.

    Parameters
    ----------
    file : h5py.File

    Raises
    ------
    ModelFileError
        If it holds a soft or external link, or an array whose values are kept elsewhere.
    """

    links = []
    file.visititems_links(lambda path, link: links.append((path, link)))
    for path, link in links:
        if not isinstance(link, h5py.HardLink):
            raise ModelFileError(
                f"The file's {path!r} is a link to another place, which is not followed. Save the model again."
            )
        found = file[path]
        if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
            raise ModelFileError(
                f"The file's {path!r} keeps its values in another file, which is not read. Save the model again."
            )


def _descend(group, path):
    """Return the object at a path."""
    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or part not in group:
            raise ModelFileError(
                f"The file has no {path!r}: it is damaged, or from an unknown version of Keras. Save the model again."
            )
        group = group[part]
    return group


def _dataset(group, path):
    found = _descend(group, path)
    if not isinstance(found, h5py.Dataset):
        raise ModelFileError(f"The file's {path!r} is not an array: the file is damaged. Save the model again.")
    return found


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _text_list(group, name):
    """Return the list of strings in an attribute. Keras splits long ones into name0, name1, ..."""
    if name in group.attrs:
        return [_text(item) for item in group.attrs[name]]
    found = []
    while f"{name}{len(found)}" in group.attrs:
        found.append([_text(item) for item in group.attrs[f"{name}{len(found)}"]])
    if not found:
        raise ModelFileError(f"The file's group {group.name!r} has no {name!r}: it is damaged. Save the model again.")
    return [item for chunk in found for item in chunk]
