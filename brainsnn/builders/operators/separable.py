"""Operators that are a matrix for the rows times one for the columns: interpolation, and means over clipped windows."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from brainsnn.builders.operators.linear import SparseOperator

__all__ = ["separable", "window_mean"]


def separable(input_shape, rows, cols):
    """
    Return the operator that is a matrix for the rows times one for the columns, equal for all channels.

    Parameters
    ----------
    input_shape : (H, W, C)
    rows, cols : arrays or sparse matrices (H, Ho), (W, Wo)

    Returns
    -------
    SparseOperator

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.builders.operators import separable
    >>> mean, same = np.array([[0.5], [0.5]]), np.eye(2)
    >>> separable((2, 2, 1), mean, same).apply([[1, 2, 3, 4]]).ravel()
    array([2., 3.])
    """
    channels = input_shape[2]
    matrix = sparse.kron(sparse.kron(rows, cols), sparse.identity(channels), format="csr")
    return SparseOperator(input_shape, (rows.shape[1], cols.shape[1], channels), matrix)


def window_mean(sums, counts):
    """
    Return the mean over windows, given their sum.

    Parameters
    ----------
    sums : ConvOperator
        With weights of 1.
    counts : (Ho,) and (Wo,) ndarray of int
        Rows and columns of each window that count, by which its sum is divided.

    Returns
    -------
    ConvOperator or SparseOperator
        Sparse if the counts differ between windows.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.builders.operators import ConvOperator, window_mean
    >>> sums = ConvOperator((1, 3, 1), (1, 2, 1), np.ones((1, 2, 1, 1)), [0], [0], [0, 1], stride=(1, 2))
    >>> window_mean(sums, [np.array([1]), np.array([2, 1])]).apply([[1, 2, 9]]).ravel()  # the last window holds one
    array([1.5, 9. ])
    """
    if all(np.ptp(count) == 0 for count in counts):
        return replace(sums, kernel=sums.kernel / (counts[0][0] * counts[1][0]))
    axes = []
    for source, count, n_in in zip((sums.row_sources, sums.col_sources), counts, sums.input_shape):
        out, tap = np.nonzero(source >= 0)
        axes.append(sparse.csr_matrix((1 / count[out], (source[out, tap], out)), shape=(n_in, len(source))))
    return separable(sums.input_shape, *axes)
