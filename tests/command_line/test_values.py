"""What users type as values of options."""

import pytest
import typer
from brian2 import ms, second
from hypothesis import given
from hypothesis import strategies as st

import brainsnn as bs
from brainsnn.command_line.values import neuron_model, recordings, time_value


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from([("ms", ms), ("s", second), ("second", second), ("msecond", ms)]),
    st.sampled_from(["", " "]),
)
def test_times_are_those_of_brian2(number, unit, gap):
    name, value = unit
    assert time_value(f"{number!r}{gap}{name}", "--duration") == number * value


def test_times_may_have_greek_letters_and_be_0_if_they_are_no_durations():
    assert time_value("300 µs", "--duration") == time_value("300us", "--duration") == 0.3 * ms
    assert time_value("0 ms", "--onset") == 0 * ms and time_value(None, "--onset") is None


@pytest.mark.parametrize("text", ["-1 ms", "1e400 ms", "0 ms"])
def test_times_that_are_no_durations_are_refused(text):
    with pytest.raises(typer.BadParameter, match="longer than 0, and finite"):
        time_value(text, "--duration", is_duration=True)


@pytest.mark.parametrize(
    "text", ["300", "", "ms", "3 mV", "300 parsecs", "1.2.3 ms", "nan ms", "3 ms 4", "300 m", "inf ms"]
)
def test_times_without_a_unit_of_time_are_refused(text):
    with pytest.raises(typer.BadParameter, match="unit of time"):
        time_value(text, "--duration")


def test_neurons_are_those_of_python():
    assert str(neuron_model("asn:m_f=0.2, tau_gamma=5ms")) == str(bs.ASN(m_f=0.2, tau_gamma=5 * ms))
    assert str(neuron_model("IF:reset=hard,initial=0.5")) == str(bs.IF(reset="hard", initial=0.5))
    assert str(neuron_model("LIF")) == str(bs.LIF())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Izhikevich", "ASN, IF, LIF"), ("ASN:mf=0.1", "NAME=VALUE"), ("ASN:m_f", "NAME=VALUE"), ("ASN:m_f=fast", "m_f"),
        ("ASN:m_f=1,m_f=2", "twice"),
        ("IF:reset=medium", "medium"), ("ASN:tau_gamma=5mV", "tau_gamma"),
    ],
)  # fmt: skip
def test_unknown_neurons_and_values_are_refused(text, message):
    with pytest.raises(typer.BadParameter, match=message):
        neuron_model(text)


def test_recordings():
    assert recordings(["conv2:spikes, S", "dense1"]) == {"conv2": ["spikes", "S"], "dense1": ["spikes"]}
    for texts in ([":S"], ["conv2:S", "conv2:spikes"]):
        with pytest.raises(typer.BadParameter, match="--record|names"):
            recordings(texts)
