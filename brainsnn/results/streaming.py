"""Recordings that stream to disk while a network runs, and the folder that opens them again, lazily."""

import errno
import json
import os
import tempfile
from pathlib import Path
from shutil import disk_usage, rmtree
from urllib.parse import quote

import numpy as np

from brainsnn.optional import optional_packages

__all__ = ["SpikeTrains", "StreamFolder", "is_stream", "open_stream"]

#: Bytes of states that a running network holds before it writes them, and of spikes if all neurons spiked in every step.
PIECE_BYTES = 32 * 2**20
SPIKE_PIECE_BYTES = 256 * 2**20
DESCRIPTION = "result.json"


def _zarr():
    with optional_packages("A recording that streams to disk"):
        import zarr
    return zarr


def _file_name(*parts):
    """A file name for any names of layers and variables, different for different ones."""
    return ".".join(quote(part, safe=" ").replace(".", "%2E") for part in parts)


class StreamFolder:
    """
    A result on disk in the making.

    Everything is written into a hidden folder beside the final one, which gets its name when all is there: what is found
    under the final name is whole.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Folder of the result; must not exist.
    n_trials, n_steps : int
    state_bytes, spike_bytes : int
        Bytes that one step of all recorded states takes, and one in which all recorded neurons spike.

    Attributes
    ----------
    folder : `~pathlib.Path`
        Where the files are now.
    chunk_steps : int
        Number of steps that a network runs before it writes its recordings.

    Raises
    ------
    FileExistsError
        If the folder exists.
    OSError
        If there is not enough room on the disk.
    """

    def __init__(self, path, n_trials, n_steps, state_bytes, spike_bytes=0):
        self._zarr = _zarr()
        self.path = Path(path).expanduser().absolute()
        if os.path.lexists(self.path):
            raise FileExistsError(f"run: stream_to={str(path)!r} exists; remove it or choose another folder.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        needed, free = n_trials * n_steps * state_bytes, disk_usage(self.path.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"run: the recorded states take {needed / 2**30:.1f} GiB, and {str(self.path.parent)!r} has room for "
                f"{free / 2**30:.1f} GiB; record fewer neurons or choose another disk.",
            )
        self.n_trials, self.n_steps = n_trials, n_steps
        pieces = PIECE_BYTES // max(state_bytes, 1), SPIKE_PIECE_BYTES // max(spike_bytes, 1)
        self.chunk_steps = int(np.clip(min(pieces), 1, n_steps))
        self.folder = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".part"))
        os.chmod(self.folder, 0o755)
        for name in ("states", "spikes", "outputs"):
            (self.folder / name).mkdir()
        self.states, self.trains, self._is_whole = {}, {}, False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None and not self._is_whole:
            rmtree(self.folder, ignore_errors=True)

    def state_array(self, monitor, layer, variable, width, dtype):
        """
        Make room for one recorded variable.

        Parameters
        ----------
        monitor, layer, variable : str
        width : int
            Number of recorded neurons.
        dtype : dtype

        Returns
        -------
        array : zarr.Array
            (n_trials, n_steps, width), uncompressed and in pieces of one trial, so that any program can write one.
        """
        place = self.folder / "states" / f"{_file_name(layer, variable)}.zarr"
        self.states[monitor, variable] = place
        return self._zarr.create_array(
            store=place, shape=(self.n_trials, self.n_steps, width), chunks=(1, self.chunk_steps, width), dtype=dtype,
            compressors=None, filters=None, fill_value=0, chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("image", "step", "neuron"),
        )  # fmt: skip

    def output_array(self, layer, width, dtype):
        """Room for the activation of a readout, (n_trials, n_steps, width), as a memory map."""
        place = self.folder / "outputs" / f"{_file_name(layer)}.npy"
        return np.lib.format.open_memmap(place, "w+", dtype, (self.n_trials, self.n_steps, width))

    def spike_trains(self, monitor, layer, wanted=None):
        """
        Make room for the spikes of a population.

        Parameters
        ----------
        monitor, layer : str
        wanted : (n,) ndarray of int, optional
            Neurons to keep, all by default.

        Returns
        -------
        trains : `SpikeTrains`
        """
        trains = SpikeTrains(self.folder / "spikes" / _file_name(layer), np.zeros(self.n_trials, np.int64), [0], wanted)
        self.trains[monitor] = trains
        return trains

    def finish(self, result):
        """
        Describe the result and give the folder its final name.

        Parameters
        ----------
        result : `~brainsnn.results.result.Result`

        Returns
        -------
        result : `~brainsnn.results.result.Result`
            The same, opened from its final place.

        Raises
        ------
        OSError
            If something else has taken the name meanwhile. The recording is kept under the name that the message gives.
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
            "outputs": list(result.outputs), "spikes": spikes,
            "states": {name: list(variables) for name, variables in result.states.items()},
            "files": {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in _files(self.folder)},
        }  # fmt: skip
        (self.folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
        self._is_whole = True
        try:
            os.rename(self.folder, self.path)
        except OSError as error:
            raise OSError(
                error.errno, f"run: the recording is complete, but cannot be called {str(self.path)!r} ({error.strerror}); "
                f"rename {str(self.folder)!r} to what you like."
            ) from None  # fmt: skip
        return open_stream(type(result), self.path)


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


class SpikeTrains:
    """
    Spikes on disk, by image: ``trains[k]`` is (neurons, steps), mapped into memory when it is asked for.

    Parameters
    ----------
    path : `~pathlib.Path`
        Start of the file names; each program that ran writes files of its own.
    counts : (n_trials,) ndarray of int
        Number of spikes in the files.
    firsts : list of int
        First image of each program.
    wanted : (n,) ndarray of int, optional
        Neurons to keep, all by default.
    """

    def __init__(self, path, counts, firsts, wanted=None):
        self.path, self.counts, self.firsts, self.wanted = Path(path), counts, firsts, wanted

    def file(self, part, what):
        """The file of a program, of ``"neurons"`` or ``"steps"`` (`~pathlib.Path`)."""
        return self.path.with_name(f"{self.path.name}.{part}.{what}")

    def append(self, trial: int, neurons: np.ndarray, steps: np.ndarray) -> None:
        """Add spikes of a trial, the latest one so far."""
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
            kept = np.isin(neurons, self.wanted)
            neurons, steps = neurons[kept], steps[kept]
        return neurons, steps


def is_stream(path):
    """
    Whether a path is the folder of a result that streamed to disk.

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
    Open the folder of a result, lazily.

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
        If files of the result are missing or have another size.
    """
    path, zarr = Path(path), _zarr()
    about = json.loads((path / DESCRIPTION).read_text())
    found = {file.relative_to(path).as_posix(): file.stat().st_size for file in _files(path)}
    if spoilt := [name for name, size in about["files"].items() if found.get(name) != size]:
        raise ValueError(
            f"Result.load: {str(path)!r} is not whole; {len(spoilt)} of its {len(about['files'])} files are missing or have "
            f"another size, such as {spoilt[0]!r}. Copy the folder again."
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
    return result
