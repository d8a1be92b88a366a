"""Write the page of all messages (docs/messages.md) from the source: each ``raise`` and warning, by room, with an anchor."""

import ast
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["Message", "find_messages", "page", "write_page"]

PACKAGE = Path(__file__).parents[1] / "brainsnn"
#: Names of what is raised or returned as an error.
ERROR = re.compile(r"(Error|_error|Exception|Refused|BadParameter)$")
INTRODUCTION = """# All messages

Each error and warning that brainsnn raises itself, by the folder ("room") that raises it. Search the page for a few
words of your message. What differs from case to case, such as a name or a value, stands in italics, and alternatives in
brackets. The last sentence, mostly what to do, is bold. [Messages of typical mistakes](mistakes.md) shows some of them
with the code that causes them.

This page is made from the source, when the documentation is built.
"""
#: What functions return that make an error for others to raise.
MADE = {
    "disk_full_error": "OSError",
    "divergence_error": "FloatingPointError",
    "refuse": "ConversionError",
    "_refused": "ConversionError",
    "_wrong": "ConversionError",
    "_full": "OSError",
}
MADE_IN = {"builders/from_nir": {"error": "ConversionError"}}


@dataclass(frozen=True)
class Message:
    """A message: where it is raised, the exception or warning, its text with ``{placeholders}``, and its anchor."""

    room: str
    places: tuple[str, ...]
    kind: str
    text: str
    anchor: str = ""


def find_messages(package=PACKAGE):
    """
    Find the messages of a package.

    Parameters
    ----------
    package : `~pathlib.Path`, optional

    Returns
    -------
    messages : list of Message
        By room and text; those that are equal in a room are one, with several places.
    """
    found = {}
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        parts = relative.parts[:-1][: 2 if relative.parts[0] == "builders" else 1]
        room = "/".join(parts) or "top level"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        described = [(owner, *_described(call, MADE | MADE_IN.get(room, {}))) for owner, call in _calls(tree)]
        for owner, kind, text in [*described, *_reasons(tree)]:
            if re.search(r"[A-Za-z]{2}", re.sub(r"\{[^{}]*\}", "", text)):  # not only values
                place = ".".join(
                    name for name in (*relative.with_suffix("").parts, owner) if name and name != "__init__"
                )
                found.setdefault((room, kind, text), []).append(place)
    messages = [
        Message(room, tuple(dict.fromkeys(places)), kind, text) for (room, kind, text), places in sorted(found.items())
    ]
    return _with_anchors(messages)


def _calls(tree):
    """Yield what is raised, returned as an error, or given to ``warn``, with the name of the function around it."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and _is_text(node.value)
    }

    def visit(node, owner):
        for child in ast.iter_child_nodes(node):
            inner = owner
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{owner}.{child.name}".strip(".")
            yield from ((inner, call) for call in _raised(child, constants))
            yield from visit(child, inner)

    return visit(tree, "")


def _raised(node, constants):
    """Return the calls of a statement that make an error or a warning."""
    value = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Return) else None
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("warn"):
        calls = [node]
    elif value is None:
        return []
    else:
        branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        calls = [branch for branch in branches if isinstance(branch, ast.Call)]
        if isinstance(node, ast.Return):
            calls = [
                call for call in calls if ERROR.search(ast.unparse(call.func)) or ast.unparse(call.func) == "error"
            ]
    return [_Named(constants).visit(call) for call in calls]


class _Named(ast.NodeTransformer):
    """Put the texts of a module's constants where their names stand."""

    def __init__(self, constants):
        self.constants = constants

    def visit_Name(self, node):
        return self.constants.get(node.id, node)


def _reasons(tree):
    """Return constants of a module that are a reason and a fix, of which messages are made: name, kind, text."""
    pairs = [
        (node.targets[0], node.value.elts)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2
    ]
    texts = [
        (ast.unparse(name), _text(reason), _text(fix))
        for name, (reason, fix) in pairs
        if _is_text(reason) and _is_text(fix)
    ]
    return [
        (n, "ConversionError", f"{{name}} {r}. {f}.") for n, r, f in texts if min(len(r.split()), len(f.split())) > 2
    ]


