"""The page of all messages, made from the source: it holds the words of each raise and warning, under an anchor of its own."""

import ast
import re

import pytest
from locations import ROOT

from brainsnn.builders.graph.activations import NO_COUNTERPART

PACKAGE = ROOT / "brainsnn"
#: Raised without words of their own: steps inside a function that catches them, and messages that were made elsewhere.
WITHOUT_WORDS = {
    "ConversionError(str(error), layer)", "ConversionError(str(error), node)", "DeviceLimitError(self._own_objects_only)",
    "RuntimeError(self.missing())", "SystemExit(1)", "TypeError(_refusal(where, kind))",
    "TypeError(_refusal(where, type(value)))", "ValueError(operator)", "typer.Exit(1)", "typer.Exit(code)",
    "typer.Exit(subprocess.run([sys.executable, str(files[name]), *arguments], check=False).returncode)",
    "typer.Exit(subprocess.run(found.command, cwd=found.directory, check=False).returncode)",
    "refusal(header['refused'])", "disk_full_error(reason)", "_bad_neuron(text, str(error))",
}  # fmt: skip


@pytest.fixture(scope="module")
def messages():
    import sys

    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import make_messages
    finally:
        sys.path.remove(str(ROOT / "docs"))
    return make_messages


def shown(text):
    """Return what a reader of a page sees: no markup, single spaces."""
    text = re.sub(r"(?<!\\)\*+", "", text)
    return " ".join(re.sub(r"\\(.)", r"\1", text).split())


def raised():
    """Yield file and call of each raise and warning of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                branches = [node.exc.body, node.exc.orelse] if isinstance(node.exc, ast.IfExp) else [node.exc]
                yield from ((path, call) for call in branches if isinstance(call, ast.Call))
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "warn":
                yield path, node


def strings(node):
    """Yield the constant texts of an expression, but for those inside of calls: they may never be shown."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not isinstance(node, ast.Call):
        for child in ast.iter_child_nodes(node):
            yield from strings(child)


def words(call):
    """Return the fixed parts of the message of a call that have at least two words, or else those within other text."""
    arguments = [*call.args, *(k.value for k in call.keywords if k.arg in ("fix", "message"))]
    found = [text for argument in arguments for text in strings(argument)]
    long = [" ".join(part.split()) for part in found if len(part.split()) > 1]
    is_text = any(isinstance(n, ast.JoinedStr) for a in arguments for n in ast.walk(a))
    return long or [part.strip() for part in found if is_text and part.strip(" .:")]


def test_each_raise_and_warning_of_the_package_is_on_the_page(messages):
    found = messages.find_messages()
    page = shown(messages.page(found))
    makers = {place.rsplit(".", 1)[-1] for m in found for place in m.places}
    n_checked, n_of_values, missing = 0, 0, []
    for path, call in raised():
        where = f"{path.relative_to(ROOT)}, line {call.lineno}: {ast.unparse(call)}"
        name = ast.unparse(call.func).rsplit(".", 1)[-1]
        if name == "UnknownNameError":
            kind = [a.value for a in (*call.args[2:3], *(k.value for k in call.keywords if k.arg == "kind"))
                    if isinstance(a, ast.Constant)]  # fmt: skip
            assert f"There is no {kind[0] if kind else ''}" in page, where
        elif not (parts := words(call)):
            of_values = any(isinstance(a, ast.JoinedStr) for a in call.args)  # a message that holds only others
            n_of_values += of_values
            missing += [(where, "")] * (ast.unparse(call) not in WITHOUT_WORDS and name not in makers and not of_values)
        else:
            n_checked += 1
            missing += [(where, part) for part in parts if part not in page]
    for reason, fix in NO_COUNTERPART.values():
        assert f"{reason}. {fix}." in page
    assert n_checked > 900 and n_of_values < 20 and not missing


def test_anchors_are_unique_and_are_made_of_words(messages):
    found = messages.find_messages()
    anchors = [m.anchor for m in found]
    assert len(set(anchors)) == len(anchors)
    page = messages.page(found)
    assert all(f"({anchor})=" in page for anchor in anchors)
    assert "message-convert-dt-must-be-a-time-greater-than" in anchors


def test_a_new_message_is_found(messages, tmp_path):
    """Placeholders have the names of their values; constants of the module are put in; the fix is the last sentence."""
    (tmp_path / "plot").mkdir()
    (tmp_path / "plot" / "mine.py").write_text(
        'ADVICE = "Give another one."\n'
        "def draw(n, self):\n"
        "    if n < 0:\n"
        '        raise ValueError(f"draw: n={n!r} is negative. {ADVICE}")\n'
        '    raise helper(n, "too many") if n else TypeError(f"draw: {type(self.x).__name__} does not fit; use 2*n.")\n'
        "def helper(n, reason):\n"
        '    return RuntimeError(f"{n} is {reason}.")\n',
        encoding="utf-8",
    )
    found = messages.find_messages(tmp_path)
    assert [(m.room, m.places, m.kind, m.text) for m in found] == [
        ("plot", ("plot.mine.helper",), "RuntimeError", "{n} is {reason}."),
        ("plot", ("plot.mine.draw",), "TypeError", "draw: {x} does not fit; use 2*n."),
        ("plot", ("plot.mine.draw",), "ValueError", "draw: n={n} is negative. Give another one."),
        ("plot", ("plot.mine.draw",), "error", "too many"),
    ]
    assert messages.fix_of(found[2].text) == ("draw: n={n} is negative. ", "Give another one.")
    assert messages.fix_of(found[1].text) == ("draw: {x} does not fit; ", "use 2*n.")
    assert "use 2*n." in shown(messages.page(found))
