import subprocess
import sys

import pytest

STEPS = """
import ctypes, resource, sys
from pairlab.engine.allocation import keep_freed_memory

def steps():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block = libc.malloc(64 << 20)
        ctypes.memset(block, 1, 64 << 20)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = steps()
taken = keep_freed_memory()
steps()
print(taken, first, steps())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_what_a_step_frees_is_not_mapped_anew_by_the_next() -> None:
    answer = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True).stdout.split()
    taken, before, after = answer[0], int(answer[1]), int(answer[2])
    assert taken == "True"
    assert before >= 10 * 32  # 64 MiB each time, in pages of 2 MiB at the most
    assert after < before / 10
