"""Check LaTeX without a LaTeX program: braces, environments, special characters, and formulas by matplotlib's parser."""

import re

from matplotlib.mathtext import MathTextParser

__all__ = ["check_latex"]

_PARSER = MathTextParser("path")


def check_latex(text):
    """Raise an error if a LaTeX program would stop at this text, as far as that shows."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    environments = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            environments.append(name)
        else:
            assert environments.pop() == name
    assert not environments
    formulas = re.findall(r"(?<!\\)\$(.*?)(?<!\\)\$", body)
    for formula in formulas:
        _PARSER.parse(f"${formula.replace('textbackslash', 'backslash')}$")
    rest = re.sub(r"(?<!\\)\$(.*?)(?<!\\)\$", "", body)
    rest = re.sub(r"\\[\\&%$#_{}~^]", "", rest)  # what is escaped
    depth = 0
    for character in rest:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    for line in rest.splitlines():  # in a row, & separates cells, which have no other meaning
        assert not re.search(r"[#$_^~%<>|\"]", re.sub(r"\\\w+", "", line)), line
    return formulas
