"""Which class of Keras a layer of a graph is, and what its call does by default."""

import inspect

__all__ = ["is_operation", "keras_name", "trains_by_default"]

#: Functions of keras.ops that are read as the layer of that name. Others, such as Average, compute something else.
OPERATIONS = frozenset({"Add", "Concatenate", "Relu", "Reshape", "Softmax", "Subtract"})


def keras_name(layer_class):
    """
    Return the name under which `HANDLERS` knows a class, or None for classes from outside of Keras.

    A user's class that shares its name with a Keras class is not mistaken for it. `ASNTransfer` is the one class that
    any package may define.

    Parameters
    ----------
    layer_class : type

    Returns
    -------
    str or None
    """
    name = layer_class.__name__
    if is_operation(layer_class) and name not in OPERATIONS:
        return None
    return name if layer_class.__module__.startswith("keras.") or name == "ASNTransfer" else None


def is_operation(layer_class):
    """Return whether a class is a function of ``keras.ops`` in a graph, and not a layer."""
    return layer_class.__module__.startswith("keras.") and ".ops." in layer_class.__module__


def trains_by_default(layer):
    """
    Return whether ``training=True`` is the default of a layer's call: then Keras records it, and a user did not ask for it.

    Parameters
    ----------
    layer : keras.Layer

    Returns
    -------
    bool
    """
    parameter = inspect.signature(layer.call).parameters.get("training")
    return parameter is not None and parameter.default is True
