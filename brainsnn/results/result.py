"""The result of a run: outputs, spikes and states, with their files."""

import zlib
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.errors import UnknownNameError
from brainsnn.files import write_atomically
from brainsnn.plain_arrays import plain_array, whole_numbers
from brainsnn.results.streaming import SpikeTrains, is_stream, open_stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Result"]

#: Flat indices of the neurons that spiked, and the steps at which they did.
Train = tuple[np.ndarray, np.ndarray]


class LayerDict(dict[str, Any]):
    """A dict by population that also accepts the names of layers that were folded into a population."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        super().__init__()
        self.aliases = aliases

    def __contains__(self, layer: object) -> bool:
        return super().__contains__(layer) or super().__contains__(self.aliases.get(str(layer)))

    def __missing__(self, layer: str) -> Any:
        if layer not in self:
            raise UnknownNameError(layer, self, "population")
        return self[self.aliases[layer]]

    def get(self, layer: str, default: Any = None) -> Any:
        """Return a value like `dict.get`, also for an alias."""
        return self[layer] if layer in self else default


class Result:
    """
    Outputs, spikes and states of a batch of images.

    Attributes
    ----------
    output : (n, n_steps, n_classes) ndarray
        Activation of the readout at the end of every step. With several readouts, that of the first one. In the pipelined
        schedule, ``output[:, t]`` depends on the spikes of the last layer in the steps before t: those of step t arrive in
        that step and act in the next. In the synchronous schedule it includes them.
    outputs : dict of str to ndarray
        The same for each readout.
    spike_counts : dict of str to (n,) ndarray of int
        Total number of spikes of each spiking population.
    spikes : dict of str to list of (neurons, steps)
        Recorded spikes: for each image, the flat indices of the neurons and the steps at which they spiked.
    states : dict of str to dict of str to (n, n_steps, n_recorded) ndarray or zarr.Array
        Recorded state variables at the end of each step. If the run was streamed to disk, these are zarr arrays, which are
        read when they are indexed, and outputs and spikes are memory-mapped.
    recorded : dict of str to dict of str to (n_recorded,) ndarray of int
        Flat indices of the recorded neurons.
    shapes : dict of str to tuple of int
        (H, W, C) of each population.
    dt : float
        Time step in seconds.
    n_steps : int
    aliases : dict of str to str
        Population of each layer that was folded into one. The dicts above accept these names too.

    See Also
    --------
    brainsnn.builders.spiking_network.SpikingNetwork.run
    """

    shapes: LayerDict
    outputs: LayerDict
    spike_counts: LayerDict
    spikes: LayerDict
    states: LayerDict
    recorded: LayerDict

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dt: float,
        n_steps: int,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.dt, self.n_steps = float(dt), int(n_steps)
        self.aliases = dict(aliases or {})
        for name in ("shapes", "outputs", "spike_counts", "spikes", "states", "recorded"):
            setattr(self, name, LayerDict(self.aliases))
        self.shapes.update(shapes)

    @property
    def output(self) -> np.ndarray:
        """Activation of the first readout, (n, n_steps, n_classes)."""
        return next(iter(self.outputs.values()))

    @property
    def predicted_input(self) -> np.ndarray:
        """The prediction of each pixel by predictive feedback, at the end of each step, (n, n_steps, H, W, C)."""
        return self._feedback_state("prediction")

    @property
    def predictions(self) -> np.ndarray:
        """The former name of `predicted_input`."""
        return self.predicted_input

    @property
    def gate(self) -> np.ndarray:
        """Whether each pixel's gate was open in each step, (n, n_steps, H, W, C) ndarray of bool."""
        return self._feedback_state("is_open") > 0

    def _feedback_state(self, variable: str) -> np.ndarray:
        for name, recorded in self.states.items():
            if variable in recorded:
                values = np.asarray(recorded[variable])
                return values.reshape(*values.shape[:2], *self.shapes[name])
        raise ValueError(
            f"Result: {variable!r} was not recorded. Convert with feedback=PredictiveGate(..., record=True)."
        )

    @property
    def n_images(self) -> int:
        """Number of images (int)."""
        return len(self.output)

    @property
    def times(self) -> np.ndarray:
        """Time of each step in milliseconds, (n_steps,)."""
        return np.arange(self.n_steps) * self.dt * 1e3

    def __repr__(self) -> str:
        return f"<Result: {self.n_images} images, {self.n_steps} steps of {self.dt * 1e3:g} ms, recorded {list(self.spikes)}>"

    def raster(self, layer: str, images: int | slice | ArrayLike | None = None) -> np.ndarray:
        """
        Return the spikes of a recorded population as a dense array.

        Parameters
        ----------
        layer : str
            Name of the population.
        images : int, slice or array_like of int, optional
            Images to include, all by default. The dense array may be much larger than the recorded spikes.

        Returns
        -------
        raster : (n, n_steps, H, W, C) ndarray of bool

        Raises
        ------
        UnknownNameError
            If the spikes of that population were not recorded.
        """
        trains = self._recorded_spikes(layer)
        if images is not None:
            indices = np.arange(len(trains))
            chosen = indices[
                images if isinstance(images, slice) else np.asarray(images, dtype=None if np.size(images) else int)
            ]
            trains = [trains[k] for k in np.atleast_1d(chosen)]
        shape = self.shapes[layer]
        raster = np.zeros((len(trains), self.n_steps, int(np.prod(shape))), dtype=bool)
        for k in range(len(trains)):
            neurons, steps = trains[k]
            raster[k, steps, neurons] = True
        return raster.reshape(len(trains), self.n_steps, *shape)

    def add_spikes(
        self, layer: str, trial: int, neurons: np.ndarray, steps: np.ndarray, wanted: np.ndarray | None = None
    ) -> None:
        """
        Add the spikes of a trial, or of a chunk of a trial that is streamed to disk.

        Parameters
        ----------
        layer : str
        trial : int
        neurons, steps : (n_spikes,) ndarray of int
            Flat index of the neuron and step of each spike.
        wanted : (n,) ndarray of int, optional
            Neurons whose spikes are recorded, all by default.
        """
        trains = self.spikes[layer]
        if isinstance(trains, SpikeTrains):  # selects the wanted neurons when it is read
            trains.append(trial, neurons, steps)
            return
        kept = slice(None) if wanted is None else np.isin(neurons, wanted)
        trains[trial] = (neurons[kept], steps[kept])

    def _recorded_spikes(self, layer: str) -> list[Train] | SpikeTrains:
        if layer not in self.spikes:
            raise UnknownNameError(
                layer, self.spikes, "recorded spikes", f"Convert with record={{{layer!r}: ['spikes']}} to have them."
            )
        return self.spikes[layer]

    @property
    def firing_rates(self) -> dict[str, np.ndarray]:
        """Mean firing rate of each spiking population and image in Hz (dict of str to (n,) ndarray)."""
        seconds, rates = self.n_steps * self.dt, LayerDict(self.aliases)
        for name, counts in self.spike_counts.items():
            rates[name] = counts / np.prod(self.shapes[name]) / seconds
        return rates

    @property
    def mean_firing_rate(self) -> float:
        """Mean firing rate over all spiking neurons and images in Hz; NaN if there are none (float)."""
        spikes = sum(counts.sum() for counts in self.spike_counts.values())
        neurons = sum(np.prod(self.shapes[name]) for name in self.spike_counts)
        if not neurons or not self.n_images:
            return float("nan")
        return float(spikes / (neurons * self.n_images * self.n_steps * self.dt))

    def accuracy(self, labels: ArrayLike, window: int = 1) -> np.ndarray:
        """
        Return the fraction of images whose largest output is that of their class, over time.

        Parameters
        ----------
        labels : (n,) array_like of int
        window : int, optional
            Number of steps, up to each step, over which the output is averaged.

        Returns
        -------
        accuracy : (n_steps,) ndarray
            NaN from the first step on at which an output is NaN.

        Raises
        ------
        ValueError
            If there is not one class for each image, or the window is not a whole number, 1 or greater.
        """
        labels = plain_array(labels, "Result.accuracy: labels")
        if labels.shape != (self.n_images,):
            given = f"{len(labels)} labels" if labels.ndim == 1 else f"labels of shape {labels.shape}"
            raise ValueError(f"Result.accuracy: got {given} for {self.n_images} images; pass one per image.")
        if not isinstance(window, (int, np.integer)) or window < 1:
            raise ValueError(f"Result.accuracy: window={window!r} must be a whole number of steps, 1 or greater.")
        labels = whole_numbers(labels, "Result.accuracy: labels", self.output.shape[2], "classes")
        output = self.output.astype(float)
        if window > 1:
            total = np.cumsum(output, axis=1)
            shifted = np.concatenate([np.zeros_like(total[:, :window]), total[:, :-window]], axis=1)
            output = total - shifted
        if self.n_images == 0:
            return np.full(self.n_steps, np.nan)
        is_nan = np.logical_or.accumulate(np.isnan(output).any(axis=(0, 2)))
        return np.where(is_nan, np.nan, (output.argmax(axis=-1) == labels[:, None]).mean(axis=0))

    def plot_traces(
        self,
        layer: str,
        neuron: int | tuple[int, ...],
        image: int = 0,
        variables: list[str] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """
        Plot recorded state variables and spikes of one neuron over time.

        Parameters
        ----------
        layer : str
        neuron : int or tuple of int
            Flat index or (row, column, channel).
        image : int, optional
        variables : list of str, optional
            All recorded variables by default.
        ax : `matplotlib.axes.Axes`, optional

        Returns
        -------
        ax : `matplotlib.axes.Axes`
        """
        from brainsnn.results.plots import plot_traces

        return plot_traces(self, layer, neuron, image=image, variables=variables, ax=ax)

    def trace(self, layer: str, variable: str, neuron: int | tuple[int, ...], image: int = 0) -> np.ndarray:
        """
        Return one recorded variable of one neuron over time.

        Parameters
        ----------
        layer, variable : str
        neuron : int or tuple of int
            Flat index or (row, column, channel).
        image : int, optional

        Returns
        -------
        trace : (n_steps,) ndarray

        Raises
        ------
        UnknownNameError, IndexError
            If the variable or the neuron was not recorded.
        """
        known = self.states.get(layer)
        if known is None:
            raise UnknownNameError(layer, self.states, "population with recorded states")
        if variable not in known:
            raise UnknownNameError(variable, known, f"recorded variable of {layer!r}")
        index = (
            neuron if np.ndim(neuron) == 0 else np.ravel_multi_index(tuple(np.atleast_1d(neuron)), self.shapes[layer])
        )
        column = np.flatnonzero(self.recorded[layer][variable] == index)
        if len(column) == 0:
            raise IndexError(f"Neuron {neuron} of {layer!r} was not recorded; {variable!r} was of "
                             f"{len(self.recorded[layer][variable])} neurons.")  # fmt: skip
        return known[variable][image, :, column[0]]

    def save(self, path: str | PathLike[str]) -> None:
        """
        Write the result to a ``.npz`` file. If this fails, an existing file is not changed.

        Parameters
        ----------
        path : str or `~pathlib.Path`
        """
        arrays: dict[str, Any] = {"dt": self.dt, "n_steps": self.n_steps}
        arrays["aliases"] = np.array(["\t".join(pair) for pair in self.aliases.items()], dtype=str)
        for name, shape in self.shapes.items():
            arrays[f"shape/{name}"] = shape
        for name, values in self.outputs.items():
            arrays[f"output/{name}"] = values
        for name, values in self.spike_counts.items():
            arrays[f"count/{name}"] = values
        for name, trains in self.spikes.items():
            arrays[f"spikes_n/{name}"] = [len(neurons) for neurons, _ in trains]
            arrays[f"spikes_i/{name}"] = np.concatenate([neurons for neurons, _ in trains])
            arrays[f"spikes_t/{name}"] = np.concatenate([steps for _, steps in trains])
        for name, variables in self.states.items():
            for variable, values in variables.items():
                arrays[f"state/{name}\t{variable}"] = values
                arrays[f"index/{name}\t{variable}"] = self.recorded[name][variable]
        with write_atomically(path) as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Result":
        """
        Read a result that `save` wrote, or open a folder to which a run was streamed.

        Parameters
        ----------
        path : str or `~pathlib.Path`

        Returns
        -------
        result : `Result`
            States, spikes and outputs of a folder are read when they are indexed.

        Raises
        ------
        FileNotFoundError
            If the path does not exist.
        ValueError
            If it is not a result, or an incomplete one.
        """
        if is_stream(path):
            return open_stream(cls, path)
        groups: dict[str, dict[str, np.ndarray]] = {}
        try:
            with np.load(path, allow_pickle=False) as data:
                for key in data.files:
                    kind, _, name = key.partition("/")
                    groups.setdefault(kind, {})[name] = data[key]
        except (AttributeError, EOFError, IsADirectoryError, ValueError, BadZipFile, zlib.error) as error:
            raise ValueError(
                f"Result.load: {str(path)!r} is not a result, or is damaged ({error}). Give a file that Result.save wrote."
            ) from error
        if not {"shape", "aliases", "dt", "n_steps", "output"} <= set(groups):
            raise ValueError(
                f"Result.load: {str(path)!r} is not a result; it contains {sorted(groups)}. Give a file that Result.save wrote."
            )
        shapes = {name: tuple(int(n) for n in shape) for name, shape in groups["shape"].items()}
        aliases = dict(str(pair).split("\t") for pair in groups["aliases"][""])
        result = cls(shapes, float(groups["dt"][""]), int(groups["n_steps"][""]), aliases)
        result.outputs.update(groups["output"])
        result.spike_counts.update(groups.get("count", {}))
        for name, lengths in groups.get("spikes_n", {}).items():
            cuts = np.cumsum(lengths)[:-1]
            neurons, steps = (np.split(groups[kind][name], cuts) for kind in ("spikes_i", "spikes_t"))
            result.spikes[name] = list(zip(neurons, steps))
        for kind, store in (("state", result.states), ("index", result.recorded)):
            for key, values in groups.get(kind, {}).items():
                name, variable = key.split("\t")
                store.setdefault(name, {})[variable] = values
        return result
