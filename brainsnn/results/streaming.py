"""Stream recordings to a folder while a network runs."""

import errno
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage, rmtree

import numpy as np

from brainsnn.disk_space import disk_full_error, is_full, reserve
from brainsnn.files import check_writable, checked_path
from brainsnn.leftovers import remove_leftovers, temporary_start
from brainsnn.one_line import brief, one_line
from brainsnn.results.description import description_of
from brainsnn.results.names import file_name
from brainsnn.results.opened_stream import DESCRIPTION, files_in, open_stream, zarr_package
from brainsnn.results.output_file import OutputFile
from brainsnn.results.spike_trains import SpikeTrains
from brainsnn.system.disk import ignores_capitals

__all__ = ["StreamFolder"]

#: Bytes of states that a running network buffers before it writes a chunk, and of spikes if every neuron spiked in every
#: step.
CHUNK_BYTES = 32 * 2**20
SPIKE_CHUNK_BYTES = 256 * 2**20
#: Bytes that a file takes at least, and that its entry in the description takes.
FILE_BYTES = 4096
ENTRY_BYTES = 200
RESERVE = "reserve"


class StreamFolder:
    """
    The folder of a result that is being written.

    Files are written to a hidden folder next to the final one. It is renamed when the recording is complete, so a folder
    with the final name is always complete. If the disk becomes full, the trials that are complete by then go to a folder
    with another name.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Folder of the result. Must not exist.
    n_trials, n_steps : int
    state_bytes, spike_bytes : int
        Size of one step of all recorded states, and of a step in which all recorded neurons spike.

    Attributes
    ----------
    folder : `~pathlib.Path`
        Folder that contains the files now.
    chunk_steps : int
        Number of steps that a network runs before it writes its recordings.

    Raises
    ------
    FileExistsError
        If the folder exists.
    OSError
        If the disk has not enough space.

    Examples
    --------
    >>> import tempfile
    >>> from brainsnn.results import StreamFolder
    >>> with tempfile.TemporaryDirectory() as folder, StreamFolder(f"{folder}/result", 2, 300, state_bytes=8) as stream:
    ...     print(stream.chunk_steps)
    300
    """

    def __init__(self, path, n_trials, n_steps, state_bytes, spike_bytes=0):
        self._zarr = zarr_package()
        self.path = checked_path(path, "run: stream_to").absolute()
        if os.path.lexists(self.path):
            raise FileExistsError(f"run: stream_to={str(path)!r} exists. Remove it or choose another folder.")
        check_writable(self.path.parent, "run: stream_to", "Choose another folder.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path.parent)
        needed, free = n_trials * n_steps * state_bytes, disk_usage(self.path.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"run: the recorded states need {needed / 2**30:.1f} GiB, but {str(self.path.parent)!r} has room for "
                f"{free / 2**30:.1f} GiB. Record fewer neurons or choose another disk.",
            )
        self.n_trials, self.n_steps, self._needed = n_trials, n_steps, needed
        chunk_steps = min(CHUNK_BYTES // max(state_bytes, 1), SPIKE_CHUNK_BYTES // max(spike_bytes, 1))
        self.chunk_steps = int(np.clip(chunk_steps, 1, n_steps))
        self.states, self.trains, self._is_complete = {}, {}, False
        self._stopped, self._reserved, self._names = None, 0, {}
        self.folder = Path(tempfile.mkdtemp(".part", temporary_start(self.path.name), self.path.parent))
        os.chmod(self.folder, 0o755)

    def __repr__(self):
        return one_line(self, f"{self.n_trials} images, {self.n_steps} steps, {brief(self.path, 100)}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None and not self._is_complete:
            rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _making(self, folder, name, n_bytes):
        """Make a folder for the files of a layer, and keep space on the disk for what `finish` writes about them."""
        try:
            self._reserved += n_bytes
            reserve(self.folder / RESERVE, self._reserved + 4 * FILE_BYTES)
            other = self._names.setdefault((folder, name.lower()), name)
            if other != name and ignores_capitals(self.folder / RESERVE):
                raise ValueError(
                    f"run: stream_to: the disk of {str(self.path.parent)!r} does not tell the files of {other!r} and {name!r} "
                    "apart, whose names differ in capitals. Choose another disk, or record one of them."
                )
            (self.folder / folder).mkdir(exist_ok=True)
            yield self.folder / folder
        except OSError as error:
            raise self._full(0, "The run was not begun.") if is_full(error) else error from None

    def stop(self, error, complete):
        """
        Note that the disk has become full.

        Parameters
        ----------
        error : OSError
        complete : list of int
            Trials that are complete; `finish` keeps them.
        """
        self._stopped = error, list(complete)

    def state_array(self, monitor, layer, variable, width, dtype):
        """
        Create the array of one recorded variable.

        Parameters
        ----------
        monitor, layer, variable : str
        width : int
            Number of recorded neurons.
        dtype : dtype

        Returns
        -------
        array : zarr.Array
            (n_trials, n_steps, width), uncompressed, in chunks of one trial or less, so that any program can write a chunk.
        """
        name = f"{file_name(layer, variable)}.zarr"
        n_chunks = self.n_trials * -(-self.n_steps // self.chunk_steps)
        with self._making(
            "states", f"{layer}.{variable}", FILE_BYTES + 8 * width + n_chunks * (ENTRY_BYTES + len(name))
        ) as folder:
            self.states[monitor, variable] = folder / name
            return self._zarr.create_array(
                store=folder / name, shape=(self.n_trials, self.n_steps, width), chunks=(1, self.chunk_steps, width),
                dtype=dtype, compressors=None, filters=None, fill_value=0, dimension_names=("image", "step", "neuron"),
                chunk_key_encoding={"name": "default", "separator": "."},
            )  # fmt: skip

    def output_array(self, layer, width, dtype):
        """Create the file of a readout's activation, (n_trials, n_steps, width) (`OutputFile`)."""
        with self._making("outputs", layer, FILE_BYTES) as folder:
            return OutputFile(folder / f"{file_name(layer)}.npy", (self.n_trials, self.n_steps, width), dtype)

    def spike_trains(self, monitor, layer, wanted=None):
        """
        Create the files of a population's spikes.

        Parameters
        ----------
        monitor, layer : str
        wanted : (n,) ndarray of int, optional
            Neurons whose spikes are recorded, all by default.

        Returns
        -------
        trains : `SpikeTrains`
        """
        with self._making("spikes", layer, FILE_BYTES + 16 * self.n_trials + 8 * np.size(wanted)) as folder:
            self.trains[monitor] = SpikeTrains(
                folder / file_name(layer), np.zeros(self.n_trials, np.int64), [0], wanted
            )
        return self.trains[monitor]

    def finish(self, result):
        """
        Write the description of the result and rename the folder to its final name.

        Parameters
        ----------
        result : `~brainsnn.results.result.Result`

        Returns
        -------
        result : `~brainsnn.results.result.Result`
            The same result, opened from the final folder.

        Raises
        ------
        OSError
            If the disk became full, or another file or folder has that name by now. The message gives the name of the folder
            with the recording.
        """
        (self.folder / RESERVE).unlink()
        if self._stopped is not None:
            self._finish_short(result)
        self._describe(result)
        try:
            os.rename(self.folder, self.path)
        except OSError as error:
            raise OSError(
                error.errno, f"run: the recording is complete, but could not be renamed to {str(self.path)!r} "
                f"({error.strerror}). It is in {str(self._rename_freely('complete'))!r}; rename this folder to any free name."
            ) from None  # fmt: skip
        return open_stream(type(result), self.path)

    def _describe(self, result):
        arrays, spikes = {}, {}
        for name, counts in result.spike_counts.items():
            arrays[f"count/{name}"] = counts
        for name, trains in result.spikes.items():
            arrays[f"spikes_n/{name}"] = trains.counts
            if trains.wanted is not None:
                arrays[f"wanted/{name}"] = trains.wanted
            spikes[name] = [int(first) for first in trains.firsts]
        for name, variables in result.recorded.items():
            for variable, indices in variables.items():
                arrays[f"index/{name}\t{variable}"] = indices
        np.savez(self.folder / "arrays.npz", **arrays)
        description = {
            "dt": result.dt, "n_steps": result.n_steps, "shapes": result.shapes, "aliases": result.aliases,
            "outputs": list(result.outputs), "spikes": spikes, "about": description_of(result),
            "states": {name: list(variables) for name, variables in result.states.items()},
            "files": files_in(self.folder),
        }  # fmt: skip
        (self.folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
        self._is_complete = True

    def _rename_freely(self, word):
        """Rename the folder to a name that nothing has, without the mark of temporary ones, and return the new path."""
        for ending in (word, *(f"{word}-{k}" for k in range(2, 1000))):
            free = self.path.with_name(f"{self.path.name}.{ending}")
            if not os.path.lexists(free):
                os.rename(self.folder, free)
                self.folder = free
                break
        return self.folder

    # A full disk

    def _full(self, n_complete, what):
        spikes = sum(file.stat().st_size for file in self.folder.glob("spikes/*"))
        needed = self._needed + spikes * (self.n_trials / n_complete if n_complete else 1)
        return disk_full_error(
            f"run: the disk of {str(self.path.parent)!r} is full after {n_complete} of {self.n_trials} images, which need "
            f"{'about' if n_complete else 'at least'} {needed / 2**20:.1f} MiB together. {what} Free some space, record less, "
            "or choose another disk."
        )

    def _finish_short(self, result):
        """Finish the folder with the complete trials only, and raise the error that says where they are."""
        error, complete = self._stopped
        if not complete:
            raise self._full(0, "No image was complete.") from error
        for path in self.states.values():
            _keep_chunks(path, complete)
        for trains in self.trains.values():
            trains.keep(complete)
        for output in result.outputs.values():
            output.keep(complete)
        result.spike_counts = {name: counts[complete] for name, counts in result.spike_counts.items()}
        result.settings = {**result.settings, "images": complete}
        self._describe(result)
        folder = self._rename_freely("incomplete")
        images = "images" if complete == list(range(len(complete))) else f"images {complete}"
        raise self._full(
            len(complete), f"The complete {images} are in {str(folder)!r}; open it with Result.load."
        ) from error


def _keep_chunks(path, trials):
    """Keep the chunks of some trials of an array, in their order, and make the array as long as that."""
    numbers = {str(trial): k for k, trial in enumerate(trials)}
    chunks = {file: file.name.split(".") for file in path.iterdir() if file.name != "zarr.json"}
    for file, parts in chunks.items():
        if parts[0] != "c" or parts[1] not in numbers:
            file.unlink()
    for file, (_, trial, *rest) in sorted(
        chunks.items(), key=lambda chunk: int(chunk[1][1]) if chunk[1][0] == "c" else -1
    ):
        if file.exists():
            file.rename(path / ".".join(["c", str(numbers[trial]), *rest]))
    about = json.loads((path / "zarr.json").read_text())
    about["shape"][0] = len(trials)
    (path / "zarr.json").write_text(json.dumps(about))
