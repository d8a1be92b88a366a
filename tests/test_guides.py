"""The how-to pages in docs/: their code runs, block after block."""

import re

import pytest
from locations import ROOT

GUIDES = ("relu", "published_network", "feedback")


@pytest.mark.parametrize("name", GUIDES)
def test_the_code_of_a_guide_runs(name, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    names = {}
    for k, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/{name}.md, block {k}", "exec"), names)
