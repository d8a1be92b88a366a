"""The shapes that Reshape, Squeeze and Unsqueeze make, of constants and of images alike."""

import math

__all__ = ["reshaped", "squeezed", "unsqueezed"]


def reshaped(shape, wanted, allow_zero=False):
    """
    Return the shape that Reshape makes.

    Parameters
    ----------
    shape : tuple of int
    wanted : list of int
        0 keeps a size, unless ``allow_zero``; -1 stands for what is left.
    allow_zero : bool, optional

    Returns
    -------
    shape : tuple of int

    Raises
    ------
    ValueError
        If the sizes differ.

    Examples
    --------
    >>> reshaped((1, 64, 7, 7), [0, -1])
    (1, 3136)
    """
    if wanted is None or wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise ValueError(f"{wanted} is not a shape; one size may be -1")
    sizes = [shape[k] if n == 0 and not allow_zero and k < len(shape) else n for k, n in enumerate(wanted)]
    if -1 in sizes:
        known = -math.prod(sizes)
        sizes[sizes.index(-1)] = math.prod(shape) // known if known else 0
    if math.prod(sizes) != math.prod(shape):
        raise ValueError(f"{tuple(wanted)} does not have the {math.prod(shape)} values of {tuple(shape)}")
    return tuple(sizes)


def squeezed(shape, axes):
    """Return a shape without axes, which must have size 1; without all of these if ``axes`` is None."""
    axes = [k for k, n in enumerate(shape) if n == 1] if axes is None else _positive(axes, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"the axes {axes} of {tuple(shape)} do not have size 1")
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def unsqueezed(shape, axes):
    """Return a shape with axes of size 1 inserted where ``axes`` says."""
    rank = len(shape) + len(axes or ())
    axes, sizes = _positive(axes or (), rank), iter(shape)
    return tuple(1 if k in axes else next(sizes) for k in range(rank))


def _positive(axes, rank):
    """Return axes counted from the first one."""
    if not all(-rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) < len(axes):
        raise ValueError(f"{list(axes)} are not axes of a tensor of {rank} axes")
    return [axis % rank for axis in axes]
