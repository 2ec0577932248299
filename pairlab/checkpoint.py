"""Everything a run needs to go on bit for bit, and the weights it hands on, as safetensors: no pickle anywhere."""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

FORMAT = "pairlab checkpoint 1"
_STRUCTURE = "pairlab"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REMEDY = "resume from another checkpoint of the job, or start it anew"


class CheckpointError(ValueError):
    """A checkpoint or weights file that cannot be written, read or used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A checkpoint or weights file to read, with the hash it was recorded under."""

    path: Path
    sha256: str | None = None
    """Checked before anything is read from the file; None skips the check."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run at a step boundary: all it needs to go on, since learning rate and randomness are functions of the step."""

    state: dict[str, Any]
    """State dictionaries by name (`model`, `optimizer`, …), tensors on the CPU; ready for `load_state_dict`."""
    step: int
    """Optimizer steps that were done."""
    facts: dict[str, Any]
    """What else the run wrote down: the key of its configuration, figures; JSON."""


def save_checkpoint(path: Path, *, state: Mapping[str, Mapping[str, Any]], step: int, facts: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of the checkpoint now at `path`: all of it is on the disk, or nothing changed there.

    Args:
        path: where it goes; the folder exists. An earlier file of that name is replaced in one step.
        state: state dictionaries of modules and optimizers by name: nested dictionaries, lists and tuples of tensors
            (any device, memory format and dtype), numbers, strings, booleans and None.
        step: optimizer steps that were done.
        facts: a JSON-able mapping.

    Raises:
        CheckpointError: the disk is full or not writable (an earlier file is intact, no part of the new one is left),
            or `state` or `facts` hold something that cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    try:
        tree = _encode(state, None, tensors)
        structure = json.dumps({"format": FORMAT, "step": step, "facts": _checked_facts(facts), "state": tree})
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"cannot write checkpoint {path}: {error}") from error
    return _write(path, tensors, {_STRUCTURE: structure})


