"""What the handler of an operator gets: a node, its inputs, and the builder; and how it says no."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainsnn.builders.from_onnx.layout import Tensor
from brainsnn.builders.from_onnx.model_file import Node
from brainsnn.errors import ConversionError
from brainsnn.memory import check_size
from brainsnn.plain_arrays import is_number

__all__ = ["Call"]


@dataclass
class Call:
    """
    One node with what it reads.

    Parameters
    ----------
    node : Node
    inputs : list of Tensor, ndarray or None
        Tensors that depend on the image; constants; inputs that are left out.
    builder : GraphBuilder
    label : str
        Name of the node, unique.
    batch : int
        Images of a batch; 1 where the file leaves it open.
    limit : int
        Bytes that an array may take.
    """

    node: Node
    inputs: list[Any]
    builder: Any
    label: str
    batch: int
    limit: int

    def refuse(self, message, fix):
        """Return the error that names this node."""
        return ConversionError(message, self.node, fix)

    def attribute(self, name, default=None):
        """Return an attribute of the node."""
        return self.node.attributes.get(name, default)

    def number(self, name, default):
        """Return an attribute that is a finite number (float)."""
        value = self.attribute(name, default)
        if not is_number(value):
            raise self.refuse(f"{name}={value!r} is not a finite number.", "Export the trained model again.")
        return float(value)

    def tensor(self, k=0):
        """Return an input that depends on the image."""
        value = self._input(k)
        if not isinstance(value, Tensor):
            raise self.refuse(
                f"its input {self.node.inputs[k]!r} must depend on the image, and is a constant.", "Simplify the model."
            )
        return value

    def standard(self, k=0):
        """Return an input that depends on the image, in the standard order."""
        return self.tensor(k).standard(self.builder)

    def image(self, k=0):
        """Return an input of the shape (C, H, W), in the standard order."""
        tensor = self.standard(k)
        if len(tensor.shape) != 3:
            raise self.refuse(
                f"it reads a tensor of the shape {(self.batch, *tensor.shape)}; images (n, C, H, W) are supported.",
                "Give one-dimensional signals a height of 1.",
            )
        return tensor

    def constant(self, k, name=None):
        """Return an input that is an array, or None if it is left out; in old versions the attribute of a name."""
        if self._input(k, optional=True) is None:
            value = None if name is None else self.attribute(name)
            return None if value is None else np.asarray(value)
        value = self.inputs[k]
        if isinstance(value, Tensor):
            raise self.refuse(
                f"its input {self.node.inputs[k]!r} depends on the image, where a constant is needed: spikes are only added, and "
                "weights and sizes are fixed.",
                "Replace this part of the model, or cut the model before it.",
            )
        return value

    def whole_numbers(self, k, name=None):
        """Return an input, or an attribute, that is a list of whole numbers; None if it is left out."""
        value = self.constant(k, name)
        if value is None:
            return None
        if value.dtype.kind not in "iu" or value.ndim > 1:
            raise self.refuse(f"{name or 'its input'}={value} must be whole numbers.", "Export the model again.")
        return [int(n) for n in value.ravel()]

    def weight(self, k, *shapes):
        """
        Return an input that is a weight: finite, and of an expected rank.

        Parameters
        ----------
        k : int
        *shapes : int
            Ranks that it may have; any if none is given.
        """
        value = self.constant(k)
        name = self.node.inputs[k] if k < len(self.node.inputs) else f"number {k}"
        if value is None or value.dtype.kind != "f" or (shapes and value.ndim not in shapes):
            what = "left out" if value is None else f"of the type {value.dtype} and the shape {value.shape}"
            raise self.refuse(f"its weight {name!r} is {what}.", "Export the model again.")
        bad = np.count_nonzero(~np.isfinite(value))
        if bad:
            raise self.refuse(
                f"the weight {name!r} has {bad} of {value.size} values that are NaN or infinite.",
                "Train again or load another checkpoint.",
            )
        return value if value.dtype == np.float32 else value.astype(float)

    def has(self, k):
        """Return whether an input is given."""
        return self._input(k, optional=True) is not None

    def _input(self, k, optional=False):
        if k < len(self.inputs) and self.inputs[k] is not None:
            return self.inputs[k]
        if optional:
            return None
        raise self.refuse(f"its input number {k} is left out.", "Export the model again.")

    def check_size(self, n_values, what="its output"):
        """Refuse arrays that are too large, before they are made."""
        check_size(8 * n_values, self.limit, f"Node '{self.node.name}' ({self.node.op_type}): {what}", ConversionError)

    def apply(self, affine, operator, bias=None):
        """Return an affine map after an operator of this node, with a bias that broadcasts to its shape (Ho, Wo, Co)."""
        self.check_size(operator.size_out)
        return self.builder.apply(affine, operator, self.label, bias)
