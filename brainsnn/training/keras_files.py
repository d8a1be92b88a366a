"""Load trained Keras models from files of any age, executing nothing in them."""

import difflib
import io
import json
import zipfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from brainsnn.files import check_file
from brainsnn.optional import optional_packages
from brainsnn.shipped import shipped_path
from brainsnn.training.keras_config import ModelFileError, build_model

if TYPE_CHECKING:
    import keras

__all__ = ["ModelFileError", "load_model"]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"
_KINDS = {".keras": "keras", ".h5": "hdf5", ".hdf5": "hdf5", ".json": "json"}
_KNOWN = "A model is a .keras file, a whole-model .h5 or .hdf5 file, or a .json file with weights='....h5'."


def load_model(path: str | PathLike[str], weights: str | PathLike[str] | None = None) -> "keras.Model":
    """
    Load a trained Keras model.

    Parameters
    ----------
    path : str or path-like
        ``.keras`` (Keras 3), whole-model ``.h5``/``.hdf5`` (Keras 2.2 and later), ``.json`` (``model.to_json()`` of
        Keras 2.2 and later), or the name of a network that ships with brainsnn, such as ``"digits"``.
    weights : str or path-like, optional
        HDF5 file of weights (``model.save_weights``), for a ``.json`` model only. A whole-model HDF5 file works too.

    Returns
    -------
    model : keras.Model
        Functional or sequential Keras 3 model, not compiled, with an open batch size. Layers keep their names. Layers
        of any class named ``ASNTransfer`` become `brainsnn.training.ASNTransfer`. Layers of a class that was registered
        with `brainsnn.register_layer` become layers of that class.

    Raises
    ------
    ModelFileError
        If the file does not exist, is empty, truncated, not a model, or of another format than its name says; if it
        names a Lambda layer or a custom layer that is not registered; if weights are missing, do not fit the shape of
        their layer, or are not finite. The message names the layer and the fix. It is a `ValueError`.
    UnknownNameError
        If ``path`` is a bare name that no shipped network has.
    ModuleNotFoundError
        If TensorFlow or h5py is not installed. The message names the extra to install.

    Notes
    -----
    Nothing in the file is executed. The configuration is JSON. Layers are made from an allow-list of Keras classes, or
    by calling a class that you registered in this process, with plain numbers and strings. Weights are read as arrays
    and assigned in the order of the layers. Optimizers, initializers, regularizers and constraints are ignored.

    Examples
    --------
    >>> import brainsnn as bs
    >>> bs.load_model("digits").input_shape
    (None, 28, 28, 1)
    >>> model = bs.load_model("model.json", weights="weights.h5")      # doctest: +SKIP
    """
    file, kind, head = _identify(shipped_path(path), "path")
    if kind != "json" and weights is not None:
        raise ModelFileError(
            f"load_model: {file.name!r} holds its own weights; weights={str(weights)!r} goes with a .json model only."
        )
    _check_head(file, kind, head)
    try:
        with optional_packages("load_model"):
            if kind == "keras":
                return _load_keras3(file)
            if kind == "hdf5":
                return _load_hdf5(file)
            return _load_json(file, weights)
    except ModelFileError as error:
        if str(error).startswith("load_model:"):
            raise
        raise ModelFileError(f"load_model: {str(file)!r}: {error}") from error


def _identify(path, argument):
    """Return (path, kind by its name, first bytes) of a file, or raise an error that says what is wrong."""
    try:
        path = Path(path)
    except TypeError:
        raise ModelFileError(
            f"load_model: {argument} must be the path of a file, got {type(path).__name__}. {_KNOWN}"
        ) from None
    if path.is_dir():
        what = "a SavedModel directory" if (path / "saved_model.pb").exists() else "a directory"
        raise ModelFileError(
            f"load_model: {str(path)!r} is {what}, not a file. In the Keras that wrote it: "
            "model.save('model.h5') or model.save('model.keras')."
        )
    if path.exists():
        check_file(path, "load_model", ModelFileError)
    else:
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ModelFileError(f"load_model: there is no file {str(path)!r}.{hint}")
    if path.suffix.lower() not in _KINDS:
        raise ModelFileError(f"load_model: {str(path)!r} ends in {path.suffix!r}. {_KNOWN}")
    with open(path, "rb") as file:
        head = file.read(16)
    if not head:
        raise ModelFileError(f"load_model: {str(path)!r} is empty (0 bytes). Save or download it again.")
    return path, _KINDS[path.suffix.lower()], head


