import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pairlab.export.tensor_file import TensorFileError, read_header, renamed

TENSORS = {
    "encoder.a": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "encoder.b": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "encoder.count": torch.tensor(7),
    "decoder.c": torch.rand(5, generator=torch.Generator().manual_seed(1)).half(),
    "encoder.empty": torch.zeros(0, 4),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(TENSORS, path, metadata={"made": "here"})
    return path


def test_bytes_shapes_and_dtypes_stay_and_names_change(file: Path) -> None:
    path = file.with_name("renamed.safetensors")
    content = b"".join(renamed(file, lambda key: key[8:].upper() if key.startswith("encoder.") else None))
    path.write_bytes(content)
    found = load_file(path)
    assert set(found) == {"A", "B", "COUNT", "EMPTY"}
    for key, tensor in found.items():
        origin = TENSORS[f"encoder.{key.lower()}"]
        assert tensor.dtype == origin.dtype
        assert tensor.shape == origin.shape
        assert torch.equal(tensor, origin)
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length])["__metadata__"] == {"format": "pt"}


def test_large_tensors_go_by_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    large = torch.arange(700_000, dtype=torch.int32)
    save_file({"x": large}, path)
    pieces = list(renamed(path, lambda key: key))
    assert max(map(len, pieces)) <= 1 << 20
    path.write_bytes(b"".join(pieces))
    assert torch.equal(load_file(path)["x"], large)


@pytest.mark.parametrize(("content", "said"), [(b"", "is no safetensors file"), (b"\xff" * 20, "is no safetensors")])
def test_another_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(TensorFileError, match=said):
        read_header(path)


def test_a_file_that_was_cut_off_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(TensorFileError, match="is cut off"):
        list(renamed(file, lambda key: key))
