"""The frame of all studies: arguments, progress, figures, tables, a record, and resuming after an interruption."""

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")  # studies write files and open no window
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # only TensorFlow's errors

import matplotlib.pyplot as plt
from brian2 import prefs, set_device
from figures import apply_law
from study_parser import parser_of
from tqdm import tqdm

import brainsnn as bs
from brainsnn.files import write_atomically
from brainsnn.sweeps import UnitStore, content_key
from brainsnn.system.versions import package_versions

__all__ = ["DEVICES", "ROOT", "Study", "digits_model", "few_neurons", "write_atomically"]

#: Top folder of the repository.
ROOT = Path(__file__).resolve().parent.parent
DEVICES = ("cpp_standalone", "runtime", "genn", "genn_cuda")
#: What `brainsnn.sweep` calls the file of a data set.
DATASET = "dataset.nc"
PACKAGES = ("numpy", "scipy", "matplotlib", "pandas", "brian2", "tensorflow", "tensorflow-cpu", "keras", "mlxtend")


def digits_model():
    """
    Load the shipped digit network.

    Returns
    -------
    model : keras.Model
    """
    return bs.load_model(ROOT / "weights" / "digits.keras")


@contextmanager
def few_neurons():
    """
    Use Brian2's runtime device with numpy code, for a few neurons without a compiler: ``with few_neurons(): ...``.

    The device is set explicitly because a converted network keeps its device active until it is built.
    """
    target = prefs.codegen.target
    set_device("runtime")
    prefs.codegen.target = "numpy"
    try:
        yield
    finally:
        prefs.codegen.target = target


