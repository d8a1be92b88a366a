"""What the start of a script imports: names of Brian2 and pylab come out the same, and no module too early."""

import gc
import json
import subprocess
import sys

import pytest

import brainsnn
from brainsnn.memory import collection_paused

#: Prints what a module says of each of its names, as JSON.
DESCRIBE = """
import json, sys
def said(value):
    return f"{type(value).__name__} {getattr(value, '__module__', '')} {getattr(value, '__qualname__', '')}"
print(json.dumps({name: said(value) for name, value in %s.items() if not name.startswith("_")}))
"""


def printed(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def namespace(code, of):
    return json.loads(printed(code + DESCRIBE % of))


def test_a_star_import_of_brian2_gives_the_same_names():
    expected = namespace("import brian2", "vars(brian2)")
    assert expected["plot"].endswith("matplotlib.pyplot plot") and len(expected) > 1000
    starred = namespace("import brainsnn as bs\nbs.convert\nnames = {}\nexec('from brian2 import *', names)", "names")
    assert starred == expected
    completed = namespace("import brainsnn as bs\nbs.convert\nimport brian2\nbrian2.plot", "vars(brian2)")
    assert completed == expected
    assert dict.fromkeys(expected) == dict.fromkeys(
        json.loads(
            printed(
                "import brainsnn as bs, json\nbs.convert\nimport brian2\n"
                "print(json.dumps([n for n in dir(brian2) if not n.startswith('_')]))"
            )
        )
    )


@pytest.mark.parametrize("name", ["abs", "max", "round", "linspace", "figure", "NeuronGroup", "sin", "sum"])
def test_a_name_of_brian2_is_the_same_object(name):
    code = "import {module}\nimport brian2\nvalue = brian2.{name}\nprint(type(value), value.__module__, value.__qualname__)"
    assert printed(code.format(module="brainsnn; brainsnn.convert", name=name)) == printed(
        code.format(module="numpy", name=name)
    )


def test_a_name_that_does_not_exist_is_an_attribute_error():
    code = "import brainsnn as bs\nbs.convert\nimport brian2\nprint(hasattr(brian2, 'no_such_name'), hasattr(brian2, '__no__'))"
    assert printed(code) == "False False\n"


def test_using_the_package_imports_no_pylab():
    code = (
        "import sys\nimport numpy as np\nimport brainsnn as bs\nbs.convert, bs.ASN, bs.Result\n"
        "print(sorted({'pylab', 'matplotlib.pyplot', 'tensorflow', 'sympy.physics'} & set(sys.modules)))"
    )
    assert printed(code) == "[]\n"


def test_a_linear_filter_is_found_without_all_of_sympy():
    code = "import sys\nimport brainsnn as bs\nprint(bs.ASN().has_linear_filter, 'sympy.physics.units' in sys.modules)"
    assert printed(code) == "True False\n"


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_rests_and_goes_on_as_before(is_on):
    (gc.enable if is_on else gc.disable)()
    try:
        with pytest.raises(MemoryError), collection_paused():
            with collection_paused():
                pass
            assert not gc.isenabled()
            raise MemoryError
        assert gc.isenabled() == is_on
    finally:
        gc.enable()


THREADS = """
import threading
import brainsnn as bs
bs.convert
import brian2
found = []
def star():
    names = {}
    exec("from brian2 import *", names)
    found.append("plot" in names and callable(brian2.figure))
threads = [threading.Thread(target=star) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
print(found)
"""


def test_threads_find_all_names():
    assert printed(THREADS) == "[True, True, True, True]\n"


INTERRUPTED = """
import sys
import brainsnn as bs
bs.convert
import brian2
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "matplotlib.pyplot":
            sys.meta_path.remove(self)
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
try:
    brian2.plot
except KeyboardInterrupt:
    print(callable(brian2.plot))
"""


def test_an_interrupted_import_can_be_tried_again():
    assert printed(INTERRUPTED) == "True\n"


OTHER_THREAD = """
import sys, threading
class Begin:
    def find_spec(self, name, path=None, target=None):
        if name == "brian2.tests":  # not earlier: setuptools waits for itself when it is imported beside other modules
            thread.start()
def other():
    import pylab
    print(callable(pylab.plot))
thread = threading.Thread(target=other)
sys.meta_path.insert(0, Begin())
import brainsnn as bs
bs.convert
thread.join()
"""


def test_another_thread_can_import_pylab_meanwhile():
    assert printed(OTHER_THREAD) == "True\n"


@pytest.mark.parametrize("home", sorted(brainsnn._WITHOUT_BRIAN2))
def test_modules_without_brian2(home):
    assert printed(f"import sys\nimport {home}\nprint('brian2' in sys.modules)") == "False\n"


def test_pylab_that_was_imported_before_is_used():
    code = "import pylab\nimport brainsnn as bs\nbs.convert\nimport brian2\nprint('plot' in vars(brian2))"
    assert printed(code) == "True\n"
