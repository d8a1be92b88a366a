"""Load trained Keras models from files of any age, executing nothing in them."""

import difflib
import json
import zipfile
import zlib
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from brainsnn.files import check_file
from brainsnn.hdf5_files import read_hdf5
from brainsnn.memory import check_size, size_limit
from brainsnn.optional import optional_packages
from brainsnn.shipped import shipped_path
from brainsnn.training.keras_config import ModelFileError, build_model
from brainsnn.training.keras_import import import_keras
from brainsnn.training.keras_weights import assign_keras3_weights, assign_legacy_weights, is_legacy_weights
from brainsnn.training.weight_limit import weight_limit

if TYPE_CHECKING:
    import keras

__all__ = ["ModelFileError", "load_model"]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"
#: Python objects take up to so many times the bytes of their JSON text.
JSON_FACTOR = 20
_KINDS = {".keras": "keras", ".h5": "hdf5", ".hdf5": "hdf5", ".json": "json"}
_KNOWN = "A model is a .keras file, a whole-model .h5 or .hdf5 file, or a .json file with weights='....h5'."


def load_model(
    path: str | PathLike[str], weights: str | PathLike[str] | None = None, *, max_bytes: float | None = None
) -> "keras.Model":
    """
    Load a trained Keras model.

    Parameters
    ----------
    path : str or path-like
        ``.keras`` (Keras 3), whole-model ``.h5``/``.hdf5`` (Keras 2.2 and later), ``.json`` (``model.to_json()`` of
        Keras 2.2 and later), or the name of a network that ships with brainsnn, such as ``"digits"``.
    weights : str or path-like, optional
        HDF5 file of weights (``model.save_weights``), for a ``.json`` model only. A whole-model HDF5 file works too.
    max_bytes : float, optional
        How many bytes the configuration, the weights in the file and the weights of the model may each take in memory; half
        of what is available by default. What a file declares is summed up before anything is allocated.

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
        their layer, or are not finite; if it needs more than ``max_bytes``. The message names the layer and the fix. It is a
        `ValueError`.
    UnknownNameError
        If ``path`` is a bare name that no shipped network has.
    ModuleNotFoundError
        If TensorFlow or h5py is not installed. The message names the extra to install.

    Notes
    -----
    Nothing in the file is executed. The configuration is JSON. Layers are made from an allow-list of Keras classes, or
    by calling a class that you registered in this process, with plain numbers and strings. Weights are read as arrays
    and assigned in the order of the layers. Optimizers, initializers, regularizers and constraints are ignored.

    The first call imports TensorFlow, if that has not been done, and says so: it takes seconds.

    Examples
    --------
    >>> import brainsnn as bs
    >>> bs.load_model("digits").input_shape
    (None, 28, 28, 1)
    >>> model = bs.load_model("model.json", weights="weights.h5")      # doctest: +SKIP
    """
    limit = size_limit(max_bytes, "load_model")
    file, kind, head = _identify(shipped_path(path), "path")
    if kind != "json" and weights is not None:
        raise ModelFileError(
            f"load_model: {file.name!r} holds its own weights; weights={str(weights)!r} goes with a .json model only."
        )
    _check_head(file, kind, head)
    with _named(file), optional_packages("load_model"):
        if kind == "keras":
            return _load_keras3(file, limit)
        if kind == "hdf5":
            return _load_hdf5(file, limit)
        return _load_json(file, weights, limit)


@contextmanager
def _named(path):
    """Name a file in the errors of what is read from it."""
    try:
        yield
    except ModelFileError as error:
        if str(error).startswith("load_model:"):
            raise
        raise ModelFileError(f"load_model: {str(path)!r}: {error}") from error


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
        raise ModelFileError(
            f"load_model: {str(path)!r} ends in {path.suffix!r}. {_KNOWN} ONNX files are read by bs.read_onnx, NIR files by "
            "bs.read_nir."
        )
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


def _parse_json(text, what, limit):
    """Return JSON text or bytes as a dictionary."""
    check_size(JSON_FACTOR * len(text), limit, what, ModelFileError)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{what} is not valid JSON ({error}): the file is truncated or damaged. Save the model again."
        ) from error
    if not isinstance(config, dict):
        raise ModelFileError(f"{what} is not the JSON of a Keras model (model.to_json()).")
    return config


def _load_keras3(path, limit):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            missing = [name for name in ("config.json", "model.weights.h5") if name not in names]
            if missing:
                raise ModelFileError(f"the archive has no {' and no '.join(missing)}: it is not a Keras 3 model.")
            config, weights = (_member(archive, name, limit) for name in ("config.json", "model.weights.h5"))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(f"the archive is truncated or damaged ({error}). Save or download it again.") from error
    config, weights = _parse_json(config, "config.json", limit), _read_hdf5(weights, limit)
    return _assigned(_build(config, weights, limit), weights, config)


def _member(archive, name, limit):
    """Return a file of an archive. Other methods of compression cannot be read in pieces, whatever size they declare."""
    entries = [info for info in archive.infolist() if info.filename == name]
    if len(entries) > 1:
        raise ModelFileError(f"the archive holds {name!r} {len(entries)} times. Save the model again.")
    if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelFileError(f"{name!r} is compressed in a way that Keras does not use. Save the model again.")
    check_size(entries[0].file_size, limit, name, ModelFileError)
    with archive.open(entries[0]) as file:
        return file.read(
            entries[0].file_size
        )  # with its checksum; without a size, it would not stop at the declared one


def _read_hdf5(source, limit):
    """Return the content of an HDF5 file, or of bytes, without the state of optimizers."""
    return read_hdf5(source, limit, ModelFileError, "Save or download it again.", ("optimizer", "optimizer_weights"))


def _load_hdf5(path, limit):
    root = _read_hdf5(path, limit)
    text = root.attributes.get("model_config")
    if text is None:
        if "model_weights" in root.members or "layers" in root.members or "layer_names" in root.attributes:
            raise ModelFileError(
                "it holds weights but no model. Pass the model too: load_model('model.json', weights='weights.h5')."
            )
        raise ModelFileError("it is an HDF5 file, but holds no Keras model (no attribute 'model_config').")
    config = _parse_json(text, "its model_config", limit)
    if "model_weights" not in root.members:
        raise ModelFileError("it holds a model but no weights (no group 'model_weights'). Save it with model.save.")
    weights = root.members["model_weights"]
    return _assigned(_build(config, weights, limit), weights, config)


def _load_json(path, weights, limit):
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
    check_size(JSON_FACTOR * path.stat().st_size, limit, "the file", ModelFileError)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"it is not text in UTF-8 ({error}). Save model.to_json() again.") from error
    config = _parse_json(text, "the file", limit)
    with _named(weights_path):
        root = _read_hdf5(weights_path, limit)
    weights = root.members.get("model_weights", root)
    model = _build(config, weights, limit)
    with _named(weights_path):
        return _assigned(model, weights, config)


def _build(config, weights, limit):
    """Return the model of a configuration, if it is not far larger than its weights in the file."""
    import_keras()
    with weight_limit(limit, weights.n_bytes):
        return build_model(config)


def _assigned(model, weights, config):
    """Return the model with weights in either layout."""
    assign = assign_legacy_weights if is_legacy_weights(weights) else assign_keras3_weights
    assign(model, weights, config)
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # Normalization keeps what it computes with apart from its weights
            layer.finalize_state()
    return model
