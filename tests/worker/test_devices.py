from pathlib import Path

import pytest

from worker.devices import Devices, gpu_names, visible_gpus


def test_each_run_has_gpus_of_its_own() -> None:
    devices = Devices(["0", "1", "2", "3", "4"], per_run=2)
    with devices.group() as first, devices.group() as second:
        assert (first, second) == (["0", "1"], ["2", "3"])
        with devices.group() as shared:
            assert shared == ["0", "1"]
    with devices.group() as again:
        assert again == ["0", "1"]


@pytest.mark.parametrize(("gpus", "group"), [([], []), (["7"], ["7"])])
def test_fewer_gpus_than_a_run_may_have_are_one_group(gpus: list[str], group: list[str]) -> None:
    devices = Devices(gpus, per_run=2)
    with devices.group() as first, devices.group() as second:
        assert first == second == group


def test_gpus_are_counted_without_torch_and_limited_as_cuda_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_names() == visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho A\necho B\necho C\n")
    tool.chmod(0o700)
    assert gpu_names() == ["A", "B", "C"]
    assert visible_gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 0")
    assert visible_gpus() == ["2", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []
