"""Make a user's own Keras layers readable, and find the handler of a layer class."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from brainsnn.builders.from_keras.activations import activate
from brainsnn.builders.from_keras.classes import keras_name
from brainsnn.builders.from_keras.layers import HANDLERS, shape3
from brainsnn.builders.graph.activations import OUTPUT_ONLY, check_open
from brainsnn.builders.graph.merging import add_parts
from brainsnn.builders.operators.linear import ConvOperator, SparseOperator
from brainsnn.errors import ConversionError

__all__ = ["find_handler", "is_registered", "register_layer", "registered_class"]

#: Class -> (name of the Keras class that it is read as, or None; handler as in `HANDLERS`).
_REGISTERED: dict[type, tuple[str | None, Callable[..., Any]]] = {}

LayerClass = TypeVar("LayerClass", bound=type)

ACTIVATIONS = ("linear", "relu", "relu6", "leaky_relu", "hard_sigmoid", "asn", *OUTPUT_ONLY)

#: What a subclass may override and still be read as its parent: none of it changes what `call` computes.
_HARMLESS = frozenset(
    "build build_from_config compute_output_shape compute_output_spec from_config get_build_config get_config".split()
)


def register_layer(layer_class: LayerClass, handler: Callable[..., Any] | None = None) -> LayerClass:
    """
    Make a Keras layer class of your own readable by `read_keras`, `convert` and `load_model`.

    Parameters
    ----------
    layer_class : type
        Subclass of ``keras.layers.Layer``. The class itself is registered, not its name and not its subclasses.
    handler : callable, optional
        ``handler(layer, *input_shapes)`` says what a layer computes at inference. It gets the layer and the shape
        (H, W, C) of each of its inputs, and returns one of

        - an operator (`~brainsnn.builders.operators.ConvOperator` or
          `~brainsnn.builders.operators.SparseOperator`), for a linear layer with one input. For several inputs: a list
          with an operator for each, whose outputs are added;
        - ``(operator, bias)`` with a bias of shape (Co,) or (Ho, Wo, Co), or None;
        - ``(operator, bias, activation)`` for a linear layer followed by an activation;
        - ``"identity"`` for a layer that does nothing at inference;
        - the name of an activation: ``"relu"``, ``"relu6"``, ``"leaky_relu"``, ``"hard_sigmoid"``, ``"asn"`` (with
          ``layer.m_f`` and ``layer.threshold``, if it has them) or, at the output of the model, ``"softmax"``,
          ``"sigmoid"``, ``"tanh"`` or ``"softplus"``.

        By default the method ``to_operator(self, *input_shapes)`` of the class, which returns the same. A class without
        it is read as its nearest readable parent, provided that it overrides nothing that the parent computes.

    Returns
    -------
    layer_class : type
        The class, so that ``@register_layer`` works as a decorator.

    Raises
    ------
    TypeError
        If `layer_class` is not a Keras layer class, or `handler` cannot be called.
    ConversionError
        If there is no handler, no ``to_operator``, and no parent that the class could be read as.

    Notes
    -----
    Registration lasts for the process. Registering a class again replaces its handler. `load_model` makes layers of a
    registered class by calling it with the arguments that its ``get_config`` saved.

    Examples
    --------
    >>> import keras
    >>> import brainsnn as bs
    >>> from brainsnn.builders import operators
    >>> @bs.register_layer
    ... class Halve(keras.layers.Layer):
    ...     def call(self, x):
    ...         return x / 2
    ...     def to_operator(self, input_shape):
    ...         return operators.scale(0.5, input_shape)
    >>> pixels = keras.Input((4, 4, 1), name="pixels")
    >>> model = keras.Model(pixels, keras.layers.Dense(2, name="readout")(Halve(name="halve")(pixels)))
    >>> bs.read_keras(model).population("halve").name
    'readout'

    A class that you cannot or do not want to change gets a handler:

    >>> class Clip(keras.layers.Layer):
    ...     def call(self, x):
    ...         return keras.ops.maximum(x, 0)
    >>> Clip is bs.register_layer(Clip, lambda layer, input_shape: "relu")
    True
    """
    _check_arguments(layer_class, handler)
    _REGISTERED[layer_class] = _inherited_entry(layer_class) if handler is None else (None, _as_layer_handler(handler))
    return layer_class


def _check_arguments(layer_class, handler):
    """Check the arguments of `register_layer`."""
    if not (inspect.isclass(layer_class) and any(keras_name(base) == "Layer" for base in layer_class.__mro__)):
        raise TypeError(
            f"register_layer: layer_class must be a subclass of keras.layers.Layer, got {layer_class!r}. "
            "Pass the class, not a layer or a name."
        )
    if not (handler is None or callable(handler)):
        raise TypeError(
            f"register_layer: handler must be a function (layer, *input_shapes), got {handler!r} for "
            f"{layer_class.__name__}."
        )


def is_registered(layer_class):
    """Return whether `register_layer` was called for a class."""
    return layer_class in _REGISTERED


def registered_class(name):
    """
    Return the class of the user's that a model file calls by this name.

    Parameters
    ----------
    name : str
        Registered name in the sense of Keras, such as ``"package>MyLayer"`` or ``"MyLayer"``.

    Returns
    -------
    type or None
        The class registered last under that name.
    """
    own = [layer_class for layer_class in _REGISTERED if keras_name(layer_class) is None]
    if not own:
        return None
    import keras

    return next((each for each in reversed(own) if keras.saving.get_registered_name(each) == name), None)


def find_handler(layer_class):
    """
    Return how a layer class is read.

    Parameters
    ----------
    layer_class : type

    Returns
    -------
    name : str or None
        Name of the Keras class that it is, or that it is read as. None for a class with a handler of the user's.
    handler : callable or None
        As in `HANDLERS`. None for a class that cannot be read.
    """
    if layer_class in _REGISTERED:
        return _REGISTERED[layer_class]
    name = keras_name(layer_class)
    return name, HANDLERS.get(name)


def _inherited_entry(layer_class):
    """
    Return the entry of a class without a handler: its ``to_operator``, or the entry of its nearest readable parent.

    Raises a `ConversionError` if there is none, or if the class changes what that parent computes.
    """
    fix = f"Give it a method to_operator(self, input_shape), or call register_layer({layer_class.__name__}, handler)."
    mro = layer_class.__mro__
    for depth, base in enumerate(mro):
        if "to_operator" in vars(base):
            entry = None, _as_layer_handler(base.to_operator)
        else:  # an earlier registration of the class itself is being replaced
            entry = find_handler(base) if depth else (keras_name(base), HANDLERS.get(keras_name(base)))
        if entry[1] is not None:
            break
    else:
        raise ConversionError(
            f"register_layer: {layer_class.__name__} has no method to_operator, and none of its parents is a supported "
            f"layer. {fix}"
        )
    computes = {name for name in dir(base) if not name.startswith("__")} - _HARMLESS | {"__call__"}
    changed = {name for below in mro[:depth] for name in vars(below)} & computes
    if changed:
        raise ConversionError(
            f"register_layer: {layer_class.__name__} cannot be read as its parent {base.__name__}, because it overrides "
            f"{', '.join(sorted(changed))}. {fix}"
        )
    return entry


def _as_layer_handler(handler):
    """Return a handler as in `HANDLERS` that calls one of the user's and checks its result."""

    def read(layer, node, inputs, builder, label):
        shapes = [affine.shape for affine in inputs]
        try:
            result = handler(layer, *shapes)
        except Exception as error:
            raise ConversionError(
                f"its handler raised {type(error).__name__}: {error} (called with the layer and {shapes}).", layer
            ) from error
        if isinstance(result, str) and result == "identity":
            return _single(inputs, result, layer)
        check_open(inputs, layer)
        if isinstance(result, str):
            return activate(_single(inputs, result, layer), _activation(result, layer), layer, builder, label)
        operators, bias, activation = _parts(result, len(inputs), layer)
        output_shape = shape3(node.outputs[0].shape[1:], layer)
        for affine, operator in zip(inputs, operators):
            _check_operator(operator, affine.shape, output_shape, layer)
        bias = _checked_bias(bias, output_shape, layer)
        biases = [bias, *[None] * (len(operators) - 1)]
        parts = [builder.apply(*arguments, label, each) for *arguments, each in zip(inputs, operators, biases)]
        return activate(add_parts(parts, builder, label), activation, layer, builder, label)

    return read


