import copy
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pairlab.checkpoint import CheckpointError, load_checkpoint, load_weights, save_checkpoint, save_weights


class Net(nn.Module):
    """A convolution, batch norm, tied linear layers, a bf16 and a scalar buffer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.first = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8)
        self.tied.weight = self.first.weight
        self.register_buffer("coarse", torch.randn(5, dtype=torch.bfloat16))
        self.register_buffer("count", torch.tensor(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.norm(self.conv(images)).mean(dim=(2, 3))
        scores: torch.Tensor = self.tied(self.first(features).relu())
        return scores


def learning_rate(step: int) -> float:
    return 1e-2 * (1 - step / 40)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Randomness is keyed by the step, the learning rate is a function of it: nothing else is carried along."""
    for step in steps:
        images = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad()
        model(images.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()


def run() -> tuple[Net, torch.optim.AdamW]:
    model = Net().to(memory_format=torch.channels_last)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-4)


def state_of(model: Net, optimizer: torch.optim.AdamW) -> dict[str, Any]:
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def assert_same(found: Any, expected: Any) -> None:  # noqa: ANN401
    """Equal in type, order, dtype, strides and every bit."""
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert torch.equal(found.isnan(), expected.isnan())
        assert torch.equal(found.nan_to_num(), expected.nan_to_num())
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, entry in expected.items():
            assert_same(found[key], entry)
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            assert_same(ours, theirs)
    else:
        assert type(found) is type(expected)
        assert found == expected


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    model, optimizer = run()
    train(model, optimizer, range(40))
    straight = save_checkpoint(
        tmp_path / "straight",
        state=state_of(model, optimizer),
        step=40,
        facts={},
    )

    model, optimizer = run()
    for stop in (1, 7, 23):
        start = 0 if stop == 1 else load_checkpoint(tmp_path / "part", sha256=None).step
        train(model, optimizer, range(start, stop))
        state = state_of(model, optimizer)
        digest = save_checkpoint(tmp_path / "part", state=state, step=stop, facts={})

        checkpoint = load_checkpoint(tmp_path / "part", sha256=digest)
        model = Net(seed=99).to(memory_format=torch.channels_last)
        model.load_state_dict(checkpoint.state["model"])
        optimizer = torch.optim.AdamW(model.parameters(), lr=123.0)
        optimizer.load_state_dict(checkpoint.state["optimizer"])
    train(model, optimizer, range(23, 40))
    resumed = save_checkpoint(
        tmp_path / "resumed",
        state=state_of(model, optimizer),
        step=40,
        facts={},
    )
    assert resumed == straight


def test_state_dictionaries_come_back_as_they_were(tmp_path: Path) -> None:
    model, optimizer = run()
    train(model, optimizer, range(3))
    state = {**state_of(model, optimizer), "empty": {}}
    facts = {"config": "ab" * 32, "loss": 0.1 + 0.2, "seen": [1, 2.5, None, True], "nested": {"a": {}}}
    digest = save_checkpoint(tmp_path / "c", state=state, step=3, facts=facts)
    checkpoint = load_checkpoint(tmp_path / "c", sha256=digest)
    assert (checkpoint.step, checkpoint.facts) == (3, facts)
    assert_same(checkpoint.state, {**state, "model": dict(state["model"])})
    assert isinstance(checkpoint.state["optimizer"]["param_groups"][0]["betas"], tuple)
    assert list(checkpoint.state["optimizer"]["state"]) == list(range(7))
    assert checkpoint.state["optimizer"]["state"][0]["step"].shape == ()
    assert checkpoint.state["model"]["coarse"].dtype == torch.bfloat16


def test_the_memory_layout_comes_back(tmp_path: Path) -> None:
    dense = torch.randn(2, 3, 4, 5)
    state = {
        "t": {
            "channels_last": dense.contiguous(memory_format=torch.channels_last),
            "pointwise": torch.randn(6, 3, 1, 1).contiguous(memory_format=torch.channels_last),
            "volume": torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=torch.channels_last_3d),
            "transposed": torch.randn(3, 7).T,
            "plain": dense,
        }
    }
    loaded = load_checkpoint(tmp_path / "c", sha256=save_checkpoint(tmp_path / "c", state=state, step=0, facts={}))
    for key, tensor in state["t"].items():
        assert loaded.state["t"][key].stride() == tensor.stride(), key
        assert torch.equal(loaded.state["t"][key], tensor), key
        assert loaded.state["t"][key].data_ptr() % 64 == 0, key


