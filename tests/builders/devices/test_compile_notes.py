"""Compiling takes seconds: the first run says that it compiles and how long it took, a later one of the same network nothing."""

import re

import numpy as np
import pytest
from brian2 import ms
from brian2.utils.logger import catch_logs
from one_layer import SHAPE, one_layer_graph

import brainsnn as bs


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_the_first_run_says_that_it_compiles(device, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    notes = []
    for _ in range(2):
        with catch_logs(log_level=20) as logs:
            bs.convert(one_layer_graph(), device=device).run(np.full((1, *SHAPE), 0.5), 3 * ms)
        notes.append([text for level, name, text in logs if name == "brian2.brainsnn" and level == "INFO"])
    begins, ends = notes[0]
    assert re.fullmatch(r"Compiling the network with \S+ \(\d+ files\)\.", begins)
    assert 0 < float(re.fullmatch(r"Compiled in ([\d.]+) s\.", ends)[1]) < 600
    assert notes[1] == []
