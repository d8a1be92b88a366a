"""From the JSON of a Keras model of any age to Keras 3 layers: by an allow-list, executing nothing."""

import inspect
import re
import warnings

from brainsnn.builders.from_keras.registry import registered_class

__all__ = ["ModelFileError", "build_model"]

#: Layer classes that a model file may name. `ASNTransfer` is added, and models may be nested.
LAYER_CLASSES = frozenset(
    """
    Activation Add AlphaDropout Average AveragePooling2D BatchNormalization Concatenate Conv2D Conv2DTranspose
    Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D
    GlobalMaxPooling2D LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum Multiply PReLU Permute ReLU
    Rescaling Reshape SeparableConv2D Softmax SpatialDropout2D Subtract UpSampling2D ZeroPadding2D
    """.split()
)
#: Names of older versions.
LAYER_ALIASES = {
    "Convolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "BatchNormalizationV1": "BatchNormalization",
}
MODEL_CLASSES = frozenset({"Model", "Functional", "Sequential"})
MERGE_CLASSES = frozenset({"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"})
#: Without hard_sigmoid, which Keras 3 computes otherwise than Keras 2 did.
ACTIVATIONS = frozenset(
    """
    linear relu relu6 sigmoid softmax tanh elu selu softplus softsign exponential gelu silu swish leaky_relu
    log_softmax mish
    """.split()
)
DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"})
#: Packages in which Keras's own classes live, or lived.
KERAS_PACKAGES = frozenset({"keras", "tf_keras", "tensorflow"})
#: Ends of the names of arguments that only matter before the weights are there, or during training.
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
#: Arguments with no effect on the result.
_IGNORED = frozenset(
    """
    adjustment autocast batch_input_shape batch_shape build_config fused init input_dtype input_shape optional
    quantization_config ragged renorm_clipping renorm_momentum sparse virtual_batch_size
    """.split()
)


class ModelFileError(ValueError):
    """A model file that cannot be read, or that is refused. The message says what to do."""