def test_shared_sliced_and_expanded_tensors_come_back_as_their_values(tmp_path: Path) -> None:
    whole = torch.randn(6, 8)
    tensors = {
        "whole": whole,
        "again": whole,
        "row": whole[2],
        "every_other": whole[::2, 1::3],
        "expanded": torch.randn(3, 1).expand(3, 4),
        "parameter": nn.Parameter(whole),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "flags": torch.tensor([True, False]),
        "nan": torch.tensor([float("nan"), float("inf"), -0.0]),
    }
    save_checkpoint(tmp_path / "c", state={"t": tensors}, step=0, facts={})
    loaded = load_checkpoint(tmp_path / "c", sha256=None).state["t"]
    assert_same(loaded, {**tensors, "parameter": whole})
    loaded["whole"].zero_()
    assert torch.equal(loaded["again"], whole)


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.builds(
        lambda shape, dtype, seed: torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(9).to(dtype),
        st.lists(st.integers(0, 3), max_size=4),
        st.sampled_from(
            [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]
        ),
        st.integers(0, 99),
    ),
)
KEYS = st.one_of(st.text(max_size=4), st.integers(-5, 5), st.sampled_from(["a/b", "a", "b", "__metadata__", "tensor"]))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=st.dictionaries(st.text(max_size=4), st.dictionaries(KEYS, TREES, max_size=4), max_size=3))
def test_any_tree_of_state_round_trips(tmp_path: Path, state: dict[str, dict[str, Any]]) -> None:
    digest = save_checkpoint(tmp_path / "c", state=state, step=1, facts={})
    assert_same(load_checkpoint(tmp_path / "c", sha256=digest).state, state)
    assert save_checkpoint(tmp_path / "again", state=state, step=1, facts={}) == digest


def test_saving_leaves_the_live_state_alone(tmp_path: Path) -> None:
    model, optimizer = run()
    train(model, optimizer, range(2))
    before = copy.deepcopy(model.state_dict())
    save_checkpoint(tmp_path / "c", state={"model": model.state_dict()}, step=2, facts={})
    assert_same(dict(model.state_dict()), dict(before))
    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_checkpoint_replaces_its_predecessor_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path / "c", state={"t": {"x": torch.zeros(3)}}, step=1, facts={})
    second = save_checkpoint(tmp_path / "c", state={"t": {"x": torch.ones(3)}}, step=2, facts={})
    assert first != second
    assert load_checkpoint(tmp_path / "c", sha256=second).step == 2
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_no_pickle_is_in_the_file(tmp_path: Path) -> None:
    model, optimizer = run()
    train(model, optimizer, range(1))
    state = state_of(model, optimizer)
    save_checkpoint(tmp_path / "c.safetensors", state=state, step=1, facts={})
    tensors = safetensors.torch.load_file(tmp_path / "c.safetensors")
    assert torch.equal(tensors["model/conv.weight"], model.conv.weight)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read .*/gone: No such file or directory: resume from another"):
        load_checkpoint(tmp_path / "gone", sha256=None)


