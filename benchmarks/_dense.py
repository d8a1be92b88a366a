"""What dense peers share: the constants of the neuron, and the operators of a graph as plain convolutions (numpy only)."""

from typing import NamedTuple

import numpy as np

#: Time constants of the neuron in ms; the time step is 1 ms.
TAU_PHI, TAU_BETA, TAU_ETA, TAU_GAMMA, TAU_READOUT = 2.5, 50.0, 50.0, 15.0, 50.0


def decay(tau):
    """Return the decay factor of one 1 ms step for a time constant tau in ms."""
    return np.float32(np.exp(-1.0 / tau))


def pooled_factor(operator):
    """Return the largest p for which the kernel equals a smaller kernel after p x p average pooling; 1 if there is none."""
    (H, W, _), (KH, KW) = operator.input_shape, operator.kernel.shape[:2]
    for p in range(min(KH, KW), 1, -1):
        steps = [s % p == 0 or n == 1 for s, n in zip(operator.stride, operator.output_shape)]
        fits = [n % p == 0 for n in (H, W, KH, KW, operator.row_taps[0], operator.col_taps[0])]
        if all(steps) and all(fits):
            blocks = operator.kernel.reshape(KH // p, p, KW // p, p, *operator.kernel.shape[2:])
            if np.allclose(blocks, blocks[:, :1, :, :1], rtol=1e-6, atol=0):
                return p
    return 1


def is_used(projection, inputs):
    """Return whether spikes use a projection; the stimulus is instead a constant drive, computed once per image."""
    found = inputs.get(projection.target)
    return found is not None and any(
        projection is p for group in (found.spikes, found.current, found.membrane) for p in group
    )


def image_currents(graph, inputs, images):
    """Return the constant current of images into each population that they reach linearly (dict of str to (n, H, W, C))."""
    from brainsnn.builders.trials.inputs import drives_of

    names, drive = drives_of(graph, inputs, inputs, "current")
    found = [drive(image) for image in images]
    return {name: np.stack([each[name].reshape(graph.populations[name].shape) for each in found]) for name in names}


def state_variables(population, found):
    """Return the names of the variables that a population integrates, given its inputs (list of str)."""
    names = {"spiking": ("S_dyn", "S_hat", "theta_dyn", "spikes"), "membrane": ("S_dyn",), "readout": ("S_dyn",)}
    variables = [name for name in names.get(population.kind, ()) if name != "S_dyn" or not found.membrane]
    return [*variables, "I"] if found.spikes else variables


class PlainConvolution(NamedTuple):
    """
    A convolution as dense libraries call it: average pooling, cropping (slices), zeros around, kernel, stride.

    `kernel` is (rows, columns, channels in, channels out); `pads` has (before, after) for rows and columns.
    """

    pool: int
    kernel: np.ndarray
    stride: list
    pads: list
    rows: slice
    columns: slice


def plain_convolution(operator):
    """Return the `PlainConvolution` of a ConvOperator; NotImplementedError if it is none."""
    from brainsnn.builders.operators.linear import dense_channels

    regular = all(
        np.array_equal(np.diff(taps), np.ones(len(taps) - 1)) for taps in (operator.row_taps, operator.col_taps)
    )
    if operator.input_dilation != (1, 1) or not regular:
        raise NotImplementedError(
            f"a dense peer: {operator} is transposed, dilated or reordered; only plain convolutions are supported."
        )
    p = pooled_factor(operator)
    kernel = operator.kernel[::p, ::p] * p**2
    if operator.kernel.shape[3] != operator.output_shape[2]:
        kernel = dense_channels(kernel, operator.channel_start, operator.output_shape[2])
    stride = [max(1, s // p) for s in operator.stride]
    # Zeros to add; where the windows of a strided convolution do not reach the last rows, a negative number crops.
    around = [
        (-int(taps[0] // p), (n_out - 1) * s + int(taps[-1] // p) - (n_in // p - 1))
        for taps, n_in, n_out, s in zip(
            (operator.row_taps[::p], operator.col_taps[::p]), operator.input_shape, operator.output_shape, stride
        )
    ]
    pads = [[max(0, n) for n in pad] for pad in around]
    rows, columns = (slice(max(0, -before), after if after < 0 else None) for before, after in around)
    return PlainConvolution(p, kernel, stride, pads, rows, columns)


def pooling_pads(operator):
    """Return the (before, after) cells to add to rows and columns for a MaxPool."""
    pads = []
    for k in range(2):
        after = (operator.output_shape[k] - 1) * operator.stride[k] + operator.pool[k] - operator.input_shape[k]
        pads.append([operator.pad_before[k], max(0, after - operator.pad_before[k])])
    return pads
