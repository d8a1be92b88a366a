"""The result of a run: outputs, spikes and states."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.one_line import one_line
from brainsnn.results.accuracy import accuracy_over_time
from brainsnn.results.feedback_states import FeedbackStates
from brainsnn.results.names import LayerDict
from brainsnn.results.rates import dense_raster, firing_rates, mean_firing_rate
from brainsnn.results.result_formats import ResultFormats
from brainsnn.results.selection import chosen_image, chosen_images, flat_index
from brainsnn.results.spike_trains import SpikeTrains

if TYPE_CHECKING:
    import xarray as xr
    from brian2 import Quantity
    from matplotlib.axes import Axes

__all__ = ["Result"]

#: What each dict by population holds, and how to have more of it.
_STATES = ("population with recorded states", "Convert with record={{{layer!r}: [...]}}, which names variables.")
STORES = {
    "outputs": ("readout", ""),
    "spike_counts": ("spiking population", ""),
    "spikes": ("population with recorded spikes", "Convert with record={{{layer!r}: ['spikes']}} to have them."),
    "spike_neurons": ("population of which only some neurons' spikes were recorded", ""),
    "states": _STATES,
    "recorded": _STATES,
    "models": ("population with equations", ""),
}


class Result(FeedbackStates, ResultFormats):
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
    spike_neurons : dict of str to (n_recorded,) ndarray of int
        Flat indices of the neurons whose spikes were recorded, of populations of which not all were.
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
        Population of each layer that was folded into one. All dicts by population and all methods accept these names, too.
    models : dict of str to `~brainsnn.results.description.PopulationModel`
        Equations of each population as they were simulated; they print like the neuron model.
    settings : dict
        How the run was made, such as ``device``, ``dtype``, ``seed`` and ``attention``; times in seconds. Empty for a result
        of an older version.
    labels : (n,) ndarray of int or None
        Classes of the images, if they were given to `save` or assigned.

    See Also
    --------
    brainsnn.builders.spiking_network.SpikingNetwork.run

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> (images, labels), record = load_digits("test"), {"conv2": ["spikes", "S"]}
    >>> result = bs.convert(bs.load_model("digits"), record=record).run(images[:5], 300 * bs.ms)
    >>> float(result.accuracy(labels[:5])[-1])
    1.0
    >>> result.raster("conv2", images=0).shape, result.trace("conv2", "S", (5, 7, 3)).shape
    ((1, 300, 14, 14, 32), (300,))
    """

    shapes: LayerDict
    outputs: LayerDict
    spike_counts: LayerDict
    spikes: LayerDict
    spike_neurons: LayerDict
    states: LayerDict
    recorded: LayerDict
    models: LayerDict
    settings: dict[str, Any]
    labels: np.ndarray | None

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dt: float,
        n_steps: int,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.dt, self.n_steps = float(dt), int(n_steps)
        self.aliases = dict(aliases or {})
        self.shapes = LayerDict(self.aliases, values=shapes)
        for name in STORES:
            setattr(self, name, {})
        self.settings, self.labels = {}, None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in STORES and not isinstance(value, LayerDict):
            value = LayerDict(self.aliases, *STORES[name], self.shapes, value)
        super().__setattr__(name, value)

    @property
    def output(self) -> np.ndarray:
        """Activation of the first readout, (n, n_steps, n_classes)."""
        if not self.outputs:
            raise ValueError("Result.output: the result has no readout. Its spikes are in spike_counts and spikes.")
        return next(iter(self.outputs.values()))

    @property
    def n_images(self) -> int:
        """Number of images (int)."""
        stores = (self.outputs, self.spike_counts, self.spikes, *self.states.values())
        held = (values for store in stores for values in store.values())
        return next((values.shape[0] if hasattr(values, "shape") else len(values) for values in held), 0)

    @property
    def times(self) -> np.ndarray:
        """Time of each step in milliseconds, (n_steps,)."""
        return np.arange(self.n_steps) * self.dt * 1e3

    @property
    def t(self) -> "Quantity":
        """Time of each step with its unit, as in a Brian2 monitor, (n_steps,) Quantity."""
        from brian2 import second

        return np.arange(self.n_steps) * self.dt * second

    def __repr__(self) -> str:
        recorded = {name: ["spikes"] for name in self.spikes}
        for name, variables in self.states.items():
            recorded[name] = [*recorded.get(name, ()), *variables]
        shown = "; ".join(f"{name}: {', '.join(variables)}" for name, variables in recorded.items())
        size = f"{self.n_images} images, {self.n_steps} steps of {self.dt * 1e3:g} ms"
        return one_line(self, f"{size}, recorded {shown or 'nothing but spike counts and outputs'}")

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
        IndexError
            If an image does not exist.

        Examples
        --------
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [([3], [2]), ([0, 1], [0, 4])]  # of each image: neurons, steps
        >>> result.raster("conv", images=1)[0, :, 0, 1, 0]  # row 0, column 1, channel 0
        array([False, False, False, False,  True])
        """
        trains = self.spikes[layer]
        chosen = chosen_images(images, len(trains), "Result.raster")
        return dense_raster([trains[k] for k in chosen], self.n_steps, self.shapes[layer])

    def add_spikes(self, layer: str, trial: int, neurons: np.ndarray, steps: np.ndarray) -> None:
        """
        Add the spikes of a trial, or of a chunk of a trial that is streamed to disk.

        Parameters
        ----------
        layer : str
        trial : int
        neurons, steps : (n_spikes,) ndarray of int
            Flat index of the neuron and step of each spike. Those of neurons that are not recorded are left out.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [None, None]  # two trials to come
        >>> result.add_spikes("conv", 0, neurons=np.array([3]), steps=np.array([2]))
        """
        trains = self.spikes[layer]
        if isinstance(trains, SpikeTrains):  # selects the recorded neurons when it is read
            trains.append(trial, neurons, steps)
            return
        kept = np.isin(neurons, self.spike_neurons[layer]) if layer in self.spike_neurons else slice(None)
        trains[trial] = (neurons[kept], steps[kept])

    @property
    def firing_rates(self) -> dict[str, np.ndarray]:
        """Mean firing rate of each spiking population and image in Hz (dict of str to (n,) ndarray)."""
        return firing_rates(self)

    @property
    def mean_firing_rate(self) -> float:
        """Mean firing rate over all spiking neurons and images in Hz; NaN if there are none (float)."""
        return mean_firing_rate(self)

    def accuracy(self, labels: ArrayLike | None = None, window: int = 1) -> np.ndarray:
        """
        Return the fraction of images whose largest output is that of their class, over time.

        Parameters
        ----------
        labels : (n,) array_like of int, optional
            Those of the result by default.
        window : int, optional
            Number of steps, up to each step, over which the output is averaged.

        Returns
        -------
        accuracy : (n_steps,) ndarray
            NaN from the first step on at which an output is NaN.

        Raises
        ------
        ValueError
            If there are no labels, their number is not the number of images, a label is not a class of the readout, or the
            window is not a whole number, 1 or greater.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"readout": (1, 1, 2)}, dt=1e-3, n_steps=3)
        >>> result.outputs["readout"] = np.array([[[0, 0], [0, 1], [0, 1]], [[1, 0], [1, 0], [0, 2]]])
        >>> result.accuracy(labels=[1, 0])
        array([0.5, 1. , 0.5])
        """
        return accuracy_over_time(self, labels, window, "Result.accuracy")

    def plot_traces(
        self,
        layer: str,
        neuron: int | tuple[int, ...],
        image: int = 0,
        variables: list[str] | None = None,
        ax: "Axes | None" = None,
        threshold: bool | None = None,
    ) -> "Axes":
        """
        Plot what a neuron compares to decide on a spike, or recorded variables, and its spikes over time.

        Parameters
        ----------
        layer : str
        neuron : int or tuple of int
            Flat index or (row, column, channel).
        image : int, optional
        variables : list of str, optional
            By default, both sides of the threshold if what they need is recorded, else all recorded variables.
        ax : `matplotlib.axes.Axes`, optional
        threshold : bool, optional
            Whether to plot both sides of the threshold; see `~brainsnn.results.plots.plot_traces`.

        Returns
        -------
        ax : `matplotlib.axes.Axes`

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> snn = bs.convert(bs.load_model("digits"), record={"conv2": ["spikes", "S", "S_hat", "theta"]})
        >>> ax = snn.run(load_digits("test")[0][:1], 50 * bs.ms).plot_traces("conv2", (5, 7, 3))
        >>> ax.get_xlabel()
        'time (ms)'
        """
        from brainsnn.results.plots import plot_traces

        return plot_traces(self, layer, neuron, image=image, variables=variables, ax=ax, threshold=threshold)

    def index_of(self, layer: str, neuron: int | tuple[int, ...]) -> int:
        """
        Return the flat index of a neuron.

        Parameters
        ----------
        layer : str
        neuron : int or tuple of int
            Flat index or (row, column, channel).

        Returns
        -------
        index : int

        Raises
        ------
        IndexError
            If the layer has no such neuron.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.Result({"conv": (4, 4, 3)}, dt=1e-3, n_steps=5).index_of("conv", (1, 2, 0))
        18
        """
        return flat_index(neuron, self.shapes[layer], layer)

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
            If the variable or the neuron was not recorded, or the image does not exist.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=3)
        >>> result.states["conv"], result.recorded["conv"] = {"S": np.array([[[0.1], [0.2], [0.3]]])}, {"S": np.array([2])}
        >>> result.trace("conv", "S", (1, 0, 0))
        array([0.1, 0.2, 0.3])
        """
        values, recorded = self.states[layer][variable], self.recorded[layer][variable]
        column = np.flatnonzero(recorded == self.index_of(layer, neuron))
        if len(column) == 0:
            raise IndexError(f"Neuron {neuron} of {layer!r} was not recorded; {variable!r} was of {len(recorded)}.")
        return values[chosen_image(image, values.shape[0], "Result.trace"), :, column[0]]

    def state(self, layer: str, variable: str, images: int | slice | ArrayLike | None = None) -> "xr.DataArray":
        """
        Return a recorded variable with its axes and its unit.

        Parameters
        ----------
        layer, variable : str
        images : int, slice or array_like of int, optional
            Images to include, all by default. Those of a streamed result are read into memory.

        Returns
        -------
        state : `xarray.DataArray`
            With the dimensions (image, time, row, column, channel) if all neurons were recorded, else (image, time, neuron), with
            the flat index, row, column and channel of each neuron as coordinates. ``time`` is in ms. Values are in SI units;
            ``state.attrs["units"]`` is the unit.

        Raises
        ------
        UnknownNameError, IndexError
            If the variable was not recorded, or an image does not exist.

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> snn = bs.convert(bs.load_model("digits"), record={"conv2": ["S"]})
        >>> S = snn.run(load_digits("test")[0][:2], 50 * bs.ms).state("conv2", "S")
        >>> dict(S.sizes)
        {'image': 2, 'time': 50, 'row': 14, 'column': 14, 'channel': 32}
        >>> float(S.sel(time=slice(20, 50)).max()) > 0.1
        True
        """
        from brainsnn.results.labelled import labelled_state

        return labelled_state(self, layer, variable, images)
