import doctest
import importlib
import pkgutil
import subprocess
import sys

from pairlab import metrics


def test_the_examples_of_the_docstrings_run() -> None:
    files = [f"pairlab.metrics.{each.name}" for each in pkgutil.iter_modules(metrics.__path__)]
    found = [doctest.testmod(importlib.import_module(name)) for name in files]
    assert sum(tried for _, tried in found) >= 20
    assert all(failed == 0 for failed, _ in found)


def test_needs_no_torch() -> None:
    code = "import sys, pairlab.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