def build_model(config):
    """
    Build an uncompiled Keras model, with fresh weights, from the parsed JSON of its configuration.

    Parameters
    ----------
    config : dict
        ``{"class_name": ..., "config": ...}`` as Keras 2.2 to Keras 3 write it.

    Returns
    -------
    model : keras.Model
        Functional or sequential. Its batch size is left open. Initializers, regularizers and constraints are
        not taken over: they do not change what a trained network computes.

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
    if config["class_name"] not in MODEL_CLASSES:
        raise ModelFileError(
            f"The model is of class {config['class_name']!r}: only functional and sequential models can "
            "be read. Save a functional model "
            "made from the same layers, keras.Model(inputs, outputs)."
        )
    try:
        return _build_any_model(config)
    except ModelFileError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"The model configuration is damaged or of an unknown form ({type(error).__name__}: "
            f"{_first_line(error)}). Save the model again."
        ) from error


def _build_any_model(entry):
    if entry["class_name"] == "Sequential" or isinstance(entry["config"], list):
        return _build_sequential(entry["config"])
    return _build_functional(entry["config"])


def _build_sequential(config):
    """Sequential model; Keras 2 before 2.2.3 wrote a bare list of layers."""
    import keras

    if isinstance(config, list):
        config = {"layers": config}
    entries = config["layers"]
    if not entries:
        raise ModelFileError("The sequential model has no layers.")
    model = keras.Sequential(name=config.get("name"))
    if entries[0]["class_name"] != "InputLayer":
        shape = _batch_shape(entries[0]["config"]) if isinstance(entries[0]["config"], dict) else None
        shape = shape or config.get("build_input_shape")
        if shape is None and entries[0]["class_name"] not in MODEL_CLASSES:
            raise ModelFileError(
                f"Layer {_name_of(entries[0])!r}: the sequential model does not say its input shape. "
                "Build it (model.build(...)) before saving."
            )
        if shape is not None:
            model.add(keras.Input(batch_shape=(None, *_plain(shape)[1:])))
    for entry in entries:
        _guarded(entry, model.add, _make_layer(entry))
    return model


def _build_functional(config):
    """Functional model: make the layers, then call each as soon as its inputs exist."""
    import keras

    made, tensors, pending = {}, {}, []
    for entry in config["layers"]:
        name = _name_of(entry)
        if name in made:
            raise ModelFileError(f"Layer {name!r}: the model has two layers of that name.")
        made[name] = _make_layer(entry)
        if entry["class_name"] == "InputLayer":
            tensors[name, 0] = [made[name].output]
        else:
            nodes = [_read_node(entry, node) for node in entry["inbound_nodes"]]
            first = 1 if isinstance(made[name], keras.Model) and len(nodes) == 1 else 0
            pending += [(entry, name, first + index, node) for index, node in enumerate(nodes)]
    while pending:
        waiting = []
        for item in pending:
            entry, name, index, (references, is_list) = item
            inputs = [_find(tensors, reference) for reference in references]
            if any(tensor is None for tensor in inputs):
                waiting.append(item)
                continue
            as_list = is_list or entry["class_name"] in MERGE_CLASSES
            output = _guarded(entry, made[name], inputs if as_list else inputs[0])
            tensors[name, index] = list(output) if isinstance(output, (list, tuple)) else [output]
            if isinstance(made[name], keras.Model):
                tensors[name, 0] = tensors[name, index]
        if len(waiting) == len(pending):
            raise ModelFileError(
                f"Layer {waiting[0][1]!r}: it takes its input from a layer that is not in the model, or from itself."
            )
        pending = waiting
    inputs = [_find(tensors, reference) for reference in _references(config["input_layers"])]
    outputs = [_find(tensors, reference) for reference in _references(config["output_layers"])]
    if not inputs or not outputs or any(tensor is None for tensor in inputs + outputs):
        raise ModelFileError("The model's inputs or outputs are not among its layers: the configuration is damaged.")
    return keras.Model(_single(inputs), _single(outputs), name=config.get("name"))


def _find(tensors, reference):
    name, node, index = reference
    found = tensors.get((name, node))
    return None if found is None or index >= len(found) else found[index]


def _single(values):
    return values[0] if len(values) == 1 else values


def _read_node(entry, node):
    """((name, node, tensor) of each input, whether they come as a list) of one call of a layer."""
    if isinstance(node, dict):  # Keras 3
        _check_call_arguments(entry, node.get("kwargs") or {})
        arguments = node["args"]
        if len(arguments) != 1:
            raise ModelFileError(
                f"Layer {_name_of(entry)!r}: it is called with {len(arguments)} arguments; one is supported."
            )
        is_list = isinstance(arguments[0], list)
        found = arguments[0] if is_list else [arguments[0]]
        return _references([tensor["config"]["keras_history"] for tensor in found]), is_list
    for reference in node if not isinstance(node[0], str) else [node]:  # Keras 2
        _check_call_arguments(entry, reference[3] if len(reference) > 3 else {})
    references = _references(node)
    return references, len(references) > 1


def _check_call_arguments(entry, arguments):
    for key, value in arguments.items():
        if key not in ("training", "mask") or value not in (None, False):
            raise ModelFileError(
                f"Layer {_name_of(entry)!r} ({entry['class_name']}): it is called with {key}={value!r}, "
                "which is not supported. "
                "Rebuild the model without that argument and save it again."
            )


def _references(value):
    """(name, node, tensor) for each reference in a list of them; a lone reference counts as a list of one."""
    if isinstance(value, dict):
        raise ModelFileError("The model has a dictionary of inputs or outputs: rebuild it with a list of them.")
    if value and isinstance(value[0], str):
        value = [value]
    return [(str(item[0]), int(item[1]), int(item[2])) for item in value]


def _name_of(entry):
    config = entry.get("config")
    return entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "(no name)"


def _guarded(entry, function, *arguments):
    """Call Keras; what it refuses is reported with the layer's name and class."""
    try:
        return function(*arguments)
    except ModelFileError:
        raise
    except (
        Exception
    ) as error:  # Keras raises many kinds here, and all mean the same: this configuration cannot be built
        raise ModelFileError(
            f"Layer {_name_of(entry)!r} ({entry['class_name']}): cannot be built from its configuration: "
            f"{_first_line(error)}"
        ) from error


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _make_layer(entry):
    """One Keras 3 layer, or nested model, from its entry in the configuration."""
    import keras

    class_name = LAYER_ALIASES.get(entry["class_name"], entry["class_name"])
    if class_name in MODEL_CLASSES:
        return _build_any_model(entry)
    if class_name == "InputLayer":
        return _guarded(entry, _make_input, entry)
    if class_name.split(">")[-1] == "ASNTransfer":  # HDF5 files name a registered class "package>ASNTransfer"
        return _guarded(entry, _make_asn_transfer, entry["config"])
    registered = entry.get("registered_name") or class_name
    # Files leave registered_name empty for Keras's own classes, which a user's class may share its name with.
    own_class = (
        registered_class(registered) if entry.get("registered_name") or class_name not in LAYER_CLASSES else None
    )
    if own_class is not None:
        return _guarded(entry, _make_registered, entry, own_class)
    known = class_name in LAYER_CLASSES and registered in (class_name, entry["class_name"])
    if not known or (entry.get("module") or "keras").split(".")[0] not in KERAS_PACKAGES:
        raise ModelFileError(
            f"Layer {_name_of(entry)!r}: its class {registered!r} is not among those that can be read, because Lambda and "
            "unknown custom layers could execute code from the file. If the class is yours, import it and call "
            "brainsnn.register_layer(LayerClass, handler) first. Otherwise replace it by standard Keras layers (or "
            "ASNTransfer) and save the model again."
        )
    layer_class = getattr(keras.layers, class_name)
    return _guarded(entry, lambda: layer_class(**_modern_config(entry, layer_class)))


