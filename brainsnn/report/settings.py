"""What a report says of the settings of a run: in words, with units; the network as it was read; versions."""

import json

from brainsnn.html_tables import html_table
from brainsnn.plain_arrays import is_number

__all__ = ["network_html", "presentation_of", "settings_of", "time_text", "versions_of"]

#: Settings that are told elsewhere in the report.
ELSEWHERE = ("parameters", "network", "versions", "brainsnn", "brian2", "gate", "input")
#: How long a list may be that is shown.
LENGTH = 200
#: When a spike acts, by schedule.
SCHEDULES = {
    "pipelined": "pipelined: a spike acts in the next step",
    "synchronous": "synchronous: a spike acts in the same step",
}
#: When the image is on.
PRESENTATION = {"onset": "from the start", "offset": "to the end", "background": "0"}


def time_text(value, default="none"):
    """
    Return a time of the settings with its unit, or those of all images in short.

    Parameters
    ----------
    value : float, list of float or None
        In seconds.
    default : str, optional
        For None.

    Returns
    -------
    text : str
    """
    if value is None:
        return default
    if is_number(value):
        return f"{value * 1e3:g} ms"
    if isinstance(value, list) and value and all(map(is_number, value)):
        low, high = min(value) * 1e3, max(value) * 1e3
        return f"{low:g} ms" if low == high else f"one for each image, {low:g} to {high:g} ms"
    return _text(value)


def _text(value):
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= LENGTH else f"{text[:LENGTH]} ... ({len(text):,} characters)"


def presentation_of(result):
    """
    Return when the images were on, and what was shown while they were off.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    rows : list of (str, str)
    """
    settings = result.settings
    timed = settings.get("onset") is not None or settings.get("offset") is not None
    return [
        (name, (_text if name == "background" else time_text)(value) if value is not None else default)
        for name, default in PRESENTATION.items()
        if name in settings and (name != "background" or timed)
        for value in [settings[name]]
    ]


def settings_of(result):
    """
    Return the settings of a run in words.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    rows : list of (str, str)
        Name and value, without when the images were on. What the settings of other versions hold besides is shown as JSON.
    """
    settings, rows = result.settings, []
    for name, value in settings.items():
        if name in PRESENTATION or name in ELSEWHERE:
            continue
        if name in ("dt", "duration"):
            text = time_text(value)
        elif name == "schedule":
            text = SCHEDULES.get(value, value) if isinstance(value, str) else _text(value)
        elif name == "attention":
            text = _attention(value)
        elif name == "feedback":
            text = _text(settings.get("gate") or value)
        elif name == "images":  # of a run that a full disk ended
            text = f"the run ended early; complete are {_text(value)}"
        else:
            text = _text(value)
        rows.append((name, text))
    return rows


def _attention(value):
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return _text(value)
    layers = value.get("layers")
    where = f" in {', '.join(map(str, layers))}" if isinstance(layers, list) else ""
    onset, offset = value.get("onset"), value.get("offset")
    if onset is None and offset is None:
        return f"{value['text']}{where}, on throughout"
    return f"{value['text']}{where}; on: {time_text(onset, 'from the start')}; off: {time_text(offset, 'to the end')}"


def versions_of(result):
    """
    Return the versions of a run, not of the machine that reads the result.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    rows : list of (str, str)
        Older results name brainsnn and Brian2 only.
    """
    versions = result.settings.get("versions")
    if not isinstance(versions, dict):
        versions = {name: result.settings[name] for name in ("brainsnn", "brian2") if name in result.settings}
    return [(str(name), _text(value)) for name, value in versions.items()]


def network_html(result):
    """
    Return what became of each layer, and the projections.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    title : str
        A line; empty if the result does not hold the tables.
    html : str
    """
    network = result.settings.get("network")
    tables = [network.get(name) for name in ("layers", "projections")] if isinstance(network, dict) else []
    if not tables or not all(map(_is_table, tables)) or not isinstance(network.get("title"), str):
        return "", ""
    layers, projections = tables
    return network["title"], html_table(layers[1:], layers[0]) + html_table(
        projections[1:], projections[0], right=min(3, len(projections[0]) - 1)
    )


def _is_table(rows):
    """Return whether a value is rows of text, as files of others may not hold."""
    return (
        isinstance(rows, list) and len(rows) > 0 and all(isinstance(row, list) and row for row in rows)
        and all(isinstance(cell, str) for row in rows for cell in row)
    )  # fmt: skip
