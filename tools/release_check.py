"""
Build the release files and use them as a user would, in a new environment outside of the checkout.

    python tools/release_check.py [--keep]

Checks that the manifest is complete, builds sdist and wheel, checks their metadata and contents, installs the wheel, and
converts the shipped digit network and classifies test digits there. Needs the packages of the extra ``release``.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from release_files import ROOT, build, call, new_environment

#: Folders that the source distribution must hold as they are in the checkout.
FOLDERS = ("benchmarks", "brainsnn", "docs", "studies", "tests", "tools", "weights")

#: What runs in the new environment. Twenty digits and 300 ms: a wrong weight would show in the accuracy.
MAIN_JOB = """
import sys
from importlib.metadata import version
from pathlib import Path

import brainsnn as bs
from brainsnn.shipped import shipped_names
from brainsnn.stimuli import load_digits

root, names = Path(sys.argv[1]), sys.argv[2:]
assert root not in Path(bs.__file__).parents, f"brainsnn comes from the checkout: {bs.__file__}"
assert version("brainsnn") == bs.__version__, (version("brainsnn"), bs.__version__)
assert shipped_names() == names, f"the wheel ships {shipped_names()}, the checkout {names}"
images, labels = load_digits("test")
snn = bs.convert(bs.load_model("digits"), neuron=bs.ASN(m_f=0.1))
result = snn.run(images[:20], duration=300 * bs.ms)
accuracy = result.accuracy(labels[:20])[-1]
print(f"brainsnn {bs.__version__} from {Path(bs.__file__).parent}: {100 * accuracy:.0f} % of 20 digits right")
assert accuracy >= 0.9, f"only {100 * accuracy:.0f} % of 20 test digits are right"
"""


def tracked_files():
    """The files of the checkout that git knows, below `FOLDERS`, or all of them where there is no git."""
    answer = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode == 0 and answer.stdout:
        return sorted(answer.stdout.split("\n")[:-1])
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts)


def check_contents(sdist, wheel):
    """End with a message if a file is missing from one of the two."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    files = tracked_files()
    missing = [name for name in files if name not in in_sdist]
    if missing:
        sys.exit(f"release-check: {sdist.name} lacks {', '.join(missing[:10])}; see MANIFEST.in")
    package = [name for name in files if name.startswith("brainsnn/")]
    package += [f"brainsnn/{name}" for name in files if name.startswith(("weights/", "studies/"))]
    missing = [name for name in package if name not in in_wheel]
    if missing:
        sys.exit(f"release-check: {wheel.name} lacks {', '.join(missing[:10])}; see setup.cfg and setup.py")
    print(
        f"{sdist.name}: all {len(files)} files; {wheel.name}: all {len(package)} files of package, weights and studies"
    )


def check(folder):
    """Build in a folder, and use what was built there."""
    python = sys.executable
    if (ROOT / ".git").exists():
        call(python, "-m", "check_manifest", ROOT)
    sdist, wheel = build(folder / "dist")
    call(python, "-m", "twine", "check", "--strict", sdist, wheel)
    check_contents(sdist, wheel)
    executable = new_environment(folder / "environment", f"{wheel}[cli,studies,training]")
    names = sorted(path.stem for path in (ROOT / "weights").glob("*.keras"))
    # isolated: neither the current folder nor PYTHONPATH may lend the checkout's package
    call(executable, "-I", "-c", MAIN_JOB, ROOT, *names, cwd=folder)
    command = executable.with_name("brainsnn")
    call(command, "layers", "digits", cwd=folder)
    call(command, "study", "precision", "--n-images", "20", "--duration-ms", "100", cwd=folder)
    if not (folder / "results" / "precision" / "record.json").is_file():
        sys.exit("release-check: brainsnn study wrote no record to the folder results/precision")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the release files and use them in a new environment.")
    parser.add_argument("--keep", action="store_true", help="leave sdist and wheel in dist/")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brainsnn-release-") as folder:
        check(Path(folder))
        if args.keep:
            shutil.copytree(Path(folder) / "dist", ROOT / "dist", dirs_exist_ok=True)
    print("release-check: passed")


if __name__ == "__main__":
    main()
