"""Make one Keras 3 layer from its entry in a model file of any age: by an allow-list, executing nothing."""

import inspect
import math
import re

from brainsnn.builders.from_keras.preprocessing import AUGMENTATIONS
from brainsnn.builders.from_keras.registry import registered_class
from brainsnn.errors import warn

__all__ = [
    "ModelFileError",
    "check_name",
    "first_line",
    "guarded",
    "is_of_keras",
    "make_layer",
    "name_of",
    "plain",
    "batch_shape",
]

#: Classes of Keras that a model file may name, besides `ASNTransfer`, registered classes and nested models.
LAYER_CLASSES = AUGMENTATIONS | frozenset(
    """
    Activation ActivityRegularization Add AlphaDropout Average AveragePooling2D BatchNormalization CenterCrop Concatenate
    Conv2D Conv2DTranspose Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten GaussianDropout GaussianNoise
    GlobalAveragePooling2D GlobalMaxPooling2D Identity LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum Multiply
    Normalization PReLU Permute ReLU Rescaling Reshape Resizing SeparableConv2D Softmax SpatialDropout1D SpatialDropout2D
    Subtract UpSampling2D ZeroPadding2D
    """.split()
)
#: Class names of older versions -> today's.
LAYER_ALIASES = {
    "Convolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "BatchNormalizationV1": "BatchNormalization",
}
#: hard_sigmoid is missing because Keras 3 computes another function than Keras 2 did.
ACTIVATIONS = frozenset(
    """
    linear relu relu6 sigmoid softmax tanh elu selu softplus softsign exponential gelu silu swish leaky_relu
    log_softmax mish
    """.split()
)
DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"})
#: Packages of Keras's own classes, in the files of all versions.
KERAS_PACKAGES = frozenset({"keras", "tf_keras", "tensorflow"})
#: Suffixes of arguments that matter only during training or before weights are loaded.
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
#: Arguments with no effect on the result. A .keras file holds kernels with LoRA's changes added.
_IGNORED = frozenset(
    """
    adjustment autocast batch_input_shape batch_shape build_config fused init input_dtype input_shape lora_alpha
    lora_rank optional quantization_config ragged renorm_clipping renorm_momentum sparse virtual_batch_size
    """.split()
)


class ModelFileError(ValueError):
    """
    Error for a model file that cannot be read or is refused. The message says what to do.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from pathlib import Path
    >>> from brainsnn.training import ModelFileError
    >>> _ = Path("notes.h5").write_text("not a model")
    >>> try:
    ...     bs.load_model("notes.h5")
    ... except ModelFileError as error:
    ...     print(type(error).__name__)
    ModelFileError
    """


def name_of(entry):
    """Return the name of a layer, for messages too."""
    config = entry.get("config")
    return entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "(no name)"


def check_name(entry):
    """Refuse a layer or nested model whose name is not text; weights are found by it."""
    if not isinstance(name_of(entry), str):
        raise ModelFileError(
            f"A layer of class {entry['class_name']!r} has the name {str(name_of(entry))[:80]}, which is not text: the "
            "configuration is damaged. Save the model again."
        )


def is_of_keras(entry):
    """Return whether an entry names a class of Keras. Files of Keras 3 say the module: None for a class of a script."""
    module = str(entry.get("module", "keras")).split(".")[0]
    return module in KERAS_PACKAGES and entry.get("registered_name") in (None, entry["class_name"])


def guarded(entry, function, *arguments):
    """Call Keras and turn its errors into one that names the layer and its class."""
    try:
        return function(*arguments)
    except (ModelFileError, RecursionError):
        raise
    except Exception as error:  # Keras raises many types, all because the configuration cannot be built
        raise ModelFileError(
            f"Layer {name_of(entry)!r} ({entry['class_name']}): cannot be built from its configuration: "
            f"{first_line(error)}"
        ) from error


def first_line(error):
    """Return the first line of an error's message that says what is wrong, at most 300 characters."""
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return (lines[0] if lines else type(error).__name__)[:300]


def make_layer(entry):
    """
    Make a Keras 3 layer from its entry in the configuration.

    Parameters
    ----------
    entry : dict
        ``{"class_name": ..., "config": ...}`` with further keys that depend on the version of Keras.

    Returns
    -------
    layer : keras.Layer

    Raises
    ------
    ModelFileError
        If the class is neither on the allow-list nor registered with `brainsnn.register_layer`, or if its arguments
        cannot be read.
    """
    class_name = LAYER_ALIASES.get(entry["class_name"], entry["class_name"])
    if class_name == "InputLayer" and is_of_keras(entry):
        return guarded(entry, _make_input, entry)
    if class_name.split(">")[-1] == "ASNTransfer":  # HDF5 files name a registered class "package>ASNTransfer"
        return guarded(entry, _make_asn_transfer, entry["config"])
    if _is_operation(entry, class_name):
        return _make_operation(entry, class_name)
    layer_class = _find_class(entry, class_name)
    # Call the constructor, never from_config: Keras's deserialization could import what the file names.
    return guarded(entry, lambda: layer_class(**_modern_config(entry, layer_class)))