def _make_registered(entry, layer_class):
    """
    Return a layer of a class that the user registered.

    The constructor is called, not ``from_config``, and with plain values only: Keras's deserialization could import
    what the file names.
    """
    return layer_class(**_modern_config(entry, layer_class))


def _make_input(entry):
    import keras

    config = entry["config"]
    shape = _batch_shape(config)
    if shape is None or config.get("sparse"):
        raise ModelFileError(f"Layer {_name_of(entry)!r}: an input needs a shape and must be dense.")
    return keras.layers.InputLayer(
        batch_shape=(None, *shape[1:]), dtype=_dtype(entry, config.get("dtype")), name=_name_of(entry)
    )


def _batch_shape(config):
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    return None if shape is None else tuple(_plain(shape))


def _make_asn_transfer(config):
    """The transfer layer, whatever package wrote it; arguments that it does not have are reported and left out."""
    from brainsnn.training.asn_transfer import ASNTransfer

    known = {key: _plain(config[key]) for key in ("m_f", "threshold") if config.get(key) is not None}
    left_out = sorted(set(config) - {"m_f", "threshold", "name", "trainable", "dtype", "batch_input_shape", "autocast"})
    if left_out:
        warnings.warn(
            f"Layer {config.get('name')!r} (ASNTransfer): arguments left out: {', '.join(left_out)}.", stacklevel=2
        )
    dtype = _dtype({"class_name": "ASNTransfer", "config": config}, config.get("dtype"))
    return ASNTransfer(**known, name=config.get("name"), dtype=dtype)


def _modern_config(entry, layer_class):
    """The arguments of a layer, in the words of Keras 3."""
    config = dict(entry["config"])
    if config.pop("renorm", False):
        raise ModelFileError(
            f"Layer {_name_of(entry)!r}: batch renormalization is not supported. Train with plain BatchNormalization."
        )
    if "alpha" in config and layer_class.__name__ == "LeakyReLU":
        config["negative_slope"] = config.pop("alpha")
    if layer_class.__name__ == "BatchNormalization" and isinstance(config.get("axis"), (list, tuple)):
        config["axis"] = _single(list(config["axis"]))
    if "activation" in config:
        config["activation"] = _activation(entry, config["activation"])
    arguments = {
        "name": _name_of(entry),
        "dtype": _dtype(entry, config.pop("dtype", None)),
        "trainable": bool(config.pop("trainable", True)),
    }
    known = _arguments_of(layer_class)
    for key, value in config.items():
        if key == "name" or key in _IGNORED or key.endswith(_TRAINING_ONLY):
            continue
        if key in known:
            arguments[key] = _plain(value)
        elif value not in (None, False) and (key, value) != ("groups", 1):
            raise ModelFileError(
                f"Layer {_name_of(entry)!r} ({layer_class.__name__}): its argument {key}={value!r} has "
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
    """Name of a built-in activation; a function of the user's is refused."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    if value is None:
        return "linear"
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise ModelFileError(
            f"Layer {_name_of(entry)!r} ({entry['class_name']}): its activation {value!r} is not one of "
            "Keras's. Use one of "
            f"{', '.join(sorted(ACTIVATIONS))}, or an ASNTransfer layer."
        )
    return value


def _dtype(entry, value):
    """Name of a data type or of a policy."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, dict) else None
    value = "float32" if value is None else value
    if entry["class_name"] == "InputLayer" and value in ("uint8", "int8", "int32", "int64", "bool"):
        return value
    if value not in DTYPES:
        raise ModelFileError(
            f"Layer {_name_of(entry)!r}: data type {value!r} is not one of {', '.join(sorted(DTYPES))}."
        )
    return value


def _plain(value):
    """Numbers, strings and (nested) tuples from what JSON makes of them."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return _plain(value["items"])
        if value.get("type") == "ndarray":
            return _plain(value["value"])
        raise ValueError(f"unexpected object {str(value)[:80]!r} among the arguments")
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value


def snake_case(class_name):
    """
    Name that Keras gives to the weights of a class in ``.keras`` files.

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
