"""Write a report."""

from importlib.resources import files

from brainsnn.files import checked_path, write_atomically
from brainsnn.html_tables import TABLE_STYLE, html_table
from brainsnn.report.contents import equations_of, numbers_of, populations_html, script_of
from brainsnn.report.figures import figures_of
from brainsnn.report.inputs import chosen_inputs, inputs_of, pictures_of
from brainsnn.report.settings import network_html, settings_of, versions_of
from brainsnn.results.selection import chosen_image

__all__ = ["write_report"]


def write_report(result, path, title="brainsnn report", image=0, images=None, script=None, overwrite=False):
    """
    Write a result as one HTML file; see `~brainsnn.results.result.Result.report`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    path, title, image, images, script, overwrite
        See there.

    Returns
    -------
    path : `~pathlib.Path`

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.report import write_report
    >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
    >>> result.spikes["conv"], result.spike_counts["conv"] = [(np.array([3]), np.array([2]))], np.array([1])
    >>> write_report(result, "report.html").name
    'report.html'
    """
    from jinja2 import Environment
    from markupsafe import Markup

    target = checked_path(path, "Result.report: path", is_file=True)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"Result.report: path={str(target)!r} must end in .html.")
    if target.exists() and not overwrite:
        raise FileExistsError(
            f"Result.report: {str(target)!r} exists. Give overwrite=True to replace it, or another name."
        )
    image = chosen_image(image, result.n_images, "Result.report")
    script, images = script_of(script), chosen_inputs(result, images)
    network, layers = network_html(result)
    pictures = pictures_of(result, images, image)
    seen = {caption.partition(",")[0] for caption, _ in pictures}
    # autoescape: names of layers come from model files of others
    template = Environment(autoescape=True).from_string(
        (files("brainsnn.report") / "report.html").read_text(encoding="utf-8")
    )
    tables = {
        "style": TABLE_STYLE, "numbers": html_table(numbers_of(result)), "settings": html_table(settings_of(result)),
        "populations": populations_html(result), "inputs": html_table(inputs_of(result, images)), "layers": layers,
        "versions": html_table(versions_of(result)),
    }  # fmt: skip
    text = template.render(
        title=title, equations=equations_of(result), figures=figures_of(result, image), script=script, network=network,
        pictures=pictures, unseen=None if f"image {image}" in seen else image,
        **{name: Markup(table) for name, table in tables.items()},
    )  # fmt: skip
    with write_atomically(target) as file:
        file.write(text.encode())
    return target
