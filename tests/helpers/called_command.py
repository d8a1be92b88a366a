"""Call the command line within the process of the tests."""

from typer.testing import CliRunner

from brainsnn.command_line.app import app

__all__ = ["brainsnn"]


def brainsnn(*arguments):
    """Call the command; returns its exit code, what it wrote to both streams, and the exception if one came through."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200", "TERM": "dumb"})
