"""Import Keras and TensorFlow, which takes seconds: say so."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec

from brainsnn.brian2_import import import_brian2

__all__ = ["import_keras"]


def import_keras() -> None:
    """
    Import Keras, and say through Brian2's logging that TensorFlow is imported, where it was not before, and how long it took.

    ``BrianLogger.suppress_name("brainsnn")`` silences it, as the notes of the compiler. With the environment variable
    ``TF_CPP_MIN_LOG_LEVEL=3``, TensorFlow's own notes are hidden from the first one on.
    """
    if "keras" in sys.modules:
        return
    is_tensorflow = (
        os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and find_spec("tensorflow") is not None
    )
    with _announced() if is_tensorflow and "tensorflow" not in sys.modules else nullcontext():
        with _notes_hidden() if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "3" else nullcontext():
            import keras  # noqa: F401


@contextmanager
def _announced() -> Iterator[None]:
    """Say what begins, and what it took."""
    import_brian2()
    from brian2 import get_logger

    logger, began = get_logger("brian2.brainsnn"), time.monotonic()
    logger.info("Importing TensorFlow ...")
    yield
    logger.info(f"TensorFlow imported in {time.monotonic() - began:.1f} s.")


@contextmanager
def _notes_hidden() -> Iterator[None]:
    """Hide what TensorFlow writes while it is imported, before its level of logging counts; an error shows it."""
    try:
        kept = os.dup(2)
    except OSError:  # this process has no error stream
        yield
        return
    with tempfile.TemporaryFile() as notes:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except Exception:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
