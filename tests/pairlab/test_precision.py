import pytest
import torch

from pairlab import precision
from pairlab.precision import (
    PrecisionError,
    PrecisionName,
    best_precision,
    chosen_precision,
    resumed_precision,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture(params=[(7, 5), (8, 0), (9, 0)], ids=str)
def capability(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """What the driver says of a GPU that is not here; the choice that follows is plain arithmetic."""
    found: tuple[int, int] = request.param
    monkeypatch.setattr(precision, "_capability", lambda _: found)
    return found


def test_a_gpu_computes_in_bfloat16_where_it_can_and_else_in_scaled_float16(capability: tuple[int, int]) -> None:
    chosen = chosen_precision(GPU, "auto")
    assert (chosen.name, chosen.scaled) == (("bfloat16", False) if capability >= (8, 0) else ("float16", True))
    assert chosen.memory_format == torch.channels_last
    assert best_precision(GPU).name == ("bfloat16" if capability >= (8, 0) else "float32")


def test_an_old_gpu_refuses_bfloat16_with_a_sentence(capability: tuple[int, int]) -> None:
    if capability >= (8, 0):
        assert chosen_precision(GPU, "bfloat16").name == "bfloat16"
        return
    with pytest.raises(
        PrecisionError, match=r"precision: bfloat16 needs .* 8\.0 or later, and cuda:0 has 7\.5; take auto"
    ):
        chosen_precision(GPU, "bfloat16")


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", None])
def test_a_cpu_computes_in_bfloat16_where_it_multiplies_it(monkeypatch: pytest.MonkeyPatch, flag: str | None) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {} if flag is None else {flag: True})
    assert chosen_precision(CPU, "auto").name == ("float32" if flag is None else "bfloat16")
    names: tuple[PrecisionName, ...] = ("float32", "bfloat16")
    for name in names:
        assert chosen_precision(CPU, name).name == name


def test_a_cpu_refuses_float16_with_a_sentence() -> None:
    with pytest.raises(PrecisionError, match="precision: float16 is for GPUs, and this run is on the cpu"):
        chosen_precision(CPU, "float16")


@pytest.mark.parametrize("made_in", ["float32", "bfloat16"])
def test_a_resumed_run_keeps_the_precision_of_its_checkpoint(
    monkeypatch: pytest.MonkeyPatch, made_in: PrecisionName
) -> None:
    for capabilities in ({}, {"avx512_bf16": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert resumed_precision(CPU, "auto", made_in).name == made_in


def test_a_resumed_run_takes_what_the_device_has_where_it_lacks_the_checkpoints() -> None:
    assert resumed_precision(CPU, "auto", "float16").name == chosen_precision(CPU, "auto").name


def test_the_context_computes_in_the_type_it_names() -> None:
    rows = torch.ones(2, 2)
    types: dict[PrecisionName, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    for name, dtype in types.items():
        with chosen_precision(CPU, name).context():
            assert (rows @ rows).dtype == dtype
