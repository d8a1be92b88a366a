"""``brainsnn sweep``: how far sweeps are, going on with them, and what they found."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from brainsnn.command_line.files import check_output, write_as
from brainsnn.command_line.networks import Force

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Sweeps that were started with `brainsnn.sweep`.\n\nExample: `brainsnn sweep status results/gain`",
)

Folder = Annotated[Path, typer.Argument(help="The folder of the sweep.")]
DATASETS = {".nc": "NetCDF", ".csv": "a table"}


@app.command()
def status(folders: Annotated[list[Path], typer.Argument(help="Folders of sweeps.")]) -> None:
    """
    Say how many units of a sweep are saved and being computed, and whether its data set is complete.

    Example: `brainsnn sweep status results/gain`
    """
    from brainsnn.sweeps import sweep_status

    for folder in folders:
        typer.echo(sweep_status(folder))


@app.command()
def resume(folder: Folder, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """
    Run the command again that started a sweep; units that are saved are not computed again.

    Example: `brainsnn sweep resume results/gain`
    """
    from brainsnn.sweeps import sweep_status

    found = sweep_status(folder)
    typer.echo(found)
    if found.dataset is not None:
        return
    if not found.command:
        raise ValueError(
            f"{str(folder)!r} was started in a notebook or a Python session. Run the cell or the lines again."
        )
    typer.echo(f"In {found.directory}: {shlex.join(found.command)}")
    # The folder may come from somebody else, and with it the command.
    if not yes:
        typer.confirm("Run this command?", abort=True)
    raise typer.Exit(subprocess.run(found.command, cwd=found.directory, check=False).returncode)


@app.command()
def collect(
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .nc (NetCDF) or .csv (a table).")],
    force: Force = False,
) -> None:
    """
    Copy the data set of a complete sweep, or write it as a table with a row for each entry.

    Example: `brainsnn sweep collect results/gain -o gain.csv`
    """
    from brainsnn.files import write_atomically
    from brainsnn.optional import optional_packages
    from brainsnn.sweeps import sweep_status

    check_output(output, DATASETS, force)
    found = sweep_status(folder)
    if found.dataset is None:
        raise ValueError(f"{found}. Complete it with: brainsnn sweep resume {shlex.quote(str(folder))}")
    with optional_packages("sweep collect"):
        import xarray as xr

    def _copy(path: Path) -> None:
        with write_atomically(path) as file, open(found.dataset, "rb") as source:
            shutil.copyfileobj(source, file)

    def _write_table(path: Path) -> None:
        with xr.open_dataset(found.dataset) as data, write_atomically(path) as file:
            data.to_dataframe().reset_index().to_csv(file, index=False)

    write_as(output, {".nc": _copy, ".csv": _write_table})
    typer.echo(f"Written: {output}")
