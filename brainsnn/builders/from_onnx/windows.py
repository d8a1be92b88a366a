"""Windows of convolutions and pooling: size, step and padding as ONNX defines them."""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Windows", "clipped", "transposed_windows", "windows"]


@dataclass(frozen=True)
class Windows:
    """
    Windows over a map; each field holds a number for the rows and one for the columns.

    Parameters
    ----------
    size, strides, dilations : (int, int)
    extent : (int, int)
        Size of the output.
    before, after : (int, int)
        Padding that the file declares; negative for a crop.
    """

    size: tuple
    strides: tuple
    dilations: tuple
    extent: tuple
    before: tuple
    after: tuple

    @property
    def taps(self):
        """Offsets of rows and of columns, from the first pixel of a window at 0."""
        return [np.arange(k) * d - b for k, d, b in zip(self.size, self.dilations, self.before)]

    def padded(self, shape):
        """Return the shape (H, W, C) of which the windows without padding are these, with the declared padding before it."""
        spans = [
            (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(self.extent, self.strides, self.size, self.dilations)
        ]
        return (*spans, shape[2])


def clipped(operator, shape, before):
    """Return an operator of a padded map for the map (H, W, C) without its padding."""
    return replace(
        operator, input_shape=shape, row_taps=operator.row_taps - before[0], col_taps=operator.col_taps - before[1]
    )


def windows(call, shape, size, pools=False):
    """
    Return the windows of a node.

    Parameters
    ----------
    call : Call
    shape : (H, W, C)
        Of the map.
    size : sequence of int
        Rows and columns.
    pools : bool, optional
        Whether padding must be smaller than the window, as for pooling.

    Returns
    -------
    Windows

    Raises
    ------
    ConversionError
        If the settings make no sense, or a window does not fit the map.
    """
    size = tuple(size)
    strides, dilations = (_pair(call, name, (1, 1), 1) for name in ("strides", "dilations"))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilations)]
    mode = _auto_pad(call)
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        extent = tuple(-(-n // s) for n, s in zip(shape, strides))
        total = [max((o - 1) * s + r - n, 0) for o, s, r, n in zip(extent, strides, reach, shape)]
        small, large = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
        before, after = (small, large) if mode == "SAME_UPPER" else (large, small)
    else:
        pads = _pads(call) if mode == "NOTSET" else (0, 0, 0, 0)
        before, after = pads[:2], pads[2:]
        extent = tuple(_count(call, n, b, a, r, s) for n, b, a, r, s in zip(shape, before, after, reach, strides))
    if len(size) != 2 or min(size) < 1 or (pools and any(p >= r for p, r in zip((*before, *after), (*reach, *reach)))):
        raise call.refuse(
            f"kernel_shape={size} must have two numbers, 1 or greater, and padding ({before}, {after}) must be smaller.",
            "Export the model again.",
        )
    _check_sizes(call, size, extent)
    return Windows(size, strides, dilations, extent, before, after)


def _check_sizes(call, size, extent):
    """Refuse windows whose pixels along one axis are too many to be listed."""
    for n_taps, n_out in zip(size, extent):
        call.check_size(n_taps * n_out, "its windows")


def _count(call, n, before, after, reach, stride):
    """Return how many windows there are along an axis."""
    room = n + before + after - reach
    if room < 0:
        raise call.refuse(
            f"a window of {reach} pixels does not fit a map of {n} pixels with padding {before} and {after}.",
            "Use larger images.",
        )
    if not call.attribute("ceil_mode", 0):
        return room // stride + 1
    found = -(-room // stride) + 1
    return found - 1 if (found - 1) * stride >= n + before else found  # not one that starts in the padding at the end


def transposed_windows(call, shape, size):
    """
    Return the windows of a transposed convolution, whose output each pixel of the map spreads over.

    Parameters
    ----------
    call, shape, size
        As in `windows`.

    Returns
    -------
    Windows
    """
    strides, dilations = (_pair(call, name, (1, 1), 1) for name in ("strides", "dilations"))
    added = _pair(call, "output_padding", (0, 0), 0)
    full = [(n - 1) * s + (k - 1) * d + 1 + p for n, s, k, d, p in zip(shape, strides, size, dilations, added)]
    mode, wanted = _auto_pad(call), call.attribute("output_shape")
    if wanted is None and mode.startswith("SAME"):
        wanted = [n * s for n, s in zip(shape, strides)]
    if wanted is None:
        pads = _pads(call) if mode == "NOTSET" else (0, 0, 0, 0)
        before, after = pads[:2], pads[2:]
    else:
        extent = [int(n) for n in wanted[-2:]]
        total = [f - n for f, n in zip(full, extent)]
        if len(wanted) != 2 or min(total) < 0:
            raise call.refuse(
                f"output_shape={wanted} is larger than what its kernel covers, {tuple(full)}.",
                "Set pads and output_padding.",
            )
        small, large = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
        before, after = (small, large) if mode == "SAME_UPPER" else (large, small)
    extent = tuple(f - b - a for f, b, a in zip(full, before, after))
    if min(extent) < 1:
        raise call.refuse(f"nothing is left of its output {tuple(full)} after padding.", "Use less padding.")
    _check_sizes(call, size, extent)
    return Windows(tuple(size), strides, dilations, extent, before, after)


def _auto_pad(call):
    """Return how padding is found."""
    mode = call.attribute("auto_pad", "NOTSET")
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise call.refuse(
            f"auto_pad={mode!r} is none of NOTSET, VALID, SAME_UPPER and SAME_LOWER.", "Export the model again."
        )
    return mode


def _pair(call, name, default, low):
    """Return an attribute of two whole numbers, from a smallest one on."""
    value = tuple(call.attribute(name, default))
    if len(value) != 2 or min(value) < low:
        raise call.refuse(
            f"{name}={value} must be two whole numbers, {low} or greater.", "Only images (n, C, H, W) are supported."
        )
    return value


def _pads(call):
    """Return (top, left, bottom, right)."""
    pads = tuple(call.attribute("pads", (0, 0, 0, 0)))
    if len(pads) != 4 or min(pads) < 0:
        raise call.refuse(
            f"pads={pads} must be four whole numbers, 0 or greater.", "Only images (n, C, H, W) are supported."
        )
    return pads
