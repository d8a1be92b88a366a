"""Read the source of the user's code and of all modules of the user's that it imports, and digest the brainsnn package."""

import ast
import hashlib
import inspect
import sys
import textwrap
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import resolve_name
from pathlib import Path

import numpy as np

from brainsnn.sweeps.module_origin import locate, origin_of

__all__ = ["SourceError", "environment_digest", "function_digest", "module_digest", "real_name"]

PACKAGE = Path(__file__).resolve().parent.parent


class SourceError(TypeError):
    """The source of a function or a module of the user's is needed and cannot be read."""


@cache
def environment_digest():
    """
    Return a digest of brainsnn's files and of the versions of Python (major and minor), Brian2 and numpy.

    The files are read once in each process.

    Returns
    -------
    digest : str
    """
    digest = hashlib.sha256(repr((sys.version_info[:2], version("brian2"), np.__version__)).encode())
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0{content}".encode())
    return digest.hexdigest()


def module_digest(variables):
    """
    Return a digest of the source of a module and of all modules of the user's that it imports, directly or not.

    Import statements count wherever they stand, and so do calls of `importlib.import_module` with a literal name. Code under
    ``if __name__ == "__main__":`` at the top level of a file does not count.

    Parameters
    ----------
    variables : dict
        Variables of the module.

    Returns
    -------
    digest : str or None
        None if the module has no file.
    """
    file = variables.get("__file__")
    if not isinstance(file, str) or not Path(file).is_file():
        return None
    return _digest(real_name(variables), *_read_file(Path(file)), variables.get("__package__"))


def function_digest(function):
    """
    Return a digest of the source that defines a function: its module's file, or the function alone in a notebook.

    Modules of the user's that the source imports count as in `module_digest`.

    Parameters
    ----------
    function : function

    Returns
    -------
    digest : str or None
        None if the source cannot be read.
    """
    variables = function.__globals__
    if (digest := module_digest(variables)) is not None:
        return digest
    try:
        source = textwrap.dedent(inspect.getsource(function.__code__)).strip().encode()
    except (OSError, TypeError, SyntaxError):
        return None
    return _digest("", source, _imports(source), variables.get("__package__"))


def real_name(variables):
    """
    Return the name of a module, the same whether its file is run as a script or imported.

    Parameters
    ----------
    variables : dict
        Variables of the module.

    Returns
    -------
    name : str
        ``"notebook"`` for a ``__main__`` without a file.
    """
    name = variables.get("__name__", "")
    if name not in ("__main__", "__mp_main__"):
        return name
    spec = variables.get("__spec__")
    return spec.name if spec is not None else Path(variables.get("__file__") or "notebook").stem


def _digest(name, source, imports, package):
    """Digest a source and those of all modules of the user's that it imports."""
    sources, waiting = {name: source}, _full_names([name, *imports], package)
    while waiting:
        name = waiting.pop()
        if name in sources or origin_of(name) != "user":
            continue
        file, folders = locate(name)
        sources[name] = b""
        if file is not None and Path(file).is_file():
            sources[name], imports = _read_file(Path(file))
            waiting |= _full_names(imports, name if folders else name.rpartition(".")[0])
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{hashlib.sha256(sources[name]).hexdigest()}".encode())
    return digest.hexdigest()


def _full_names(imports, package):
    """Return the set of modules that may be meant by import statements, with the packages that they are part of."""
    found = set()
    for module in imports:
        try:
            parts = resolve_name(module, package).split(".") if module else []
        except ImportError:  # dots that lead out of the package: the import fails, too
            continue
        found.update(".".join(parts[: k + 1]) for k in range(len(parts)))
    return found


def _read_file(path):
    """Return the source of a file (bytes) and its imports (tuple); no imports of files other than Python source."""
    data = path.read_bytes()
    return _read_source(data) if path.suffix == ".py" else (data, ())


@lru_cache(maxsize=1000)
def _read_source(data):
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        tree = ast.parse(data)
    except SyntaxError:
        return data, ()
    lines = data.split(b"\n")
    for node in reversed(tree.body):
        if isinstance(node, ast.If) and _is_guard(node.test):
            del lines[node.body[0].lineno - 1 : node.body[-1].end_lineno]
            node.body = []
    return b"\n".join(lines), _imports_of(tree)


def _is_guard(test):
    return ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__")


def _imports(source):
    try:
        return _imports_of(ast.parse(source))
    except SyntaxError:  # a lambda in the middle of a statement
        return ()


def _imports_of(tree):
    """Return the names of modules that a syntax tree may import, relative ones with their dots."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found.add(base)
            found.update(f"{base}{'.' if node.module else ''}{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                found.add(node.args[0].value)
    return tuple(sorted(found))