def _is_text(node):
    """Return whether an expression is a text, or several joined."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and (_is_text(node.left) or _is_text(node.right))
    return isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)


def _described(call, made):
    """Return the kind of a message and its text; made has the classes of what functions return."""
    name = ast.unparse(call.func)
    arguments = [*call.args, *(k.value for k in call.keywords if k.arg in (None, "fix", "message"))]
    if name.endswith("UnknownNameError"):
        kinds = [*call.args[2:3], *(k.value for k in call.keywords if k.arg == "kind")]
        kind = _text(kinds[0]) if kinds else "name"
        return "UnknownNameError", f"There is no {kind} named {{name}}. Did you mean {{nearest}}? Known: {{names}}."
    text = " ".join(_text(a) for a in arguments if _is_text(a) or isinstance(a, ast.IfExp))
    text = " ".join(text.split())
    if name.endswith("warn"):
        categories = [ast.unparse(a) for a in call.args[1:] if ast.unparse(a).endswith("Warning")]
        return (categories or ["UserWarning"])[0], text
    name = name.rsplit(".", 1)[-1]
    kind = made.get(name) or (name if ERROR.search(name) else "error")
    return kind, text if " " in text else ""


def _text(node):
    """Return the text of an expression, with what is known only at run time as a {placeholder}."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.FormattedValue) and isinstance(
        node.value, ast.Constant | ast.JoinedStr | ast.IfExp | ast.BinOp
    ):
        return _text(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _is_text(node.left):
        return f"[{_text(node.left)}]"
    if isinstance(node, ast.IfExp) and (_is_text(node.body) or _is_text(node.orelse)):
        return f"[{_text(node.body)}|{_text(node.orelse)}]"
    return f"{{{_placeholder(node.value if isinstance(node, ast.FormattedValue) else node)}}}"


def _placeholder(node):
    """Return a name for a value."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr.strip("_") if node.attr != "__name__" else _placeholder(node.value)
    if isinstance(node, ast.Subscript):
        return _placeholder(node.value)
    if isinstance(node, ast.Call):
        inner = [a.value if isinstance(a, ast.Starred) else a for a in node.args]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join" or not inner:
            return _placeholder(inner[-1]) if inner else _placeholder(node.func)
        if ast.unparse(node.func) in (
            "map",
            "sorted",
            "str",
            "repr",
            "list",
            "type",
            "len",
            "shown",
            "set",
            "max",
            "min",
        ):
            return _placeholder(inner[-1])
        return _placeholder(inner[0]) if isinstance(inner[0], ast.Name) else _placeholder(node.func)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _placeholder(node.generators[0].iter)
    return "value"


def _with_anchors(messages):
    """Give each message an anchor of its first words; a hash is added where several would have the same."""
    slugs = [re.sub(r"[^a-z0-9]+", " ", re.sub(r"\{[^{}]*\}", "", m.text).lower()).split() for m in messages]
    slugs = [f"message-{'-'.join(words[:8])}" for words in slugs]
    return [
        replace(m, anchor=s if slugs.count(s) == 1 else f"{s}-{hashlib.sha256(repr(m).encode()).hexdigest()[:4]}")
        for m, s in zip(messages, slugs, strict=True)
    ]


def fix_of(text):
    """
    Divide a message into what is wrong and what to do.

    Parameters
    ----------
    text : str

    Returns
    -------
    wrong, fix : str
        The fix is the last sentence, or what follows the last semicolon; empty if the message is one clause.
    """
    ends = [m.end() for m in re.finditer(r"[.?!] (?=[A-Z\[])|; ", text)]
    return (text[: ends[-1]], text[ends[-1] :]) if ends else (text, "")


def _escaped(text):
    """Escape what Markdown would take for markup; placeholders become italic."""
    parts = re.split(r"\{([A-Za-z_]\w*)\}", text)
    escape = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|$~:@&^\"'=])")
    return "".join(f"*{part}*" if k % 2 else escape.sub(r"\\\1", part) for k, part in enumerate(parts))


def page(messages):
    """
    Return the page.

    Parameters
    ----------
    messages : list of Message

    Returns
    -------
    text : str
        In MyST Markdown.
    """
    lines, room = [INTRODUCTION], None
    for m in messages:
        if m.room != room:
            room = m.room
            lines.append(f"## {room}\n")
        wrong, fix = fix_of(m.text)
        advice = f"**{_escaped(fix.strip())}**" if fix else ""
        lines.append(f"({m.anchor})=\n`{m.kind}` [¶](#{m.anchor}) {_escaped(wrong)}{advice}\n")
    return "\n".join(lines)


def write_page(folder=Path(__file__).parent):
    """
    Write ``messages.md`` if it has changed, so that Sphinx reads it again only then.

    Parameters
    ----------
    folder : `~pathlib.Path`, optional
    """
    path, text = folder / "messages.md", page(find_messages())
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_page()