def _find_class(entry, class_name):
    """Return the class of a layer: a registered one of the user's, or one of Keras on the allow-list."""
    import keras

    registered = entry.get("registered_name") or class_name
    # Files leave registered_name empty for Keras's own classes. A user's class may share its name with one of them.
    if entry.get("registered_name") or class_name not in LAYER_CLASSES:
        if (own_class := registered_class(registered)) is not None:
            return own_class
    if not is_of_keras(entry):
        what = f"{registered!r} is a custom class"
    elif class_name == "Lambda":
        what = "'Lambda' holds code of its own"
    elif not hasattr(keras.layers, class_name):
        what = f"{class_name!r} is not among the layers of Keras {keras.__version__}"
    elif class_name not in LAYER_CLASSES:
        raise ModelFileError(
            f"Layer {name_of(entry)!r}: Keras's class {class_name!r} is not among those that can be read. Replace it by one "
            f"of {', '.join(sorted(LAYER_CLASSES - AUGMENTATIONS))}, by an ASNTransfer layer, or by a layer that augments "
            "images, and save the model again."
        )
    else:
        return getattr(keras.layers, class_name)
    raise ModelFileError(
        f"Layer {name_of(entry)!r}: its class {what}, and no code that a file names or holds is loaded, because it could "
        "execute code that you do not know. If the class is yours, import it and call "
        "brainsnn.register_layer(LayerClass, handler) first. Otherwise replace it by standard Keras layers (or "
        "ASNTransfer) and save the model again."
    )


def _is_operation(entry, class_name):
    """Return whether an entry is a function of keras.ops, whose class may share its name with one of a layer."""
    import keras

    if "module" in entry:
        return ".ops." in str(entry["module"])
    # HDF5 files name no module.
    return not {"trainable", "dtype"} & set(entry["config"]) and hasattr(keras.ops, class_name.lower())


def _make_operation(entry, class_name):
    """Return the layer Reshape for a function of keras.ops that keeps the batch axis; refuse all other functions."""
    import keras

    if class_name == "Reshape":
        shape = entry["config"]["newshape"]
        before = entry["inbound_nodes"][0]["args"][0]["config"]["shape"]
        if (
            isinstance(shape, list)
            and None not in before[1:]
            and shape[0] == -1
            and math.prod(shape) == -math.prod(before[1:])
        ):
            return keras.layers.Reshape(plain(shape[1:]), name=name_of(entry))
        raise ModelFileError(
            f"Layer {name_of(entry)!r}: keras.ops.reshape from {tuple(before)} to {shape} does not keep the batch axis, and "
            "images of a batch must not mix. Use keras.layers.Reshape and save the model again."
        )
    raise ModelFileError(
        f"Layer {name_of(entry)!r}: it is a function of keras.ops ({class_name.lower()!r}; + and - are such functions), "
        "and only layers can be read. Use a layer of keras.layers instead and save the model again."
    )


def _make_input(entry):
    import keras

    config = entry["config"]
    shape = batch_shape(config)
    if shape is None or config.get("sparse"):
        raise ModelFileError(
            f"Layer {name_of(entry)!r}: an input needs a shape and must be dense. Use keras.Input((height, width, channels))."
        )
    return keras.layers.InputLayer(
        batch_shape=(None, *shape[1:]), dtype=_dtype(entry, config.get("dtype")), name=name_of(entry)
    )


def batch_shape(config):
    """Return the input shape that a layer's configuration holds, with the batch, or None."""
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    return None if shape is None else tuple(plain(shape))


def _make_asn_transfer(config):
    """Make an `ASNTransfer` layer, whatever package wrote it; warn of arguments that it does not have."""
    from brainsnn.training.asn_transfer import ASNTransfer

    arguments = ("m_f", "threshold", "tau_eta", "tau_gamma")
    known = {key: plain(config[key]) for key in arguments if config.get(key) is not None}
    left_out = sorted(set(config) - {*arguments, "name", "trainable", "dtype", "batch_input_shape", "autocast"})
    if left_out:
        warn(f"Layer {config.get('name')!r} (ASNTransfer): arguments ignored: {', '.join(left_out)}.")
    dtype = _dtype({"class_name": "ASNTransfer", "config": config}, config.get("dtype"))
    return ASNTransfer(**known, name=config.get("name"), dtype=dtype)