def _check_head(path, kind, head):
    """Check that a file's first bytes agree with its name."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(_HDF5_MAGIC):
        found = "hdf5"
    elif head.startswith(_ZIP_MAGIC):
        found = "keras"
    elif text[:1] in (b"{", b"["):
        found = "json"
    else:
        found = None
    if found == kind:
        return
    if found is None:
        pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
        what = (
            "a pickle, which is never opened because it can execute code"
            if pickled
            else "no Keras model, or damaged at the beginning"
        )
        raise ModelFileError(f"load_model: {str(path)!r} is {what}. {_KNOWN}")
    suffix = {"keras": ".keras", "hdf5": ".h5", "json": ".json"}[found]
    article = {"keras": "a zip archive", "hdf5": "an HDF5 file", "json": "JSON text"}[found]
    raise ModelFileError(
        f"load_model: {str(path)!r} is {article}, which its name does not say. If it is a model, "
        f"rename it to {path.stem + suffix!r}."
    )


def _parse_json(text, what):
    """Return JSON text or bytes as a dictionary."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{what} is not valid JSON ({error}): the file is truncated or damaged. Save the model again."
        ) from error
    if not isinstance(config, dict):
        raise ModelFileError(f"{what} is not the JSON of a Keras model (model.to_json()).")
    return config


def _load_keras3(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            missing = [name for name in ("config.json", "model.weights.h5") if name not in names]
            if missing:
                raise ModelFileError(f"the archive has no {' and no '.join(missing)}: it is not a Keras 3 model.")
            config, weights = archive.read("config.json"), archive.read("model.weights.h5")
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(f"the archive is truncated or damaged ({error}). Save or download it again.") from error
    config = _parse_json(config, "config.json")
    model = build_model(config)
    with _open_hdf5(io.BytesIO(weights)) as file:
        _assign(model, file, config)
    return model


def _load_hdf5(path):
    with _open_hdf5(path) as file:
        text = file.attrs.get("model_config")
        if text is None:
            if "model_weights" in file or "layers" in file or "layer_names" in file.attrs:
                raise ModelFileError(
                    "it holds weights but no model. Pass the model too: load_model('model.json', weights='weights.h5')."
                )
            raise ModelFileError("it is an HDF5 file, but holds no Keras model (no attribute 'model_config').")
        config = _parse_json(text, "its model_config")
        if "model_weights" not in file:
            raise ModelFileError("it holds a model but no weights (no group 'model_weights'). Save it with model.save.")
        model = build_model(config)
        _assign(model, file["model_weights"], config)
    return model


def _load_json(path, weights):
    if weights is None:
        raise ModelFileError(
            "a .json file holds no weights. Pass them too: load_model('model.json', weights='weights.h5')."
        )
    weights_path, kind, head = _identify(weights, "weights")
    if kind != "hdf5":
        raise ModelFileError(
            f"load_model: weights={str(weights)!r} must be an HDF5 file (.h5 or .hdf5), as "
            "model.save_weights writes it."
        )
    _check_head(weights_path, kind, head)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"it is not text in UTF-8 ({error}). Save model.to_json() again.") from error
    config = _parse_json(text, "the file")
    model = build_model(config)
    with _open_hdf5(weights_path) as file:
        try:
            _assign(model, file["model_weights"] if "model_weights" in file else file, config)
        except ModelFileError as error:
            raise ModelFileError(f"load_model: {str(weights_path)!r}: {error}") from error
    return model


def _assign(model, group, config):
    """Assign weights of either layout to the model."""
    from brainsnn.training.keras_weights import assign_keras3_weights, assign_legacy_weights, is_legacy_weights

    try:
        if is_legacy_weights(group):
            assign_legacy_weights(model, group, config)
        else:
            assign_keras3_weights(model, group, config)
    except (OSError, KeyError, RuntimeError) as error:
        raise ModelFileError(
            f"its weights cannot be read ({error}): it is truncated or damaged. Save the model again."
        ) from error
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # Normalization keeps what it computes with apart from its weights
            layer.finalize_state()


def _open_hdf5(source):
    """Open an HDF5 file, or bytes of one, for reading."""
    import h5py

    from brainsnn.training.keras_weights import refuse_references

    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise ModelFileError(
            f"it cannot be opened as HDF5 ({error}): it is truncated or damaged. Save or download it again."
        ) from error
    try:
        refuse_references(file)
    except BaseException:
        file.close()
        raise
    return file
