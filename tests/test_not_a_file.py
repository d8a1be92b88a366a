"""What is not an ordinary file is refused at once, wherever a file is read; in a process that would otherwise hang."""

import os
import subprocess
import sys

import pytest

READERS = {
    "load_model": "bs.load_model({path!r})",
    "load_model, weights": "bs.load_model({model!r}, weights={path!r})",
    "read_onnx": "bs.read_onnx({path!r})",
    "Result.load": "bs.Result.load({path!r})",
    "read_settings": "from brainsnn.feedback import read_settings; read_settings({path!r})",
    "read_selection": "from brainsnn.stimuli.coco import read_selection; read_selection({path!r})",
    "read_annotations": "from brainsnn.stimuli.coco.annotations import read_annotations; read_annotations({path!r})",
    "a path in a sweep": "from brainsnn.sweeps.content import Content; Content(None).add(Path({path!r}), 'sweep: model')",
}
SUFFIXES = {"load_model": ".keras", "load_model, weights": ".h5", "Result.load": ".npz"}


@pytest.mark.parametrize("reader", READERS)
def test_a_named_pipe_is_refused_at_once(reader, tmp_path):
    path, model = tmp_path / f"pipe{SUFFIXES.get(reader, '.json')}", tmp_path / "model.json"
    os.mkfifo(path)
    model.write_text('{"class_name": "Sequential", "config": {"name": "s", "layers": []}}')
    script = (
        f"from pathlib import Path\nimport brainsnn as bs\n{READERS[reader].format(path=str(path), model=str(model))}"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "Error: " in last and last.endswith(f"{str(path)!r} is a named pipe, not a file."), done.stderr