def _modern_config(entry, layer_class):
    """Return the arguments of a layer's constructor, renamed for Keras 3."""
    config = dict(entry["config"])
    if config.pop("renorm", False):
        raise ModelFileError(
            f"Layer {name_of(entry)!r}: batch renormalization is not supported. Train with plain BatchNormalization."
        )
    if "alpha" in config and layer_class.__name__ == "LeakyReLU":
        config["negative_slope"] = config.pop("alpha")
    axis = config.get("axis")
    if layer_class.__name__ == "BatchNormalization" and isinstance(axis, (list, tuple)) and len(axis) == 1:
        config["axis"] = axis[0]
    if "activation" in config:
        config["activation"] = _activation(entry, config["activation"])
    arguments = {
        "name": name_of(entry),
        "dtype": _dtype(entry, config.pop("dtype", None)),
        "trainable": bool(config.pop("trainable", True)),
    }
    known = _arguments_of(layer_class)
    if "trainable" not in known:  # such as SpatialDropout2D
        del arguments["trainable"]
    for key, value in config.items():
        if key == "name" or key in _IGNORED or key.endswith(_TRAINING_ONLY):
            continue
        if key in known:
            arguments[key] = plain(value)
        elif value not in (None, False) and (key, value) != ("groups", 1):
            raise ModelFileError(
                f"Layer {name_of(entry)!r} ({layer_class.__name__}): its argument {key}={value!r} has "
                "no counterpart in Keras 3. "
                "Rebuild the layer without it and save the model again."
            )
    return arguments


def _arguments_of(layer_class):
    """Return the names of the arguments of a layer's constructor, and of those that get its ``**kwargs``."""
    names = set()
    for base in layer_class.__mro__:
        parameters = inspect.signature(base.__init__).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return names - {"self"}


def _activation(entry, value):
    """Return the name of a built-in activation; refuse any other function."""
    if isinstance(value, dict):
        inner = value.get("config")
        if value.get("class_name") == "ReLU" and isinstance(inner, dict):
            return _relu_activation(entry, value.get("module", "keras"), inner)
        value = inner if isinstance(inner, str) else value.get("class_name") or str(value)  # None would be linear
    if value is None:
        return "linear"
    if not isinstance(value, str) or value not in ACTIVATIONS:
        reason = "is not one of those that can be read"
        if value == "hard_sigmoid":
            reason = "is another function in Keras 2 than in Keras 3, and cannot be read"
        raise ModelFileError(
            f"Layer {name_of(entry)!r} ({entry['class_name']}): its activation {value!r} {reason}. Use one of "
            f"{', '.join(sorted(ACTIVATIONS))}, or an ASNTransfer layer."
        )
    return value


def _relu_activation(entry, module, config):
    """Return "relu" for an activation that is a ReLU layer without settings of its own; refuse another."""
    known = {"max_value": None, "negative_slope": 0, "threshold": 0}
    changed = {key: config[key] for key, plain_value in known.items() if config.get(key, plain_value) != plain_value}
    if changed or (module or "").split(".")[0] not in KERAS_PACKAGES:
        raise ModelFileError(
            f"Layer {name_of(entry)!r} ({entry['class_name']}): its activation is a layer 'ReLU' of {module} with the "
            f"settings {changed}, which cannot be read as an activation. Use keras.layers.ReLU after the layer, or 'relu'."
        )
    return "relu"


def _dtype(entry, value):
    """Return the name of a data type or policy."""
    if isinstance(value, dict):
        inner = value.get("config")
        inner = inner if isinstance(inner, dict) else {}
        value = f"{inner['mode']}_from_{inner.get('source_name')}" if "mode" in inner else inner.get("name")
    value = "float32" if value is None else value
    if entry["class_name"] == "InputLayer" and value in ("uint8", "int8", "int32", "int64", "bool"):
        return value
    if "_from_" in str(value):  # as in int8_from_float32
        raise ModelFileError(
            f"Layer {name_of(entry)!r}: it is quantized ({value.split('_from_')[0]}): Keras rounds its inputs, too, which no "
            "spiking network does. Save the model before model.quantize()."
        )
    if value not in DTYPES:
        raise ModelFileError(
            f"Layer {name_of(entry)!r}: data type {value!r} is not one of {', '.join(sorted(DTYPES))}."
        )
    return value


def plain(value):
    """Return numbers, strings and (nested) tuples from their JSON form; refuse any other object."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return plain(value["items"])
        if value.get("class_name") in ("__numpy__", "__tensor__"):
            return plain(value["config"]["value"])
        if value.get("type") == "ndarray":
            return plain(value["value"])
        raise ValueError(f"unexpected object {str(value)[:80]!r} among the arguments")
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    return value
