"""Fields of attention and attended parameters, computed in plain loops; cues and strengths of the tests."""

import math

import dense_reference as ref
import numpy as np

__all__ = ["CASES", "CUES", "M_F", "WIDTH", "field_by_hand", "parameters_by_hand"]

M_F = 0.2
#: One cue inside and one on the border, different for the two images.
CUES = np.array([[0.3, 0.2], [0.9, 1.0]])
WIDTH = 0.2
#: The strengths of the last case push m_f of some neurons below 0.
CASES = [
    {"input_gain": 0.5},
    {"output_gain": 0.6},
    {"precision": 0.1},
    {"input_gain": 0.3, "output_gain": 0.4},
    {"precision": 0.4, "input_gain": 0.2, "output_gain": 0.3},
]


def field_by_hand(n_rows, n_cols, center, width, cross=False, peak=2.0, base=1.0, exponent=1.0):
    """Return R of a Gaussian field, computed pixel by pixel in plain Python."""
    E = [[0.0] * n_cols for _ in range(n_rows)]
    for i in range(n_rows):
        for j in range(n_cols):
            row = math.exp(-(((i + 0.5) / n_rows - center[0]) ** 2) / (2 * width[0] ** 2))
            col = math.exp(-(((j + 0.5) / n_cols - center[1]) ** 2) / (2 * width[1] ** 2))
            if cross:
                row, col = base + (peak - base) * row, base + (peak - base) * col
            E[i][j] = base + (peak - base) * (row * col) ** exponent
    mean = sum(map(sum, E)) / (n_rows * n_cols)
    return np.array([[round(e / mean - 1, 4) for e in row] for row in E])


def parameters_by_hand(shape, R, input_gain=0.0, output_gain=0.0, precision=0.0, m_f=M_F, floor=1e-3):
    """Return gain, m_f and h of one layer, computed neuron by neuron."""
    gain, new_m_f, h = (np.zeros(shape) for _ in range(3))
    total = sum(m_f - precision * R[i, j] for i, j, _ in np.ndindex(shape))
    for i, j, c in np.ndindex(shape):
        gain[i, j, c] = 1 + input_gain * R[i, j]
        new_m_f[i, j, c] = max(0.0, (m_f - precision * R[i, j]) * (m_f * np.prod(shape)) / total)
        h[i, j, c] = ref.spike_height(max(new_m_f[i, j, c], floor)) * (1 + output_gain * R[i, j])
    return {"gain": gain, "m_f": new_m_f, "h": h}
