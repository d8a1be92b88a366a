"""``brainsnn study``: the studies that come with brainsnn."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from brainsnn.errors import UnknownNameError

__all__ = ["study", "study_files"]


def study_files() -> dict[str, Path]:
    """
    Return the studies by their names.

    Returns
    -------
    files : dict of str to `~pathlib.Path`
        Scripts of the folder ``studies``: inside an installed package, beside it in a checkout.
    """
    package = Path(__file__).resolve().parent.parent
    folder = package / "studies" if (package / "studies").is_dir() else package.parent / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.py")) if 'if __name__ == "__main__":' in path.read_text()}


def study(
    ctx: typer.Context, name: Annotated[str | None, typer.Argument(help="Name of the study; without it, all are listed.")] = None
) -> None:  # fmt: skip
    """
    Run a study with its own options, or list the studies.

    Example: `brainsnn study precision --quick`, or `brainsnn study precision --help` for its options
    """
    files = study_files()
    if name in (None, "--help", "-h"):
        typer.echo("brainsnn study NAME [options of the study; --help shows them]\n")
        for known, path in files.items():
            question = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
            typer.echo(f"{known.ljust(max(map(len, files)))}  {question}")
        return
    if name not in files:
        raise UnknownNameError(name, files, "study")
    arguments = list(ctx.args)
    asks = {"--help", "-h"} & set(arguments)
    if not asks and not any(argument.partition("=")[0] == "--out" for argument in arguments):
        arguments += ["--out", str(Path("results") / name)]
    raise typer.Exit(subprocess.run([sys.executable, str(files[name]), *arguments], check=False).returncode)
