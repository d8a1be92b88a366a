"""The tables of the CUDA device: each target finds its sources, in their order; and what its threads cannot share."""

import numpy as np
import pytest

from brainsnn.builders.codegen.gather_tables import check_statement, gathered_projection
from brainsnn.builders.operators import ConvOperator, SparseOperator

OPERATORS = {
    "strided": ConvOperator((7, 6, 3), (4, 3, 5), np.ones((3, 3, 3, 5)), [0, 0, 0], [-1, 0, 1], [-1, 0, 1], (2, 2)),
    "transposed": ConvOperator((4, 3, 2), (8, 6, 3), np.ones((3, 3, 2, 3)), [0, 0], [-1, 0, 1], [-1, 0, 1], (1, 1), (2, 2)),
    "grouped": ConvOperator((5, 5, 4), (5, 5, 4), np.ones((3, 3, 4, 2)), [0, 0, 2, 2], [-1, 0, 1], [-1, 0, 1]),
    "many channels": ConvOperator((3, 3, 70), (3, 3, 2), np.ones((1, 1, 70, 2)), [0] * 70, [0], [0]),
    "sparse": SparseOperator((3, 3, 2), (1, 1, 5), np.random.default_rng(0).integers(0, 2, (18, 5))),
}  # fmt: skip


def test_tables_by_target_hold_every_connection_in_the_order_of_the_sources():
    rng = np.random.default_rng(1)
    for name, operator in OPERATORS.items():
        if isinstance(operator, ConvOperator):
            # Every second row equal, so that rows are shared.
            kernel = rng.normal(size=operator.kernel.shape)
            kernel[::2] = kernel[0]
            operator = type(operator)(
                operator.input_shape, operator.output_shape, kernel, operator.channel_start, operator.row_taps,
                operator.col_taps, operator.stride, operator.input_dilation,
            )  # fmt: skip
        template, tables, sizes = gathered_projection(operator, np.float64)
        walk = _walk_convolution if template == "convolve_spikes" else _walk_matrix
        connections = [c for target in range(sizes["n_targets"]) for c in walk(tables, sizes, target)]
        i, j, w = operator.to_coo()
        wanted = sorted((target, source, weight) for source, target, weight in zip(i, j, w))
        assert [c[:2] for c in connections] == [c[:2] for c in wanted], name
        np.testing.assert_array_equal([c[2] for c in connections], [c[2] for c in wanted], err_msg=name)


def _walk_matrix(tables, sizes, target):
    for k in range(tables["first"][target], tables["first"][target + 1]):
        yield target, tables["source_index"][k], tables["w"][k]


def _walk_convolution(tables, sizes, target):
    """The connections of a target as the template visits them."""
    channel_out, place = target % sizes["n_target_channels"], target // sizes["n_target_channels"]
    row, col = divmod(place, sizes["n_target_columns"])
    w = tables["w"]
    for r in range(*tables["row_first"][row : row + 2]):
        for c in range(*tables["col_first"][col : col + 2]):
            source = tables["row_source"][r] * sizes["n_columns"] + tables["col_source"][c]
            for channel in range(tables["channel_first"][channel_out], tables["channel_last"][channel_out]):
                fan = channel_out - tables["channel_start"][channel]
                if 0 <= fan < sizes["n_fan_channels"]:
                    weight = w[tables["row_tap"][r], tables["col_tap"][c], channel, fan]
                    yield target, source * sizes["n_channels"] + channel, weight


@pytest.mark.parametrize("on_pre, word", [("trace_pre += w", "trace_pre"), ("I_post += w*rand()", "rand")])
def test_statements_that_threads_cannot_share_are_refused(on_pre, word):
    check_statement("a_to_b", "I_post += w*h_pre; same = h_pre == 1")
    with pytest.raises(ValueError, match=f"a_to_b.*{word}.*cpp_standalone"):
        check_statement("a_to_b", on_pre)
