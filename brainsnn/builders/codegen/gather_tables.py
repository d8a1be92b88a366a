"""Tables by target, for templates that gather: each thread owns a target neuron and reads its sources in order."""

import re

import numpy as np

from brainsnn.builders.codegen.scatter_tables import share_rows, target_table
from brainsnn.builders.operators import ConvOperator
from brainsnn.errors import DeviceLimitError

__all__ = ["check_statement", "spike_words", "gathered_projection", "gathered_channels", "gathered_matrix", "BITS"]

#: Neurons in a word of the bit map of spikes.
BITS = 32

RANDOM = {"rand", "randn", "poisson", "binomial"}


def check_statement(name, on_pre):
    """
    Refuse statements that are wrong if the targets of a step are visited in parallel.

    Parameters
    ----------
    name : str
        Name of the connection.
    on_pre : str

    Raises
    ------
    DeviceLimitError
        If the statement writes to the source neuron, or draws random numbers.
    """
    written = re.search(r"(\w+_pre)\s*[-+*/]?=(?!=)", on_pre)
    if written:
        raise DeviceLimitError(
            f"{name}: on_pre={on_pre!r} writes {written[1]!r}; on cuda_standalone all targets of a spike are visited "
            "at once and cannot write to its source. Use device='cpp_standalone'."
        )
    drawn = RANDOM & set(re.findall(r"\b(\w+)\s*\(", on_pre))
    if drawn:
        raise DeviceLimitError(
            f"{name}: on_pre={on_pre!r} draws with {drawn.pop()}(), which cuda_standalone can do for each neuron and "
            "step, but not for each spike. Use device='cpp_standalone', or draw in the neuron's equations."
        )


def spike_words(shape):
    """
    Return the size of the bit map of a layer's spikes; the channels of each position start in a new word.

    Parameters
    ----------
    shape : tuple of int
        (H, W, C).

    Returns
    -------
    n_words : int
        Words of `BITS` bits.
    """
    return shape[0] * shape[1] * -(-shape[2] // BITS)


def gathered_projection(operator, dtype):
    """
    Return the tables of a projection, sorted by target.

    The sources of a target are in the order of their indices. Its sum is therefore added in the same order as in a program
    that goes from spike to spike, and is the same in every run.

    Parameters
    ----------
    operator : `~brainsnn.builders.operators.ConvOperator` or `~brainsnn.builders.operators.SparseOperator`
    dtype : dtype
        Type of the weights.

    Returns
    -------
    template : str
    tables : dict of str to ndarray
        ``w`` holds the weights.
    sizes : dict
        Constants of the template.
    """
    if isinstance(operator, ConvOperator):
        return _gathered_convolution(operator, dtype)
    n_words = -(-operator.size_in // BITS)
    sizes = {"n_targets": operator.size_out, "n_channels": operator.size_in, "n_channel_words": n_words}
    return "scatter_spikes", gathered_matrix(operator, dtype), {**sizes, "n_words": n_words}


def _gathered_convolution(operator, dtype):
    (H, W, C), (Ho, Wo, Co) = operator.input_shape, operator.output_shape
    kernel = np.asarray(operator.kernel, dtype=dtype)
    (rows, rows_at), (columns, columns_at) = share_rows(kernel), share_rows(np.swapaxes(kernel, 0, 1))
    kernel = kernel[np.ix_(rows, columns)]
    tables = {}
    for axis, n_in, n_out, taps, i, stored_at in (
        ("row", H, Ho, operator.row_taps, 0, rows_at),
        ("col", W, Wo, operator.col_taps, 1, columns_at),
    ):
        first, source, tap = target_table(n_in, n_out, taps, operator.stride[i], operator.input_dilation[i])
        tables |= {f"{axis}_first": first, f"{axis}_source": source, f"{axis}_tap": stored_at[tap]}
    fan = kernel.shape[3]
    tables |= gathered_channels(operator) | {"channel_start": operator.channel_start, "w": kernel}
    return "convolve_spikes", tables, {
        "n_columns": W, "n_channels": C, "n_targets": operator.size_out, "n_target_columns": Wo,
        "n_target_channels": Co, "n_column_taps": kernel.shape[1], "n_fan_channels": fan, "n_channel_words": -(-C // BITS),
        "n_words": spike_words(operator.input_shape), "full": bool(fan == Co and not operator.channel_start.any()),
    }  # fmt: skip


def gathered_channels(operator):
    """
    Return which input channels reach each output channel.

    Parameters
    ----------
    operator : `~brainsnn.builders.operators.ConvOperator`

    Returns
    -------
    tables : dict of str to ndarray
        ``channel_first`` and ``channel_last``, (Co,): the input channels that reach an output channel are between these two,
        the last one excluded. Not all channels between them need to reach it.
    """
    (_, _, n_channels), (_, _, n_targets) = operator.input_shape, operator.output_shape
    first, last = np.full(n_targets, n_channels), np.zeros(n_targets, dtype=int)
    for channel, start in enumerate(operator.channel_start):
        reached = slice(start, start + operator.kernel.shape[3])
        first[reached] = np.minimum(first[reached], channel)
        last[reached] = channel + 1
    return {"channel_first": first, "channel_last": last}


def gathered_matrix(operator, dtype):
    """
    Return the columns of a sparse operator's matrix as tables.

    Parameters
    ----------
    operator : `~brainsnn.builders.operators.SparseOperator`
    dtype : dtype
        Type of the weights.

    Returns
    -------
    tables : dict of str to ndarray
        Target ``j`` owns the entries ``first[j]`` to ``first[j + 1] - 1`` of ``source_index``, which ascend there,
        and of ``w``.
    """
    matrix = operator.matrix.tocsc()
    matrix.sort_indices()
    return {"first": matrix.indptr.astype(np.int64), "source_index": matrix.indices, "w": matrix.data.astype(dtype)}
