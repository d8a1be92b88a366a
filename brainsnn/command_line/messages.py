"""What commands say beside their results: warnings in the words of the command line, and notes of Brian2's log."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from brainsnn.errors import (
    BoundedNeuronsWarning,
    PixelRangeWarning,
    SaturationWarning,
    SilentNeuronsWarning,
    SpikeHeightWarning,
    SummedReadoutWarning,
    UncalibratedWarning,
)

__all__ = ["colours_wanted", "plain_notes", "plain_warnings"]

#: What to do about a warning on the command line, instead of what to do in Python.
ADVICE: dict[type[Warning], str] = {
    BoundedNeuronsWarning: "Leave --neuron out, or use --neuron ASN.",
    PixelRangeWarning: "Networks usually take images/255: divide those of the file, or give pictures.",
    SaturationWarning: "What helps: --calibrate for a ReLU network, --neuron ASN:m_f=... with a larger m_f for others.",
    SilentNeuronsWarning: "Use a small threshold and a slow membrane, as in --neuron LIF:tau_m=100ms,threshold=0.02.",
    SpikeHeightWarning: "Leave --neuron out: the network has neurons of its own.",
    SummedReadoutWarning: "Use --neuron ASN or LIF, whose readouts average.",
    UncalibratedWarning: "Normalise them with --calibrate (of brainsnn convert: --calibrate IMAGES).",
}


def colours_wanted() -> bool:
    """Return whether messages in a terminal may have colours, as https://no-color.org says."""
    return not os.environ.get("NO_COLOR")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show each warning once, without the file and the line where it arose, and with `ADVICE` if there is any."""
    shown = set()

    def show(message: Warning | str, category: type[Warning], *_where: Any, **_more: Any) -> None:
        """Write a warning to the error stream."""
        text = f"{message}"
        if category in ADVICE:
            text = f"{getattr(message, 'problem', message)} {ADVICE[category]}"
        if text not in shown:
            shown.add(text)
            typer.secho(f"Warning: {' '.join(text.split())}", fg="yellow", err=True)

    with warnings.catch_warnings():
        # Brian2 does so when it is imported, and would replace the function that shows warnings.
        logging.captureWarnings(True)
        warnings.showwarning = show
        for category in (DeprecationWarning, PendingDeprecationWarning):  # for authors of packages
            warnings.simplefilter("ignore", category)
        try:
            yield
        finally:
            logging.captureWarnings(False)


class _Plain(logging.Formatter):
    """Notes as they are, and warnings under their name."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line that is shown."""
        text = record.getMessage()
        return text if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: {text}"


def plain_notes() -> None:
    """Show what Brian2 and brainsnn log without the names of their modules."""
    from brian2 import BrianLogger

    BrianLogger.console_handler.setFormatter(_Plain())
