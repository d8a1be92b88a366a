"""The files and formats of a result: what is written and what is read."""

from collections.abc import Iterable
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

from brainsnn.results.opened_stream import is_stream, open_stream
from brainsnn.results.result_files import path_to_read, read_result, write_result

if TYPE_CHECKING:
    import neo
    import numpy as np
    import xarray as xr

__all__ = ["ResultFormats"]


class ResultFormats:
    """The part of a `~brainsnn.results.result.Result` that reads and writes files and other formats."""

    labels: "np.ndarray | None"
    _first_images: "np.ndarray | None" = None

    @property
    def first_images(self) -> "np.ndarray | None":
        """A copy of the first images of the run, at most eight, which `report` shows; None for a result from a file."""
        return self._first_images

    def save(self, path: str | PathLike[str], labels: ArrayLike | None = None) -> Path:
        """
        Write the result to a ``.npz`` file, with its settings. If this fails, an existing file is not changed.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The suffix ``.npz`` is added if it lacks.
        labels : (n,) array_like of int, optional
            Class of each image, to be kept as `labels`. Those of the result by default.

        Returns
        -------
        path : `~pathlib.Path`
            Path of the file.

        Raises
        ------
        ValueError
            If the labels are not one whole number for each image.

        Examples
        --------
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [([3], [2])]
        >>> result.save("result").name
        'result.npz'
        """
        return write_result(self, path, self.labels if labels is None else labels)

    @classmethod
    def load(cls, path: str | PathLike[str], *, max_bytes: float | None = None) -> Self:
        """
        Read a result that `save` wrote, or open a folder to which a run was streamed.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The suffix ``.npz`` can be left out.
        max_bytes : float, optional
            Memory that the arrays may take together, half of what is free by default.

        Returns
        -------
        result : `Result`
            States, spikes and outputs of a folder are read when they are indexed.

        Raises
        ------
        FileNotFoundError, ValueError
            If the path does not exist, is not a result, is damaged or too large, or there is a file with the suffix and one
            without it.

        Examples
        --------
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [([3], [2])]
        >>> bs.Result.load(result.save("result.npz", labels=[7])).labels
        array([7])
        """
        path = path_to_read(path)
        return (open_stream if is_stream(path) else read_result)(cls, path, max_bytes)

    def report(
        self,
        path: str | PathLike[str],
        *,
        title: str = "brainsnn report",
        image: int = 0,
        images: ArrayLike | None = None,
        script: str | PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """
        Write one HTML file: numbers, inputs, figures, network, populations, equations, settings, versions of the run, script.

        Parameters
        ----------
        path : str or path-like
            File, ``report.html``. It needs no other file and loads nothing from elsewhere.
        title : str, optional
        image : int, optional
            Image whose spikes, feature maps and traces are drawn.
        images : (n, H, W, C) array_like, optional
            The images of the run, which a result does not hold. The first 8 are shown, with labels and decisions.
        script : str or path-like, optional
            Python file whose text goes into the report; by default the script that runs, if there is one.
        overwrite : bool, optional
            Whether to replace a file.

        Returns
        -------
        path : `~pathlib.Path`

        Raises
        ------
        FileExistsError
            If the file exists.
        ValueError
            If the path does not end in ``.html``, or number, shape or range of the images are not those of the run.
        IndexError
            If the image does not exist.
        OSError
            If a script that was named cannot be read.

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> snn = bs.convert(bs.load_model("digits"), record={"conv2": ["spikes"]})
        >>> images = load_digits("test")[0][:2]
        >>> snn.run(images, 50 * bs.ms).report("report.html", title="Two digits", images=images).name
        'report.html'
        """
        # The report draws with brainsnn.plot, which itself reads results.
        return import_module("brainsnn.report").write_report(self, path, title, image, images, script, overwrite)

    def _repr_html_(self) -> str:
        return import_module("brainsnn.report").result_html(self)

    def to_xarray(self) -> "xr.DataTree":
        """
        Return the result as an xarray tree that holds everything: ``Result.from_xarray`` makes an equal result of it.

        Returns
        -------
        tree : `xarray.DataTree`
            The root has the dimensions ``image`` and ``time`` (ms), ``output`` (image, time, class) of the first readout,
            ``label`` if there are labels, and settings as attributes. Each population has a node with ``spike_count`` (image)
            and recorded variables, whose axes and units are those of `state`; ``tree["conv2/spikes"]`` has one event for each
            spike, with its image, time (ms), neuron, row, column and channel as coordinates. Where variables of different
            neurons were recorded in a layer, ``neuron`` and its coordinates have the variable's name at their end.

        Raises
        ------
        ValueError
            If parts of the result do not fit together.

        Notes
        -----
        Arrays are not copied. States of a streamed result are read when they are indexed; spikes are read at once.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [(np.array([3]), np.array([2])), (np.array([0, 1]), np.array([0, 4]))]
        >>> tree = result.to_xarray()
        >>> tree["conv/spikes"].time.values
        array([2., 0., 4.])
        >>> bs.Result.from_xarray(tree).spikes["conv"][1]
        (array([0, 1]), array([0, 4]))
        """
        from brainsnn.results.xarray_form import result_tree

        return result_tree(self)

    @classmethod
    def from_xarray(cls, source: "xr.DataTree | str | PathLike[str]", *, max_bytes: float | None = None) -> Self:
        """
        Return the result of a tree that `to_xarray` made, or of a file that `to_netcdf` or `to_zarr` wrote.

        Parameters
        ----------
        source : `xarray.DataTree`, str or `~pathlib.Path`
            Variables that were added to the tree are left out.
        max_bytes : float, optional
            Memory that the arrays of a file may take together, half of what is free by default.

        Returns
        -------
        result : `Result`
            In memory.

        Raises
        ------
        FileNotFoundError, ValueError
            If the file does not exist, or a variable is missing, damaged or does not fit the others. The message names it. A part
            of a tree, such as some images, is not a result.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [(np.array([3]), np.array([2]))]
        >>> bs.Result.from_xarray(result.to_netcdf("result.nc")).spikes["conv"][0]
        (array([3]), array([2]))
        """
        from brainsnn.results.tree_files import read_xarray

        return read_xarray(cls, source, max_bytes)

    def to_netcdf(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """
        Write the result to a compressed NetCDF file, which `from_xarray` and ``xarray.open_datatree`` read.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            Name of the file, with its suffix.
        overwrite : bool, optional
            Whether an existing file is replaced, once the new one is complete.

        Returns
        -------
        path : `~pathlib.Path`

        Raises
        ------
        FileExistsError
            If there is a file, and ``overwrite`` is False.

        Notes
        -----
        The variables of a streamed result are read one after the other, each at once.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [(np.array([3]), np.array([2]))]
        >>> with xr.open_datatree(result.to_netcdf("result.nc")) as tree:
        ...     int(tree["conv/spikes"].row.values[0])
        1
        """
        from brainsnn.results.tree_files import write_netcdf

        return write_netcdf(self.to_xarray(), path, overwrite)

    def to_zarr(self, path: str | PathLike[str]) -> Path:
        """
        Write the result to a new Zarr folder, which `from_xarray` and ``xarray.open_datatree`` read.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The folder appears under this name when it is complete. Its arrays are not compressed.

        Returns
        -------
        path : `~pathlib.Path`

        Raises
        ------
        FileExistsError
            If the path exists.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [(np.array([3]), np.array([2]))]
        >>> bs.Result.from_xarray(result.to_zarr("result.zarr")).n_images
        1
        """
        from brainsnn.results.tree_files import write_zarr

        return write_zarr(self.to_xarray(), path)

    def to_neo(
        self,
        layer: str | Iterable[str] | None = None,
        neurons: "list[Any] | np.ndarray | None" = None,
        images: int | slice | ArrayLike | None = None,
        progress: bool = False,
    ) -> "neo.Block":
        """
        Return recordings as a neo Block, for Elephant, NIX, NWB and viziphant.

        Parameters
        ----------
        layer : str or list of str, optional
            Layers to include; by default all of which something was recorded.
        neurons : list or ndarray, optional
            Neurons of one layer: flat indices or (row, column, channel), or a boolean mask; all recorded ones by default. A
            signal has those of them whose variable was recorded.
        images : int, slice or array_like of int, optional
            Images to include, all by default.
        progress : bool, optional
            Whether to show a progress bar.

        Returns
        -------
        block : `neo.core.Block`
            A segment for each image, with its number, label and seed. Each has a spike train for each neuron whose spikes were
            recorded, silent ones too, with layer, neuron (the flat index), row, column and channel as annotations; an analog
            signal for each recorded variable and each readout, with its unit, and the neurons as array annotations; and epochs
            that say when the stimulus and attention were on. Times start at 0 in each segment. As in `times`, the
            value at the end of a step has the time at which the step starts.

        Raises
        ------
        UnknownNameError, IndexError
            If nothing was recorded of a layer, or a neuron or an image does not exist or was not recorded.
        ValueError
            If neurons are not a list or a mask, or there are several layers; if ``quantities`` does not know a unit.

        Warns
        -----
        UserWarning
            If there are more than 20,000 spike trains.

        Examples
        --------
        >>> import numpy as np
        >>> import brainsnn as bs
        >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
        >>> result.spikes["conv"] = [(np.array([3, 3]), np.array([1, 4]))]
        >>> train = result.to_neo("conv", neurons=[(1, 1, 0)]).segments[0].spiketrains[0]
        >>> train, train.annotations["channel"]
        (<SpikeTrain(array([1., 4.]) * ms, [0.0 ms, 5.0 ms])>, 0)
        """
        from brainsnn.results.neo_form import neo_block

        return neo_block(self, layer, neurons, images, progress)