def load_checkpoint(path: Path, *, sha256: str | None) -> Checkpoint:
    """Returns the checkpoint at `path`, with tensors on the CPU in the dtype and memory layout that they had.

    Args:
        path: a file of `save_checkpoint`.
        sha256: what `save_checkpoint` returned, checked before anything is read from the file; None skips the check.

    Raises:
        CheckpointError: the file is missing, not the recorded one, or no checkpoint.
    """
    tensors, metadata = _read(path, sha256)
    try:
        content = json.loads(metadata[_STRUCTURE])
        if content["format"] != FORMAT:
            raise CheckpointError(
                f"{path} is a {content['format']!r}, and this version of PairLab reads {FORMAT!r}: start the job anew"
            )
        return Checkpoint(state=_decode(content["state"], tensors), step=content["step"], facts=content["facts"])
    except (KeyError, TypeError, IndexError, ValueError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is no PairLab checkpoint (a weights file is not one): {_REMEDY}") from error


def save_weights(path: Path, module: nn.Module) -> str:
    """Returns the SHA-256 of the plain safetensors file now at `path` that holds the module's state dictionary.

    Shared tensors are written under each of their names, so that every key of the state dictionary is in the file.

    Raises:
        CheckpointError: as `save_checkpoint`.
    """
    tensors = {}
    for key, value in module.state_dict().items():
        if not isinstance(value, Tensor) or value.layout != torch.strided:
            raise CheckpointError(f"cannot write weights {path}: {key} is no dense tensor ({type(value).__name__})")
        tensors[key] = _on_cpu(value)
    return _write(path, tensors, {})


def load_weights(path: Path, module: nn.Module, *, sha256: str | None) -> None:
    """Puts the weights at `path` into the module; every key, shape and dtype must agree, else nothing is changed.

    Args:
        path: a safetensors file, such as one of `save_weights`.
        module: receives the weights, on its own device and in its own memory format.
        sha256: what `save_weights` returned, checked before anything is read from the file; None skips the check.

    Raises:
        CheckpointError: the file is missing, not the recorded one, no safetensors file, or made for another module.
    """
    tensors, _ = _read(path, sha256)
    wanted: dict[str, Tensor] = dict(module.state_dict())
    differing = [
        f"{key} is {_described(tensors[key])} in the file and {_described(wanted[key])} in the network"
        for key in sorted(wanted.keys() & tensors.keys())
        if (tensors[key].shape, tensors[key].dtype) != (wanted[key].shape, wanted[key].dtype)
    ]
    problems = [
        *_counted("missing from the file", sorted(wanted.keys() - tensors.keys())),
        *_counted("unknown to the network", sorted(tensors.keys() - wanted.keys())),
        *_counted("different", differing),
    ]
    if problems:
        raise CheckpointError(
            f"the weights in {path} do not fit the network: {'; '.join(problems)}. "
            "Take the encoder and decoder they were made with"
        )
    module.load_state_dict(tensors, strict=True)


def _counted(what: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    return [f"{len(entries)} {what} ({', '.join(entries[:3])}{', …' if len(entries) > 3 else ''})"]


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _checked_facts(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        same = json.loads(json.dumps(dict(facts), allow_nan=False)) == dict(facts)
    except (TypeError, ValueError) as error:
        raise TypeError(f"facts must be JSON: {error}") from error
    if not same:
        raise TypeError("facts must be JSON: tuples and keys that are not strings would come back as something else")
    return facts


def _encode(value: Any, name: str | None, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401  (a JSON tree)
    """Returns the value as JSON in which each container and tensor is an object that says what it was."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        key = f"{name}#{len(tensors)}" if name in tensors else str(name)
        tensors[key] = _on_cpu(value)
        strides = _strides_to_keep(value)
        return {"tensor": key} if strides is None else {"tensor": key, "strides": strides}
    below = "" if name is None else f"{name}/"
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise TypeError(f"key {key!r} in {name or 'state'} is neither a string nor a whole number")
        return {"dict": [[key, _encode(entry, f"{below}{key}", tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        entries = [_encode(entry, f"{below}{position}", tensors) for position, entry in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": entries}
    raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint cannot hold")


def _decode(tree: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  (a JSON tree)
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        tensor = tensors[tree["tensor"]]
        if "strides" not in tree:
            return tensor
        return torch.empty_strided(tensor.shape, tree["strides"], dtype=tensor.dtype).copy_(tensor)
    if "dict" in tree:
        return {key: _decode(entry, tensors) for key, entry in tree["dict"]}
    if "tuple" in tree:
        return tuple(_decode(entry, tensors) for entry in tree["tuple"])
    return [_decode(entry, tensors) for entry in tree["list"]]


def _on_cpu(tensor: Tensor) -> Tensor:
    """Returns the values in memory of their own: views, shared and expanded tensors cannot be written as they are."""
    if tensor.layout != torch.strided:
        raise TypeError(f"only dense tensors can be saved, found {tensor.layout} of {tuple(tensor.shape)}")
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _strides_to_keep(tensor: Tensor) -> list[int] | None:
    """Returns the strides of a dense tensor that lies in another order than C's (channels_last), else None.

    An optimizer's state has to lie in memory as its parameter does, or its next step takes another path through the
    arithmetic and may differ in the last bit.
    """
    strides = list(tensor.stride())
    if tensor.numel() == 0 or strides == list(torch.empty(tensor.shape, device="meta").stride()):
        return None
    extent = 1
    for dim in sorted(range(tensor.ndim), key=lambda dim: strides[dim]):
        if tensor.shape[dim] > 1:
            if strides[dim] != extent:
                return None
            extent *= tensor.shape[dim]
    return strides


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    try:
        # One metadata key at most: with more, safetensors writes them in random order and equal states differ in hash.
        content = safetensors.torch.save(tensors, metadata=metadata)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(_why_not_written(path, len(content), error)) from error
    return hashlib.sha256(content).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why_not_written(path: Path, size: int, error: OSError) -> str:
    if error.errno not in _NO_ROOM:
        return f"cannot write {path}: {error.strerror or error}. Check that the folder exists and may be written to"
    return (
        f"cannot write {path}: {error.strerror} ({size:,} bytes are needed). Earlier checkpoints are intact: free some "
        "space and resume the job"
    )


def _read(path: Path, sha256: str | None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns tensors and metadata of the very bytes whose hash was checked, in memory of their own."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}: {_REMEDY}") from error
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise CheckpointError(
            f"{path} is not the file that was saved: its SHA-256 is {found}, {sha256} was recorded. It was changed or "
            f"damaged: {_REMEDY}"
        )
    try:
        # A copy of each: in the file they are aligned to 8 bytes, and the results of some kernels depend on alignment.
        tensors = {key: tensor.clone() for key, tensor in safetensors.torch.load(content).items()}
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is no whole safetensors file ({error}): {_REMEDY}") from error
    return tensors, metadata
