"""What a report says: tables and texts of a result."""

import itertools
import sys
from pathlib import Path

import numpy as np

from brainsnn.files import check_file, checked_path
from brainsnn.html_tables import folded, fragment, html_table
from brainsnn.report.settings import presentation_of, settings_of, versions_of

__all__ = ["equations_of", "numbers_of", "populations_html", "result_html", "script_of"]


def numbers_of(result):
    """Return the headline numbers as (name, value) pairs of text."""
    from brainsnn.analysis import accuracy_interval

    milliseconds = result.n_steps * result.dt * 1e3
    rows = [
        ("images", f"{result.n_images:,}"),
        ("duration", f"{milliseconds:g} ms, {result.n_steps:,} steps of {result.dt * 1e3:g} ms"),
    ]
    if result.spike_counts:
        total = sum(counts.mean() for counts in result.spike_counts.values())
        rows += [("mean firing rate", f"{result.mean_firing_rate:.3g} Hz"), ("spikes per image", f"{total:,.1f}")]
    if result.labels is not None and result.outputs:
        accuracy = result.accuracy()[-1]
        low, high = accuracy_interval(round(accuracy * result.n_images), result.n_images)
        rows.append((
            "accuracy at the last step",
            f"{100 * accuracy:.1f}%, 95% interval {100 * low:.1f} to {100 * high:.1f}%, n = {result.n_images}",
        ))  # fmt: skip
    return rows


def populations_html(result):
    """Return a table of the populations: name, shape, neurons, rate in Hz, spikes per image, parameters (str)."""
    rows, parameters = [], result.settings.get("parameters") or {}
    for name, shape in result.shapes.items():
        n, counts = int(np.prod(shape)), result.spike_counts.get(name)
        rate = "" if counts is None else f"{counts.mean() / (n * result.n_steps * result.dt):.3g}"
        own = parameters.get(name) or {}
        shown = ", ".join(f"{key} {_range(value)}" for key, value in own.items())
        size = " x ".join(map(str, shape))
        rows.append((name, size, shown, f"{n:,}", rate, "" if counts is None else f"{counts.mean():,.1f}"))
    header = ("population", "rows x columns x channels", "parameters", "neurons", "rate (Hz)", "spikes per image")
    return html_table(rows, header, right=3)


def result_html(result):
    """
    Return numbers, populations, what was recorded, and settings as HTML for a notebook (str).

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.report import result_html
    >>> from brainsnn.stimuli import load_digits
    >>> result = bs.convert(bs.load_model("digits")).run(load_digits("test")[0][:1], duration=10 * bs.ms)
    >>> result_html(result) == result._repr_html_()
    True
    """
    recorded = [(name, ", ".join(found)) for name in result.shapes for found in [_recorded(result, name)] if found]
    parts = [html_table(numbers_of(result)), folded("populations", populations_html(result))]
    if recorded:
        parts.append(folded("recorded", html_table(recorded, ("population", "spikes and states"))))
    if result.settings:
        rows = [*settings_of(result), *presentation_of(result), *versions_of(result)]
        parts.append(folded("settings and versions", html_table(rows)))
    return fragment("Result", *parts)


def _recorded(result, name):
    """Return what was recorded of a population."""
    return [*(["spikes"] if name in result.spikes else []), *(result.states[name] if name in result.states else ())]


def _range(value):
    return " to ".join(f"{v:.3g}" for v in value) if isinstance(value, list | tuple) else f"{value:.3g}"


def equations_of(result):
    """Return (names of populations, equations) for each group of populations with the same equations."""
    shown = sorted(((str(model), name) for name, model in result.models.items()), key=lambda pair: pair[0])
    groups = [([name for _, name in own], text) for text, own in itertools.groupby(shown, key=lambda pair: pair[0])]
    order = list(result.models)
    found = sorted(
        ((sorted(names, key=order.index), text) for names, text in groups), key=lambda g: order.index(g[0][0])
    )
    gate = result.settings.get("feedback")
    return found + ([(["prediction and gate"], gate)] if isinstance(gate, str) else [])


def script_of(script):
    """
    Return the name and the text of the script that made the result.

    Parameters
    ----------
    script : str, path-like or None
        None stands for the Python file that runs now, if it is one.

    Returns
    -------
    script : (str, str) or None

    Raises
    ------
    OSError, ValueError
        If a script that was named cannot be read, or is not text.
    """
    if script is None:
        running = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
        # __main__.py is a program that was started by its name, such as ours
        if running is None or running.suffix != ".py" or running.name == "__main__.py" or not running.is_file():
            return None
        script = running
    path = checked_path(script, "Result.report: script", is_file=True)
    check_file(path, "Result.report: script")
    try:
        return path.name, path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Result.report: script {str(path)!r} is not text in UTF-8 ({error.reason}). Give the Python file."
        ) from None
