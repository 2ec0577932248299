from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pairlab.engine.memory import is_out_of_memory, largest_fitting, memory_taken


@given(below=st.integers(3, 5000), smallest=st.integers(1, 16), limit=st.integers(0, 5000))
def test_what_is_found_fits_and_an_eighth_more_does_not(below: int, smallest: int, limit: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= limit

    found = largest_fitting(fits, below=below, smallest=smallest)
    assert all(smallest <= size < below for size in tried)
    assert len(tried) == len(set(tried)) <= below.bit_length() + 3
    if found is None:
        assert limit < smallest or smallest >= below
        return
    assert found in tried
    assert found <= limit
    assert found + max(1, -(-found // 8)) > min(limit, below - 1)


def test_an_allocator_that_has_no_more_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60)
    assert is_out_of_memory(refused.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    with pytest.raises(MemoryError) as refused_too:
        bytearray(2**62)
    assert is_out_of_memory(refused_too.value)
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no Linux")
def test_memory_of_the_process_grows_by_what_is_allocated() -> None:
    before = memory_taken(torch.device("cpu"))["process_memory_mb"]
    held = torch.ones(64 * 2**20, dtype=torch.uint8)
    after = memory_taken(torch.device("cpu"))["process_memory_mb"]
    assert 60 <= after - before <= 80
    assert len(held) == 2**26