class Study:
    """
    One run of a study; use it as a context manager.

    Every parameter becomes an option of the command line (``n_images=100`` is ``--n-images``), with the value of
    ``quick`` or of ``full`` as its default. Lists take several values.

    Parameters
    ----------
    name : str
        Results go to ``results/<name>`` unless ``--out`` names another folder.
    description : str
        The study's question, for ``--help``.
    quick, full : dict
        Parameters of a short and of a complete run, with the same keys. All numbers must be positive.
    argv : list of str, optional
        Arguments; the command line by default.
    devices : tuple of str, optional
        Brian2 devices that the study can use; the first is the default.
    sweeps : bool, optional
        Whether the study calls `sweep` and can run on a cluster.

    Attributes
    ----------
    parameters : `~types.SimpleNamespace`
    device, seed, cluster : str, int, str or None
    folder : `~pathlib.Path`

    Notes
    -----
    The study writes ``<figure>.png`` and ``<figure>.svg``, ``<table>.csv``, and finally ``record.json`` with versions,
    parameters, seed, headline numbers and duration. A folder with a record contains a finished study. Data sets of sweeps
    stay in the folder or its subfolders; units of work are deleted when the study is finished.
    """

    def __init__(self, name, description, quick, full, argv=None, devices=DEVICES, sweeps=False):
        if set(quick) != set(full):
            raise ValueError(f"Study {name!r}: quick and full must have the same parameters.")
        parser = parser_of(name, description, quick, devices, sweeps)
        arguments = vars(parser.parse_args(argv))
        defaults = full if arguments["full"] else quick
        values = {key: defaults[key] if arguments[key] is None else arguments[key] for key in quick}
        self.name, self.error = name, parser.error
        self.mode = "full" if arguments["full"] else "quick"
        self.parameters, self._defaults = SimpleNamespace(**values), defaults
        self.device, self.seed, self.cluster = arguments["device"], arguments["seed"], arguments.get("cluster")
        self.folder = Path(arguments["out"] or ROOT / "results" / name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"argument --out: cannot create {self.folder}: {error.strerror}")
        self.headline, self.files = {}, []
        self._began, self._has_begun = time.monotonic(), False
        self._with_units = set()

    @property
    def processes(self):
        """Number of programs that run at once (int); runtime mode has one."""
        return 1 if self.device == "runtime" else self.parameters.processes

    @property
    def workers(self):
        """Number of processes of a sweep (int), None on a cluster that has its own."""
        return self.parameters.processes if self.cluster in (None, "slurm") else None

    def __enter__(self):
        return self

    def _make_room(self):
        """Remove the record and the data sets of a finished study once there is something new: refusals lose nothing."""
        record, has_begun, self._has_begun = self.folder / "record.json", self._has_begun, True
        if record.exists() and not has_begun:  # a folder without one is an unfinished study
            datasets = _datasets_of(record)
            record.unlink()
            for name in datasets:
                (self.folder / name).unlink(missing_ok=True)

    def refuse_ignored(self, ignored):
        """
        Refuse arguments that would change nothing.

        Parameters
        ----------
        ignored : dict of str to (bool, str)
            Parameter to whether it would be ignored, and the fix.
        """
        for name, (is_ignored, fix) in ignored.items():
            value = getattr(self.parameters, name)
            if is_ignored and value != self._defaults[name]:
                self.error(f"argument --{name.replace('_', '-')}: {value} would be ignored; {fix}")

    def first(self, name, *arrays):
        """
        Return the first entries of arrays, as many as a parameter says; refuse a number that is larger than theirs.

        Parameters
        ----------
        name : str
            Of the parameter.
        *arrays : ndarray

        Returns
        -------
        arrays : tuple of ndarray
        """
        n = getattr(self.parameters, name)
        if n > len(arrays[0]):
            self.error(f"argument --{name.replace('_', '-')}: {n}, but there are {len(arrays[0])} test images")
        return tuple(array[:n] for array in arrays)

    def __exit__(self, kind, error, traceback):
        plt.close("all")
        if kind is not None:
            if self._with_units:
                print(
                    f"{self.name}: interrupted; run the same command again and it goes on where it stopped.",
                    file=sys.stderr,
                )
            return
        self._write_record()
        for folder in self._with_units:
            rmtree(folder / "units", ignore_errors=True)
        print(f"figures and tables: {self.folder}")

    def progress(self, items, unit="run"):
        """
        Iterate with a progress bar, in a log file as well.

        Parameters
        ----------
        items : iterable
        unit : str, optional
            Name of an item.

        Returns
        -------
        items : iterable
        """
        return tqdm(list(items), desc=self.name, unit=unit)

    def unit(self, function, *arguments):
        """
        Compute one part of a study, or read it if an interrupted run already computed it.

        Parts are kept until the study is finished. A part is reused only with the same code, arguments, device, seed and
        weights.

        Parameters
        ----------
        function : callable
            Returns a dict of str to number or array.
        *arguments
            Its arguments.

        Returns
        -------
        values : dict of str to ndarray

        See Also
        --------
        brainsnn.sweeps.content_key : the key of a part.
        """
        self._make_room()
        self._with_units.add(self.folder)
        weights = sorted((ROOT / "weights").glob("*.keras")) + sorted((ROOT / "weights").glob("*.json"))
        key = content_key(function, arguments, self.device, self.seed, weights)
        return UnitStore(self.folder).get(key, function, *arguments)

    def sweep(self, function, parameters, images=None, name="", **options):
        """
        Compute a grid of parameters x images; see `brainsnn.sweep` for all arguments.

        Parameters
        ----------
        function, parameters, images, **options
            Passed to `brainsnn.sweep`. The study adds the folder, the cluster and the seed.
        name : str, optional
            Subfolder, for a study with several data sets.

        Returns
        -------
        dataset : `xarray.Dataset`
            Also written to ``dataset.nc`` in the study's folder or subfolder.
        """
        self._make_room()
        folder = self.folder / name
        self._with_units.add(folder)
        self.files.append((Path(name) / DATASET).as_posix())
        return bs.sweep(
            function,
            parameters,
            images,
            folder=folder,
            seed=self.seed,
            cluster=self.cluster,
            **options,
        )

    def figure(self, figure, name, n):
        """
        Write a figure as PNG and SVG, with n above it.

        Parameters
        ----------
        figure : `matplotlib.figure.Figure`
        name : str
            Name of the files, without ending.
        n : str
            Number of images or neurons, and what bars and bands are; see `figures.apply_law`.
        """
        self._make_room()
        apply_law(figure, self.mode, n)
        for ending in ("png", "svg"):
            with write_atomically(self.folder / f"{name}.{ending}") as file:
                figure.savefig(file, format=ending, metadata={"Date": None} if ending == "svg" else None)
            self.files.append(f"{name}.{ending}")
        plt.close(figure)

    def table(self, rows, name="table"):
        """
        Write a tidy table as CSV: one row per observation, one column per variable.

        Parameters
        ----------
        rows : list of dict or `~pandas.DataFrame`
        name : str, optional
            Name of the file, without ending.

        Returns
        -------
        table : `~pandas.DataFrame`
        """
        self._make_room()
        import pandas as pd

        table = pd.DataFrame(rows)
        with write_atomically(self.folder / f"{name}.csv") as file:
            table.to_csv(file, index=False, float_format="%.6g")
        self.files.append(f"{name}.csv")
        return table

    def text(self, text, name):
        """
        Write a text file, such as a table in Markdown.

        Parameters
        ----------
        text : str
        name : str
            Name of the file, with its ending.
        """
        self._make_room()
        with write_atomically(self.folder / name) as file:
            file.write(text.encode())
        self.files.append(name)

    def report(self, name, value, text=None):
        """
        Print a headline number of the study and add it to the record.

        Parameters
        ----------
        name : str
        value : float, int or str
        text : str, optional
            Text to print, ``name: value`` by default.
        """
        self.headline[name] = value
        print(text or (f"{name}: {value}" if isinstance(value, str) else f"{name}: {value:g}"))

    def _write_record(self):
        record = {
            "study": self.name,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "mode": self.mode,
            "parameters": vars(self.parameters),
            "device": self.device,
            "seed": self.seed,
            "headline": self.headline,
            "files": self.files,
            "duration_s": round(time.monotonic() - self._began, 2),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": _versions(),
        }
        with write_atomically(self.folder / "record.json") as file:
            file.write((json.dumps(record, indent=2, default=float) + "\n").encode())


def _datasets_of(record):
    """Return the data sets listed in the record of a finished study; none if the record cannot be read."""
    try:
        return [name for name in json.loads(record.read_text())["files"] if Path(name).name == DATASET]
    except (ValueError, TypeError, KeyError):
        return []


def _versions():
    found = {"python": platform.python_version(), "brainsnn": bs.__version__, **package_versions(PACKAGES)}
    commit = _git("rev-parse", "HEAD")
    if commit:
        found["git commit"] = commit + (" with uncommitted changes" if _git("status", "--porcelain", "-uno") else "")
    return found


def _git(*arguments):
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
