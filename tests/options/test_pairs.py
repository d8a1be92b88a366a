"""Every pair of options of `convert` and `run` acts, unless docs/options.md says what it does instead."""

import inspect
from itertools import combinations

import pytest
from options_page import exceptions
from small_network import network_facts, trial_facts

import brainsnn as bs

CONVERT = [f"convert.{name}" for name in inspect.signature(bs.convert).parameters]
RUN = [f"run.{name}" for name in inspect.signature(bs.SpikingNetwork.run).parameters if name != "self"]
#: How the trials are run, not what they are: shown by `test_how_trials_run`, tests/results and tests/builders.
HOW = {"run.processes", "run.progress", "run.stream_to"}
KNOWN = {row.pair for row in exceptions()}
PAIRS = [pair for pair in combinations([*CONVERT, *RUN], 2) if frozenset(pair) not in KNOWN and not HOW & set(pair)]


def facts(small, chosen):
    """Return what the network and its trials are with the other values of the chosen options."""
    if (key := frozenset(chosen)) in small.facts:
        return small.facts[key]
    needed = {}
    for option in chosen:
        needed |= small.needs.get(option, {})
    names = {o.removeprefix("convert.") for o in chosen if o.startswith("convert.")} | (
        needed.keys() & small.convert_other.keys()
    )
    snn = small.network(names)
    run = small.run_base | {name: value for name, value in needed.items() if name in small.run_other}
    run |= {name: small.run_other[name] for o in chosen if o.startswith("run.") for name in [o.removeprefix("run.")]}
    if "run.spikes" in chosen and "convert.feedback" not in chosen:
        run.pop("images")  # which nothing compares with a prediction
    small.facts[key] = network_facts(snn), trial_facts(snn, **run)
    return small.facts[key]


@pytest.mark.parametrize("kind", ["convert", "convert x run", "run"])
def test_both_options_of_a_pair_act(small, kind):
    """Beside the other value of one option, the other one still changes the network or its trials."""
    pairs = [pair for pair in PAIRS if kind == " x ".join(dict.fromkeys(option.split(".")[0] for option in pair))]
    assert len(pairs) >= 10
    idle = []
    for one, other in pairs:
        both = facts(small, [one, other])
        for alone in (one, other):
            rest = [option for option in (one, other) if option != alone]
            if both == facts(small, [*rest]):
                idle.append(f"{alone} beside {rest[0]}")
    assert not idle


def test_every_option_has_another_value(small):
    assert {f"convert.{name}" for name in small.convert_other} == set(CONVERT)
    assert {f"run.{name}" for name in small.run_other} == set(RUN)


def test_how_trials_run(small, tmp_path, capsys):
    """A bar, or a folder, and the same numbers."""
    snn = small.network()
    plain = snn.run(**small.run_base)
    assert capsys.readouterr().err == ""
    shown = snn.run(**small.run_base, progress=True)
    assert "3/3" in capsys.readouterr().err
    streamed = snn.run(**small.run_base, stream_to=tmp_path / "run")
    assert (tmp_path / "run").is_dir()
    for result in (shown, streamed):
        assert result.output.tolist() == plain.output.tolist()
