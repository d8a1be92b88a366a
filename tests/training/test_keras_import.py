"""The import of TensorFlow is announced once, and only where it happens."""

import os
import re
import subprocess
import sys


def said(code):
    """Return what a fresh process writes to its error stream."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stderr


def test_the_import_is_said_once():
    errors = said("import brainsnn as bs\nfor _ in range(2):\n    bs.load_model('digits')")
    first, second = errors.splitlines()
    assert first == "INFO       Importing TensorFlow ... [brian2.brainsnn]"
    found = re.fullmatch(r"INFO       TensorFlow imported in (\d+\.\d) s\. \[brian2\.brainsnn\]", second)
    assert 0 < float(found[1]) < 600


def test_nothing_is_said_where_nothing_is_imported():
    code = "import brainsnn as bs, sys\ntry:\n    bs.load_model('none.keras')\nexcept ValueError:\n    pass\n"
    assert said(f"{code}assert 'keras' not in sys.modules") == ""
    assert said("import keras\nimport brainsnn as bs\nbs.load_model('digits')").count("TensorFlow ...") == 0


def test_it_can_be_silenced():
    code = "from brian2 import BrianLogger\nBrianLogger.suppress_name('brainsnn')\nimport brainsnn as bs\n"
    assert said(f"{code}bs.load_model('digits')") == ""