def _wrong(layer, given, expected):
    """Return the error for a handler's result."""
    return ConversionError(f"its handler returned {given}; expected {expected}.", layer, "See brainsnn.register_layer.")


def _single(inputs, result, layer):
    """Return the only input of a layer, for handlers that return a name."""
    if len(inputs) != 1:
        raise _wrong(layer, f"{result!r} for {len(inputs)} inputs", "a list with one operator for each input")
    return inputs[0]


def _activation(name, layer):
    """Return the name of an activation after checking it."""
    if name not in ACTIVATIONS:
        raise _wrong(layer, repr(name), f"an operator, 'identity', or one of {', '.join(map(repr, ACTIVATIONS))}")
    return name


def _parts(result, n_inputs, layer):
    """Return (list of operators, bias, activation) of what a handler returned."""
    operators, bias, activation = result, None, None
    if isinstance(result, tuple):
        if not 1 <= len(result) <= 3:
            raise _wrong(layer, f"a tuple of {len(result)}", "(operator, bias) or (operator, bias, activation)")
        operators, bias, activation = (*result, None, None)[:3]
    operators = operators if isinstance(operators, list) else [operators]
    for operator in operators:
        if not isinstance(operator, (ConvOperator, SparseOperator)):
            raise _wrong(
                layer,
                f"an array of shape {operator.shape}" if isinstance(operator, np.ndarray) else f"{operator!r}",
                "a ConvOperator or SparseOperator, (operator, bias), 'identity' or an activation",
            )
    if len(operators) != n_inputs:
        raise _wrong(layer, f"{len(operators)} operator(s) for {n_inputs} input(s)", "one operator for each input")
    return operators, bias, "linear" if activation is None else _activation(activation, layer)


def _check_operator(operator, input_shape, output_shape, layer):
    """Check shapes and weights of an operator."""
    given = operator.input_shape, operator.output_shape
    if given != (input_shape, output_shape):
        raise _wrong(
            layer,
            f"an operator from {given[0]} to {given[1]}",
            f"one from the input shape {input_shape} to the output shape {output_shape} of the Keras layer",
        )
    weights = operator.kernel if isinstance(operator, ConvOperator) else operator.matrix.data
    if not np.isfinite(weights).all():
        raise _wrong(layer, "an operator with weights that are NaN or infinite", "finite weights")


def _checked_bias(bias, output_shape, layer):
    """Return a bias as an array after checking its shape and values, or None."""
    if bias is None:
        return None
    expected = f"a bias of shape ({output_shape[2]},) or {output_shape}, finite"
    try:
        bias = np.asarray(bias, dtype=float)
        fits = np.broadcast_shapes(bias.shape, output_shape) == output_shape
    except (TypeError, ValueError):
        fits = False
    if not fits:
        given = repr(bias) if isinstance(bias, str) else f"a bias of shape {np.shape(bias)}"
        raise _wrong(layer, given, expected)
    if not np.isfinite(bias).all():
        raise _wrong(layer, "a bias that is NaN or infinite", expected)
    return bias
