"""Which files of brainsnn or of the user a name depends on, found by reading import statements, and what they hold."""

import ast
import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

from brainsnn.sweeps.owners import owner_of

__all__ = ["has_module", "source_digest", "user_source_digest"]

PACKAGE = Path(__file__).resolve().parent.parent
#: Draws and computes nothing.
IGNORED = {"brainsnn.analysis.plots"}
#: What packages call their tables of names that are loaded at their first use.
LAZY_TABLES = ("_HOME", "_HOMES")


def source_digest(module, name=None):
    """
    A digest of the file that defines something of brainsnn's, and of all files of brainsnn that it imports.

    Comments, docstrings and layout do not count. Files that are no Python, such as templates of generated code, count
    wherever a module of their folder does.

    Parameters
    ----------
    module : str
        Name of a module or package, such as ``"brainsnn.results.result"``.
    name : str, optional
        What is taken from it; all that a package holds by default.

    Returns
    -------
    digest : bytes
    """
    found, waiting = {}, [_home(module, name)]
    if name is None and waiting[0] is not None and waiting[0].name == "__init__.py":
        waiting += waiting[0].parent.rglob("*.py")
    while waiting:
        path = waiting.pop()
        if path is None or path in found:
            continue
        state = path.stat()
        found[path], imports = _read(path, state.st_mtime_ns, state.st_size)
        waiting += [_home(*one) for one in _of_brainsnn(imports)]
    for folder in {path.parent for path in found}:
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts:
                found[path] = hashlib.sha256(path.read_bytes()).digest()
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode() + found[path])
    return digest.digest()


def user_source_digest(module):
    """
    A digest of a module of the user's, and of all modules of the user's that it imports.

    Parameters
    ----------
    module : `~types.ModuleType`

    Returns
    -------
    digest : bytes or None
        None if there is no Python file of the module.
    """
    found, waiting = {}, [module.__name__]
    while waiting:
        name = waiting.pop()
        spec = _spec(name) if name not in found and owner_of(name) == "user" else None
        if spec is None:
            continue
        path = Path(spec.origin)
        state = path.stat()
        found[name], imports = _read(path, state.st_mtime_ns, state.st_size)
        package = name if spec.submodule_search_locations else name.rpartition(".")[0]
        for level, imported, taken in imports:
            full = _absolute(level, imported, package)
            waiting += [full, f"{full}.{taken}"] if full and taken else [full] if full else []
    if module.__name__ not in found:
        return None
    return hashlib.sha256(b"".join(name.encode() + b"\0" + found[name] for name in sorted(found))).digest()


def _spec(name):
    """Where the Python file of a module is, or None."""
    module = sys.modules.get(name)
    try:
        spec = (
            importlib.util.spec_from_file_location(name, module.__file__) if module else importlib.util.find_spec(name)
        )
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
    if spec is None or not spec.has_location or not spec.origin.endswith(".py") or not Path(spec.origin).is_file():
        return None
    if module is not None:
        spec.submodule_search_locations = getattr(module, "__path__", None)
    return spec


def _absolute(level, module, package):
    if level == 0:
        return module
    try:
        return importlib.util.resolve_name("." * level + (module or ""), package)
    except ImportError:
        return None


@cache
def _read(path, mtime, size):
    """Digest of the code of a file, and the (number of dots, module, name) that it imports."""
    tree = ast.parse(path.read_bytes())
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports += [(node.level, node.module, alias.name) for alias in node.names]
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            node.body = body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).digest(), tuple(imports)


def _of_brainsnn(imports):
    """The (module, name) among imports that are of brainsnn and compute something."""
    return [
        (module, name)
        for level, module, name in imports
        if level == 0 and module.split(".")[0] == "brainsnn" and module not in IGNORED
    ]


def has_module(name):
    """
    Whether brainsnn has a module of this name.

    Parameters
    ----------
    name : str
        Such as ``"brainsnn.builders"``.

    Returns
    -------
    has_module : bool
    """
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _home(module, name):
    """The file that defines a name of a module; packages hand names on from the modules in them."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    file = path / "__init__.py"
    if not file.is_file():
        return None
    if name is None:
        return file
    if (path / f"{name}.py").is_file():
        return path / f"{name}.py"
    if (path / name / "__init__.py").is_file():
        return path / name / "__init__.py"
    state = file.stat()
    table = _handed_on(file, state.st_mtime_ns, state.st_size)
    if name in table and table[name] is None:
        return None
    return _home(table[name], name) if name in table else file


@cache
def _handed_on(file, mtime, size):
    """Name -> module, of a package's import statements and of its table of lazily loaded names."""
    package = ".".join(("brainsnn", *file.parent.relative_to(PACKAGE).parts))

    def full(module):
        if (file.parent / f"{module}.py").is_file():
            return f"{package}.{module}"
        return module if module.split(".")[0] == "brainsnn" else None

    table = {}
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            table |= {alias.asname or alias.name: full(node.module) for alias in node.names}
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in LAZY_TABLES:
            table |= {name: full(home) for name, home in ast.literal_eval(node.value).items()}
    return table
