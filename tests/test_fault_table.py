"""docs/faults.md: each row names tests, and they exist."""

import ast
import re

from locations import ROOT

ROWS = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]


def test_each_row_names_tests_that_exist():
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in ROWS if not row.startswith("| fault |")]
    assert len(rows) > 30
    for fault, effect, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)
        assert effect and named, fault
        assert ", ".join(f"`{path}::{name}`" for path, name in named) == tests, fault
        for path, name in named:
            tree = ast.parse((ROOT / path).read_text())
            assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)], f"{path}::{name}"
