"""Tables that functions use in compiled code, such as the values of a `TimedArray`: the right one, or an error."""

import numpy as np
import pytest
from brian2 import NeuronGroup, TimedArray, check_units, implementation, ms, second
from one_layer import LAYER, SHAPE, one_layer_graph

import brainsnn as bs

IMAGES, DURATION = np.full((1, *SHAPE), 0.5), 40 * ms


@pytest.fixture(scope="module")
def graph():
    return one_layer_graph()


def convert(graph, device="runtime"):
    return bs.convert(graph, device=device, dtype="float64")


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_two_tables_of_one_name_are_refused(graph, device):
    """Compiled code has one table for each name; the second user would get the values of the first."""

    def run(*tables):
        snn = convert(graph, device=device)
        for k, table in enumerate(tables):
            group = NeuronGroup(1, "y : 1", clock=snn[LAYER].clock, name=f"group_{k}", namespace={"look": table})
            group.run_regularly("y = look(t)")
            snn.network.add(group)
        snn.run(IMAGES[:1], DURATION)
        return [float(snn.network[f"group_{k}"].y[0]) for k in range(len(tables))]

    def drive(value, name="drive"):
        # NaN, of which no two are equal, where no step reads it
        return TimedArray(np.append(np.full(100, value), np.nan), dt=1 * ms, name=name)

    def look(value):
        @implementation(
            "cpp",
            "double look(double x) { return _namespace_table_of_look[0]; }",
            namespace={"_table_of_look": np.full(2, value)},
        )
        @check_units(x=second, result=1)
        def look(x):
            return value

        return look

    for make in (drive, look):
        with pytest.raises(ValueError, match="two TimedArrays or functions that differ.*(drive|look)"):
            run(make(2.0), make(5.0))
        assert run(make(2.0), make(2.0)) == [2, 2]
    assert run(drive(2.0), drive(5.0, "other")) == [2, 5]


@pytest.mark.parametrize("order", ["C", "F"])
def test_values_of_a_table_that_change_count_or_are_refused(graph, order):
    table = TimedArray(np.zeros((50, len(convert(graph)[LAYER])), order=order), dt=1 * ms)
    snn = convert(graph)
    snn[LAYER].namespace["table"] = table
    snn[LAYER].run_regularly("S_hat -= table(t, i)")
    before = snn.run(IMAGES, DURATION).spike_counts[LAYER]
    table.values[:] = 0.3
    if order == "C":
        assert (snn.run(IMAGES, DURATION).spike_counts[LAYER] > before).any()
    else:  # Brian2 has copied them
        with pytest.raises(ValueError, match="changed in place"):
            snn.run(IMAGES, DURATION)
