"""Stream recordings to a folder while a network runs, and open the folder lazily."""

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from shutil import disk_usage, rmtree
from urllib.parse import quote

import numpy as np

from brainsnn.files import checked_path
from brainsnn.optional import optional_packages
from brainsnn.results.description import description_of, use_description

__all__ = ["SpikeTrains", "StreamFolder", "is_stream", "open_stream"]

#: Bytes of states that a running network buffers before it writes a chunk, and of spikes if every neuron spiked in every
#: step.
CHUNK_BYTES = 32 * 2**20
SPIKE_CHUNK_BYTES = 256 * 2**20
DESCRIPTION = "result.json"


def _zarr():
    with optional_packages("A recording that streams to disk"):
        import zarr
    return zarr


def _file_name(*parts):
    """Return a valid file name that is unique for these names of layers and variables."""
    name = ".".join(quote(part, safe=" ").replace(".", "%2E") for part in parts)
    # A file system allows 255 bytes, with what is appended.
    return name if len(name) <= 200 else f"{name[:120]}.{hashlib.sha256(name.encode()).hexdigest()}"


class StreamFolder:
    """
    The folder of a result that is being written.

    Files are written to a hidden folder next to the final one. It is renamed when the recording is complete, so a folder
    with the final name is always complete.

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
    """

    def __init__(self, path, n_trials, n_steps, state_bytes, spike_bytes=0):
        self._zarr = _zarr()
        self.path = checked_path(path, "run: stream_to").absolute()
        if os.path.lexists(self.path):
            raise FileExistsError(f"run: stream_to={str(path)!r} exists. Remove it or choose another folder.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        needed, free = n_trials * n_steps * state_bytes, disk_usage(self.path.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"run: the recorded states need {needed / 2**30:.1f} GiB, but {str(self.path.parent)!r} has room for "
                f"{free / 2**30:.1f} GiB. Record fewer neurons or choose another disk.",
            )
        self.n_trials, self.n_steps = n_trials, n_steps
        chunk_steps = min(CHUNK_BYTES // max(state_bytes, 1), SPIKE_CHUNK_BYTES // max(spike_bytes, 1))
        self.chunk_steps = int(np.clip(chunk_steps, 1, n_steps))
        self.folder = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".part"))
        os.chmod(self.folder, 0o755)
        for name in ("states", "spikes", "outputs"):
            (self.folder / name).mkdir()
        self.states, self.trains, self._is_complete = {}, {}, False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None and not self._is_complete:
            rmtree(self.folder, ignore_errors=True)

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
        path = self.folder / "states" / f"{_file_name(layer, variable)}.zarr"
        self.states[monitor, variable] = path
        return self._zarr.create_array(
            store=path, shape=(self.n_trials, self.n_steps, width), chunks=(1, self.chunk_steps, width), dtype=dtype,
            compressors=None, filters=None, fill_value=0, chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("image", "step", "neuron"),
        )  # fmt: skip

    def output_array(self, layer, width, dtype):
        """Create the memory-mapped array of a readout's activation, (n_trials, n_steps, width)."""
        path = self.folder / "outputs" / f"{_file_name(layer)}.npy"
        return np.lib.format.open_memmap(path, "w+", dtype, (self.n_trials, self.n_steps, width))

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
        trains = SpikeTrains(self.folder / "spikes" / _file_name(layer), np.zeros(self.n_trials, np.int64), [0], wanted)
        self.trains[monitor] = trains
        return trains

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
            If another file or folder has that name by now. The message gives the name of the folder with the recording.
        """
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
        for output in result.outputs.values():
            output.flush()
        description = {
            "dt": result.dt, "n_steps": result.n_steps, "shapes": result.shapes, "aliases": result.aliases,
            "outputs": list(result.outputs), "spikes": spikes, "about": description_of(result),
            "states": {name: list(variables) for name, variables in result.states.items()},
            "files": {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in _files(self.folder)},
        }  # fmt: skip
        (self.folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
        self._is_complete = True
        try:
            os.rename(self.folder, self.path)
        except OSError as error:
            raise OSError(
                error.errno, f"run: the recording is complete, but could not be renamed to {str(self.path)!r} "
                f"({error.strerror}). It is in {str(self.folder)!r}; rename this folder to any free name."
            ) from None  # fmt: skip
        return open_stream(type(result), self.path)


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


class SpikeTrains:
    """
    Spikes on disk: ``trains[k]`` is (neurons, steps) of image k, memory-mapped when it is read.

    Parameters
    ----------
    path : `~pathlib.Path`
        Common start of the file names. Each program that runs a part of the trials writes its own files.
    counts : (n_trials,) ndarray of int
        Number of spikes in the files.
    firsts : list of int
        First image of each program.
    wanted : (n,) ndarray of int, optional
        Neurons whose spikes are returned, all by default.
    """

    def __init__(self, path, counts, firsts, wanted=None):
        self.path, self.counts, self.firsts, self.wanted = Path(path), counts, firsts, wanted

    def file(self, part, what):
        """Return the path of a program's file of ``"neurons"`` or ``"steps"`` (`~pathlib.Path`)."""
        return self.path.with_name(f"{self.path.name}.{part}.{what}")

    def append(self, trial: int, neurons: np.ndarray, steps: np.ndarray) -> None:
        """Append spikes of the latest trial."""
        for what, values in (("neurons", neurons), ("steps", steps)):
            with open(self.file(0, what), "ab") as file:
                np.asarray(values, dtype=np.int32).tofile(file)
        self.counts[trial] += len(neurons)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, trial: int) -> tuple[np.ndarray, np.ndarray]:
        trial = range(len(self))[trial]
        part = int(np.searchsorted(self.firsts, trial, side="right")) - 1
        before, n = int(self.counts[self.firsts[part] : trial].sum()), int(self.counts[trial])
        if n == 0:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        neurons: np.ndarray
        steps: np.ndarray
        neurons, steps = (
            np.memmap(self.file(part, what), np.int32, "r", offset=4 * before, shape=n) for what in ("neurons", "steps")
        )
        if self.wanted is not None:
            is_wanted = np.isin(neurons, self.wanted)
            neurons, steps = neurons[is_wanted], steps[is_wanted]
        return neurons, steps


def is_stream(path):
    """
    Return whether a path is a folder to which a run was streamed.

    Parameters
    ----------
    path : str or `~pathlib.Path`

    Returns
    -------
    is_stream : bool
    """
    return (Path(path) / DESCRIPTION).is_file()


def open_stream(cls, path):
    """
    Open the folder of a streamed result without reading the recordings.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`.
    path : str or `~pathlib.Path`

    Returns
    -------
    result : `~brainsnn.results.result.Result`

    Raises
    ------
    ValueError
        If files of the result are missing or have the wrong size.
    """
    path, zarr = Path(path), _zarr()
    about = json.loads((path / DESCRIPTION).read_text())
    found = {file.relative_to(path).as_posix(): file.stat().st_size for file in _files(path)}
    if damaged := [name for name, size in about["files"].items() if found.get(name) != size]:
        raise ValueError(
            f"Result.load: {str(path)!r} is incomplete; {len(damaged)} of its {len(about['files'])} files are missing or have "
            f"the wrong size, such as {damaged[0]!r}. Copy the folder again."
        )
    shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
    result = cls(shapes, about["dt"], about["n_steps"], about["aliases"])
    groups = {}
    with np.load(path / "arrays.npz", allow_pickle=False) as data:
        for key in data.files:
            kind, _, name = key.partition("/")
            groups.setdefault(kind, {})[name] = data[key]
    result.spike_counts.update(groups.get("count", {}))
    for name in about["outputs"]:
        result.outputs[name] = np.load(path / "outputs" / f"{_file_name(name)}.npy", mmap_mode="r")
    for name, firsts in about["spikes"].items():
        wanted = groups.get("wanted", {}).get(name)
        result.spikes[name] = SpikeTrains(path / "spikes" / _file_name(name), groups["spikes_n"][name], firsts, wanted)
    for name, variables in about["states"].items():
        for variable in variables:
            array = zarr.open_array(path / "states" / f"{_file_name(name, variable)}.zarr", mode="r")
            result.states.setdefault(name, {})[variable] = array
            result.recorded.setdefault(name, {})[variable] = groups["index"][f"{name}\t{variable}"]
    if "about" in about:  # not in folders of brainsnn 0.1
        use_description(result, about["about"])
    return result
