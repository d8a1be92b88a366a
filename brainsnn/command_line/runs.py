"""``brainsnn run``: images through a spiking network."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from brainsnn.command_line.files import Images, check_images, check_output, read_graph, read_images, write_as
from brainsnn.command_line.networks import AveragePooling, Force, Gate, Model, Neuron, Resize, Schedule, Weights
from brainsnn.command_line.trained import convert_options
from brainsnn.command_line.values import one_of, recordings, time_value

if TYPE_CHECKING:
    from brainsnn import Result

__all__ = ["report", "run"]

RESULTS = {".npz": "brainsnn", ".nc": "NetCDF", ".zarr": "Zarr"}
#: Decisions of so many images are shown.
N_SHOWN = 10


ImagesPath = Annotated[
    Path,
    typer.Option("--images", "-i", help="Folder of pictures, a picture, .npz (with `images`, `labels`) or .npy."),
]
ReportImages = Annotated[
    Path | None, typer.Option("--images", "-i", help="The images of the run, as `brainsnn run` takes them.")
]
Duration = Annotated[
    str | None, typer.Option("--duration", "-t", help="Duration of a trial, with its unit: `500ms`; 300ms by default.")
]
Record = Annotated[
    list[str] | None, typer.Option("--record", "-r", help="LAYER:VARIABLES, as `conv2:spikes,S`; repeat it.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File of the result: .npz, .nc or .zarr.")]
Device = Annotated[
    str,
    typer.Option(help="`runtime`, `cpp_standalone`, ...; see `brainsnn info`.", callback=one_of(lambda: _devices())),
]
Calibrate = Annotated[bool, typer.Option("--calibrate", help="Normalise a ReLU network on these images first.")]
Level = Annotated[float | None, typer.Option(help="Level of the input while the image is off.")]


def _devices() -> list[str]:
    from brainsnn.builders.devices.registry import DEVICES

    return list(DEVICES)


def run(
    model: Model,
    images: ImagesPath,
    duration: Duration = None,
    neuron: Neuron = None,
    record: Record = None,
    output: Output = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run the first images only.")] = None,
    resize: Resize = False,
    onset: Annotated[str | None, typer.Option(help="When the image comes on: `100ms`.")] = None,
    offset: Annotated[str | None, typer.Option(help="When it goes off.")] = None,
    background: Level = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random numbers.")] = 0,
    device: Device = "runtime",
    schedule: Schedule = "pipelined",
    threads: Annotated[int, typer.Option(min=1, help="Threads of one program.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Programs at once, on compiled devices.")] = 1,
    calibrate: Calibrate = False,
    gate: Gate = None,
    weights: Weights = None,
    average_pooling: AveragePooling = "spikes",
    force: Force = False,
) -> None:
    """
    Run images through the spiking network, and show decisions, rates and, with labels, accuracy.

    Example: `brainsnn run digits --images digits.npz --duration 300ms --record conv2:spikes,S -o result.nc`
    """
    import brainsnn as bs

    check_output(output, RESULTS, force)
    times = {name: time_value(text, f"--{name}") for name, text in (("onset", onset), ("offset", offset))}
    lasting, wanted = time_value(duration, "--duration", is_duration=True), recordings(record or [])
    _check_together(times, background, device, processes)
    if wanted and output is None:
        raise typer.BadParameter("needs -o: what is recorded is kept in the file of the result.", param_hint="--record")
    check_images(images)
    options = convert_options(model, neuron, calibrate, gate)
    graph = read_graph(model, weights, average_pooling, options.get("thresholds", ()))
    batch = read_images(images, graph.input.shape, limit, resize, graph.pixel_unit)
    _check_labels(batch.labels, graph.readouts[0].size if graph.readouts else None)
    if calibrate:
        graph = bs.calibrate(graph, batch.values)
    snn = bs.convert(graph, schedule=schedule, device=device, threads=threads, record=wanted, **options)
    result = snn.run(
        batch.values, lasting, seed, background=background, processes=processes, progress=sys.stderr.isatty(), **times
    )
    _show(result, batch)
    if output is not None:
        write_as(output, {
            ".npz": lambda path: result.save(path, labels=batch.labels),
            ".nc": lambda path: _labelled(result, batch).to_netcdf(path, overwrite=force),
            ".zarr": lambda path: _labelled(result, batch).to_zarr(path),
        })  # fmt: skip
        typer.echo(f"Written: {output}")


def _check_together(times: dict[str, Any], background: float | None, device: str, processes: int) -> None:
    """Refuse options that have no effect beside the others."""
    if background is not None and not math.isfinite(background):
        raise typer.BadParameter(f"{background} must be a finite number.", param_hint="--background")
    if background is not None and all(time is None for time in times.values()):
        raise typer.BadParameter("needs --onset or --offset: the image is on all the time.", param_hint="--background")
    if processes > 1 and device == "runtime":
        raise typer.BadParameter("needs --device cpp_standalone; runtime has one program.", param_hint="--processes")


def _check_labels(labels: np.ndarray | None, n_classes: int | None) -> None:
    """Refuse labels that are not classes of the network."""
    if labels is None or n_classes is None:
        return
    wrong = labels[(labels < 0) | (labels >= n_classes)]
    if wrong.size:
        raise typer.BadParameter(
            f"a label is {wrong[0]}, and the network has the classes 0 to {n_classes - 1}; number the labels so.",
            param_hint="--images",
        )


def _labelled(result: "Result", batch: Images) -> "Result":
    result.labels = batch.labels
    return result


def _show(result: "Result", batch: Images) -> None:
    """Print decisions, accuracy with its interval, and a row for each layer."""
    from brainsnn.analysis import accuracy_interval

    if result.outputs:
        decisions = result.output[:, -1].reshape(result.n_images, -1).argmax(axis=1)
        for k in range(min(N_SHOWN, result.n_images)):
            truth = "" if batch.labels is None else f" (label {batch.labels[k]})"
            typer.echo(
                f"{batch.names[k]}: class {decisions[k]}{truth}, output {result.output[k, -1].flat[decisions[k]]:.3g}"
            )
        if result.n_images > N_SHOWN:
            typer.echo(f"... and {result.n_images - N_SHOWN} more images")
        if batch.labels is not None:
            correct = int((decisions == batch.labels).sum())
            low, high = accuracy_interval(correct, result.n_images)
            typer.echo(
                f"accuracy {100 * correct / result.n_images:.1f}%, 95% interval {100 * low:.1f} ... {100 * high:.1f}%, "
                f"n = {result.n_images}"
            )
    width = max(map(len, result.spike_counts), default=5)
    typer.echo(f"{'layer'.ljust(width)}  neurons  mean rate, Hz  spikes per image")
    for name, counts in result.spike_counts.items():
        n = math.prod(result.shapes[name])
        rate = counts.mean() / n / (result.n_steps * result.dt)
        typer.echo(f"{name.ljust(width)}  {n:7,}  {rate:13.2f}  {counts.mean():16,.1f}")


def report(
    result: Annotated[Path, typer.Argument(help="A result: .npz, a streamed folder, .nc or .zarr.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The report, .html.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Its title.")] = "brainsnn report",
    image: Annotated[int, typer.Option(min=0, help="Image whose spikes, feature maps and traces are drawn.")] = 0,
    images: ReportImages = None,
    resize: Resize = False,
    script: Annotated[Path | None, typer.Option(help="Python file that made the result.")] = None,
    force: Force = False,
) -> None:
    """
    Write a result as one HTML file: numbers, inputs, figures, network, equations, settings, versions, script.

    Example: `brainsnn report result.nc -o report.html --images digits.npz --script my_study.py`
    """
    import brainsnn as bs

    check_output(output, {".html": "a web page"}, force)
    read = bs.Result.from_xarray if result.suffix.lower() in (".nc", ".zarr") else bs.Result.load
    if images is not None:
        check_images(images)
    elif resize:
        raise typer.BadParameter("needs --images.", param_hint="--resize")
    found = read(result)
    path = found.report(
        output, title=title, image=image, images=None if images is None else _images_of(found, images, resize),
        script=None if script is None else str(script), overwrite=force,
    )  # fmt: skip
    typer.echo(f"Written: {path}")
    if script is None:
        typer.echo("It holds no script. To add the one that made the result: --script study.py")
    if images is None:
        typer.echo("It shows no images. To add those of the run: --images FILE")


def _images_of(result: "Result", path: Path, resize: bool) -> np.ndarray:
    """Return the images of a run from a file; the run may have had the first ones only."""
    about = result.settings.get("input")
    if not isinstance(about, dict):
        raise typer.BadParameter(
            "the result does not name the shape of its images, as those of older versions and of spikes. Leave it out.",
            param_hint="--images",
        )
    limit = None if "images" in result.settings else result.n_images
    return read_images(path, tuple(about["shape"]), limit, resize, about["largest"]).values
