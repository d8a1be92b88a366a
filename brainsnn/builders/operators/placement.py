"""Operators that move values: borders, and channels among those of a wider map."""

import numpy as np

from brainsnn.builders.operators.linear import ConvOperator

__all__ = ["channel_embed", "crop", "zero_pad"]


def zero_pad(input_shape, padding):
    """
    Return the operator that adds zeros around a map, as in Keras' ``ZeroPadding2D``.

    Parameters
    ----------
    input_shape : (H, W, C)
    padding : ((top, bottom), (left, right))

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import zero_pad
    >>> zero_pad((1, 2, 1), ((0, 0), (1, 1))).apply([[1, 2]]).ravel()
    array([0., 1., 2., 0.])
    """
    (top, bottom), (left, right) = padding
    height, width, channels = input_shape
    return _shift(input_shape, (height + top + bottom, width + left + right, channels), -top, -left)


def crop(input_shape, cropping):
    """
    Return the operator that removes the borders of a map, as in Keras' ``Cropping2D``.

    Parameters
    ----------
    input_shape : (H, W, C)
    cropping : ((top, bottom), (left, right))

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import crop
    >>> crop((1, 4, 1), ((0, 0), (1, 1))).apply([[0, 1, 2, 0]]).ravel()
    array([1., 2.])
    """
    (top, bottom), (left, right) = cropping
    height, width, channels = input_shape
    return _shift(input_shape, (height - top - bottom, width - left - right, channels), top, left)


def _shift(input_shape, output_shape, row, col):
    """Return an identity that reads `row` pixels further down and `col` pixels further right."""
    channels = input_shape[2]
    return ConvOperator(input_shape, output_shape, np.ones((1, 1, channels, 1)), np.arange(channels), [row], [col])


def channel_embed(input_shape, offset, n_channels):
    """
    Return the operator that places a map among the channels of a wider one, as in a concatenation.

    Parameters
    ----------
    input_shape : (H, W, C)
    offset : int
        Output channel of the first input channel.
    n_channels : int
        Channels of the output.

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import channel_embed
    >>> channel_embed((1, 1, 2), offset=1, n_channels=4).apply([[5, 6]]).ravel()
    array([0., 5., 6., 0.])
    """
    channels = input_shape[2]
    start = offset + np.arange(channels)
    return ConvOperator(input_shape, (*input_shape[:2], n_channels), np.ones((1, 1, channels, 1)), start, [0], [0])
