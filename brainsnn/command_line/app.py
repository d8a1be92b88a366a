"""The commands, and what happens when one of them fails."""

import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import brainsnn
from brainsnn.command_line import cache, information, networks, runs, studies, sweeps
from brainsnn.command_line.messages import colours_wanted, plain_warnings

__all__ = ["app"]

#: What our own code and the libraries raise for wrong input or a machine that lacks something, with a message for users.
_EXPECTED = (ArithmeticError, ImportError, LookupError, MemoryError, OSError, RuntimeError, ValueError)


class Commands(TyperGroup):
    """A group of commands whose errors are one message; ``--debug`` shows where they came from."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was chosen."""
        if not colours_wanted():
            ctx.color = False
        try:
            with plain_warnings():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            # Wrong arguments are click's own errors, which it prints with the usage.
            if hasattr(error, "exit_code"):
                raise
            if ctx.params.get("debug"):  # here, since Brian2 would put its own notice in place of the message
                traceback.print_exception(error)
                raise typer.Exit(1) from None
            typer.secho(f"Error: {_said(error)}", fg="red", err=True)
            if not isinstance(error, _EXPECTED):
                typer.echo(
                    f"This {type(error).__name__} was not expected: brainsnn --debug ... shows where it arose.",
                    err=True,
                )
            raise typer.Exit(1) from None


def _said(error: Exception) -> str:
    """Return the message of an error; those of the system name the file first."""
    if isinstance(error, OSError) and error.strerror:  # without the number of the error
        return error.strerror if error.filename is None else f"{str(error.filename)!r}: {error.strerror}."
    return str(error) or type(error).__name__


app = typer.Typer(
    name="brainsnn", cls=Commands, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"brainsnn {brainsnn.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """
    Convert trained convolutional networks to spiking networks of Brian2 objects, and run them.

    Example: `brainsnn run digits --images digits.npz -o result.nc`
    """


app.command("info")(information.info)
app.command("models")(networks.models)
app.command("layers")(networks.layers)
app.command("convert")(networks.convert)
app.command("run")(runs.run)
app.command("report")(runs.report)
app.command(
    "study", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)(studies.study)
app.add_typer(sweeps.app, name="sweep")
app.add_typer(cache.app, name="cache")