def test_a_changed_file_is_told_by_its_hash(tmp_path: Path) -> None:
    digest = save_checkpoint(tmp_path / "c", state={"t": {"x": torch.zeros(100)}}, step=1, facts={})
    content = bytearray((tmp_path / "c").read_bytes())
    content[-1] ^= 1
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(
        CheckpointError, match=rf"not the file that was saved: .*, {digest} was recorded.*start it anew"
    ):
        load_checkpoint(tmp_path / "c", sha256=digest)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_never_shows_as_anything_but_a_checkpoint_error(tmp_path: Path, data: st.DataObject) -> None:
    save_checkpoint(tmp_path / "c", state={"t": {"x": torch.zeros(2), "n": [1, (2.5, "s")]}}, step=1, facts={"a": 1})
    content = bytearray((tmp_path / "c").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load_checkpoint(tmp_path / "damaged", sha256=None)
    except CheckpointError as error:
        assert "damaged" in str(error)  # noqa: PT017  (either outcome is right, other exceptions are not)


def test_a_weights_file_is_no_checkpoint(tmp_path: Path) -> None:
    digest = save_weights(tmp_path / "w", Net())
    with pytest.raises(CheckpointError, match="is no PairLab checkpoint"):
        load_checkpoint(tmp_path / "w", sha256=digest)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    structure = json.dumps({"format": "pairlab checkpoint 9", "step": 1, "facts": {}, "state": {"dict": []}})
    safetensors.torch.save_file({}, tmp_path / "c", metadata={"pairlab": structure})
    with pytest.raises(CheckpointError, match="is a 'pairlab checkpoint 9', and this version of PairLab reads"):
        load_checkpoint(tmp_path / "c", sha256=None)


@pytest.mark.parametrize(
    ("state", "facts", "message"),
    [
        ({"t": {"x": object()}}, {}, "t/x is a object, which a checkpoint cannot hold"),
        ({"t": {(1, 2): 3}}, {}, r"key \(1, 2\) in t is neither a string nor a whole number"),
        ({"t": {"x": torch.eye(2).to_sparse()}}, {}, r"only dense tensors can be saved, found torch.sparse_coo"),
        ({}, {"x": float("nan")}, "facts must be JSON"),
        ({}, {"x": object()}, "facts must be JSON"),
        ({}, {"x": (1, 2)}, "facts must be JSON: tuples"),
    ],
)
def test_what_cannot_be_written_is_named_before_anything_is(
    tmp_path: Path, state: dict[str, Any], facts: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / "c", state=state, step=0, facts=facts)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot write .*/no/c: No such file or directory\. Check that"):
        save_checkpoint(tmp_path / "no" / "c", state={}, step=0, facts={})


SAVE_TOO_MUCH = """
import sys
from pathlib import Path
import torch
from torch import nn
from pairlab.checkpoint import CheckpointError, save_checkpoint, save_weights
try:
    if sys.argv[2] == "weights":
        save_weights(Path(sys.argv[1]), nn.Linear(1000, 500))
    else:
        save_checkpoint(Path(sys.argv[1]), state={"t": {"x": torch.ones(500_000)}}, step=2, facts={})
except CheckpointError as error:
    sys.exit(f"refused: {error}")
"""


def save_too_much(path: Path, what: str, *, limit: int | None) -> str:
    """Returns what a process says that saves 2 MB to `path`, with at most `limit` bytes per file."""

    def lower_the_limit() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-c", SAVE_TOO_MUCH, str(path), what]
    done = subprocess.run(command, check=False, capture_output=True, text=True, preexec_fn=lower_the_limit)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("what", ["checkpoint", "weights"])
def test_a_write_that_breaks_off_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, what: str) -> None:
    digest = save_checkpoint(tmp_path / "c", state={"t": {"x": torch.zeros(3)}}, step=1, facts={})
    said = save_too_much(tmp_path / "c", what, limit=100_000)
    assert "refused: cannot write" in said
    assert "File too large (2,0" in said
    assert "Earlier checkpoints are intact: free some space and resume the job" in said
    assert load_checkpoint(tmp_path / "c", sha256=digest).step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root; the limit on file size above stands for it")
    try:
        digest = save_checkpoint(disk / "c", state={"t": {"x": torch.zeros(3)}}, step=1, facts={})
        said = save_too_much(disk / "c", "checkpoint", limit=None)
        assert "refused: cannot write" in said
        assert "No space left on device (2,0" in said
        assert load_checkpoint(disk / "c", sha256=digest).step == 1
        assert [path.name for path in disk.iterdir()] == ["c"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_weights_round_trip_into_another_network(tmp_path: Path) -> None:
    model = Net(seed=1).to(memory_format=torch.channels_last)
    digest = save_weights(tmp_path / "w", model)
    other = Net(seed=2)
    load_weights(tmp_path / "w", other, sha256=digest)
    assert_same(dict(other.state_dict()), dict(model.state_dict()))
    assert other.tied.weight is other.first.weight
    assert other.conv.weight.is_contiguous()
    assert save_weights(tmp_path / "again", other) == digest


def test_weights_are_a_plain_file_for_other_tools(tmp_path: Path) -> None:
    model = Net()
    save_weights(tmp_path / "w.safetensors", model)
    loaded = safetensors.torch.load_file(tmp_path / "w.safetensors")
    assert sorted(loaded) == sorted(model.state_dict())


def test_weights_that_do_not_fit_are_named_and_change_nothing(tmp_path: Path) -> None:
    tensors = {key: tensor.clone() for key, tensor in Net(seed=1).state_dict().items()}
    tensors["conv.weight"] = torch.zeros(8, 3, 5, 5)
    tensors["coarse"] = tensors["coarse"].float()
    tensors["stranger"] = tensors.pop("norm.bias")
    safetensors.torch.save_file(tensors, tmp_path / "w")
    model = Net(seed=2)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError) as error:
        load_weights(tmp_path / "w", model, sha256=None)
    assert str(error.value) == (
        f"the weights in {tmp_path / 'w'} do not fit the network: 1 missing from the file (norm.bias); "
        "1 unknown to the network (stranger); 2 different (coarse is float32 [5] in the file and bfloat16 [5] in the "
        "network, conv.weight is float32 [8, 3, 5, 5] in the file and float32 [8, 3, 3, 3] in the network). "
        "Take the encoder and decoder they were made with"
    )
    assert_same(dict(model.state_dict()), dict(before))


def test_weights_with_another_hash_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", Net())
    with pytest.raises(CheckpointError, match="is not the file that was saved"):
        load_weights(tmp_path / "w", Net(), sha256="0" * 64)


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="is no whole safetensors file"):
        load_weights(tmp_path / "w", Net(), sha256=None)
