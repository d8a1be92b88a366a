"""The command ``brainsnn``: a thin layer over the Python names."""

import os
import signal
import sys
from types import FrameType

from brainsnn.optional import optional_packages

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """
    Run the command line, and end the process.

    Parameters
    ----------
    arguments : list of str, optional
        The command-line arguments, by default those of the process.

    Raises
    ------
    SystemExit
        Always: 0 if the command did what was asked, 1 if it failed, 2 if the arguments are wrong, 130 if it was interrupted.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its notes hide our messages
    try:
        with optional_packages("the command line"):
            from brainsnn.command_line.app import app
    except ModuleNotFoundError as error:
        sys.exit(f"brainsnn: {error}")
    app(arguments, prog_name="brainsnn")


def _interrupted(_number: int, frame: FrameType | None) -> None:
    """End the process, at once within an import: packages catch the exception there, and nothing is written yet."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt
