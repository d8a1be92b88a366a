"""``brainsnn cache``: compiled networks that are kept for the next run."""

from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="Show or clear the cache of compiled networks.\n\nExample: `brainsnn cache list`"
)


@app.command("list")
def show() -> None:
    """
    List the compiled networks, with their size and the day of their last use.

    Example: `brainsnn cache list`
    """
    import datetime

    import brainsnn as bs

    programs = bs.cached_programs()
    for name, size, used in programs:
        day = datetime.datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M")
        typer.echo(f"{name}  {size / 1e6:8.1f} MB  {day}")
    total = sum(size for _, size, _ in programs)
    typer.echo(f"{len(programs)} compiled networks, {total / 1e6:.1f} MB in {bs.cache_directory()}")


@app.command()
def clear(
    days: Annotated[float, typer.Option(help="Remove only those not used for this many days.", min=0)] = 0.0,
) -> None:
    """
    Remove compiled networks. They are compiled again when they are needed.

    Example: `brainsnn cache clear --days 30`
    """
    import brainsnn as bs
    from brainsnn.plain_arrays import is_number

    if not is_number(days, low=0):
        raise typer.BadParameter(f"must be a number of days, 0 or more, got {days:g}.", param_hint="--days")
    typer.echo(f"{bs.clear_cache(days) / 1e6:.1f} MB freed in {bs.cache_directory()}")
