"""What a run without memory advises, where memory is what so many images at once in the network take."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from pairlab.engine.memory import TooLittleMemoryError
from pairlab.events import Finished
from pairlab.losses.embeddings import NothingToMatch
from pairlab.networks import DenseNetwork
from tests.pairlab.training_jobs import pretrain_job, run

PAIRS = 16
SHORT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@contextmanager
def failing(errors: dict[range, Exception]) -> Iterator[list[int]]:
    """Lets a network that learns fail by how many images it is given; yields the numbers it was given."""
    given: list[int] = []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, DenseNetwork) and module.training and isinstance(inputs[0], Tensor):
            given.append(len(inputs[0]))
            for images, error in errors.items():
                if len(inputs[0]) in images:
                    raise error

    handle = register_module_forward_pre_hook(look)
    try:
        yield given
    finally:
        handle.remove()


def trained(folder: Path, *, batch_size: int = PAIRS, parts: int = 1) -> None:
    training = {"steps": 1, "batch_size": batch_size, "parts": parts, "warmup_steps": 0, "compile": "never"}
    events = list(run(pretrain_job(pretraining=training), folder, map_moments=0))
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(("images", "size", "parts"), [(10, 5, 4), (30, 15, 2), (4, 2, 8)])
def test_the_batch_size_and_the_parts_that_are_named_fit(tmp_path: Path, images: int, size: int, parts: int) -> None:
    with failing({range(images + 1, 1000): SHORT}) as given:
        with pytest.raises(TooLittleMemoryError) as refused:
            trained(tmp_path / "all")
        found = re.search(
            r"pretraining\.batch_size (\d+) would .* in (\d+) pretraining\.parts it fits", str(refused.value)
        )
        assert found, refused.value
        assert (int(found[1]), int(found[2])) == (size, parts)
        given.clear()
        trained(tmp_path / "fewer", batch_size=size)
        trained(tmp_path / "parts", parts=parts)
        assert 0 < max(given) <= images


def test_parts_that_do_not_fit_are_tried_finer_before_they_are_named(tmp_path: Path) -> None:
    """A batch of 8 pairs fits whole, but beside the features of 16 pairs no more than 4 do."""
    seen: list[int] = []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, DenseNetwork) and module.training:
            seen.append(len(inputs[0]))
            if len(inputs[0]) > 16 or seen[-2:] == [16, 16]:  # a second part of 8 pairs, the features of the first kept
                raise SHORT

    handle = register_module_forward_pre_hook(look)
    try:
        with pytest.raises(TooLittleMemoryError, match=r"batch_size 8 would have fitted.* in 4 pretraining\.parts"):
            trained(tmp_path)
    finally:
        handle.remove()


def test_a_device_on_which_not_even_two_pairs_fit_is_told_so(tmp_path: Path) -> None:
    with (
        failing({range(1, 1000): SHORT}),
        pytest.raises(TooLittleMemoryError, match="not even 2 pairs fitted: lower chip_size"),
    ):
        trained(tmp_path)


def test_another_error_of_a_trial_is_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    defect = RuntimeError("expected scalar type Float but found Half")
    with failing({range(2 * PAIRS, 1000): SHORT, range(2 * PAIRS): defect}), pytest.raises(RuntimeError) as raised:
        trained(tmp_path)
    assert raised.value is defect


def test_a_batch_with_too_little_to_compare_is_not_advised(tmp_path: Path) -> None:
    nothing = NothingToMatch("nothing to match: every point is masked")
    with (
        failing({range(13, 1000): SHORT, range(13): nothing}),
        pytest.raises(TooLittleMemoryError, match="not even 2 pairs fitted"),
    ):
        trained(tmp_path)
