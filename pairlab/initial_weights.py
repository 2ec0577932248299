"""Weights for a fresh network: from a file, an earlier pretraining or the hub, whatever their keys are called."""

import hashlib
import io
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pairlab.checkpoint import SavedFile
from pairlab.experiment.initial import FileWeights, HubWeights, Initial, RandomWeights, initial_in_words
from pairlab.experiment.network import Transfer
from pairlab.networks import DenseNetwork

CONTAINERS = ("state_dict", "state_dict_ema", "model_state_dict", "model", "network")
"""Where training scripts put the weights beside epoch and optimizer; the first that is there is taken."""
WRAPPERS = frozenset({"module", "model", "backbone", "encoder", "encoder_q", "base_encoder", "online_encoder", "net"})
"""What stands before the names of an encoder's own parts, in any order: of DistributedDataParallel, Lightning,
segmentation-models-pytorch, MoCo and others."""
RGB = 3
SHOWN = 3
"""Keys that a message names."""


class InitialWeightsError(ValueError):
    """Initial weights that are not there, not the ones that were pinned, or do not fit; the message has the numbers."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """What of some tensors goes into a module."""

    taken: dict[str, Tensor]
    """By the module's own keys."""
    used: frozenset[str]
    """Keys of the tensors that were taken."""
    adapted: int | None
    """Input bands that the first convolution had before it was adapted."""


def load_initial(
    initial: Initial, network: DenseNetwork, *, file: SavedFile | None, part: Transfer | None = None
) -> dict[str, Any]:
    """Puts initial weights into a network and returns, for people, what was loaded.

    Every tensor of the encoder (and of the decoder, where that is asked for) must be there with its shape, but for the
    counters of batch norm; otherwise nothing is changed. A first convolution for RGB is adapted to the network's bands
    as timm does: repeated over them in turn and scaled, or summed for a single band.

    Args:
        initial: which weights; random ones leave the network as it is.
        network: receives them.
        file: the file of `file` and `job` weights.
        part: of the network, where it is another than `initial` says.

    Raises:
        InitialWeightsError: they are not there, not those that were pinned, or do not fit.
    """
    said = initial_in_words(initial)
    if isinstance(initial, RandomWeights):
        return {"initial": said}
    if isinstance(initial, HubWeights):
        tensors = _download(initial.name)
    elif file is None:
        raise InitialWeightsError(f"initial: the {said} has no weights here (any more): name another one")
    else:
        tensors = read_tensors(file, said)
    wanted: Transfer = "encoder" if isinstance(initial, HubWeights) else initial.part
    encoder = fit_encoder(network.encoder, tensors, said=said)
    fits = [(network.encoder, encoder)]
    if (part or wanted) == "encoder_decoder":
        fits.append((network.decoder, _fit_decoder(network.decoder, tensors, said=said)))
    for module, fit in fits:
        module.load_state_dict({**module.state_dict(), **fit.taken}, strict=True)
    used = frozenset().union(*(fit.used for _, fit in fits))
    return {"initial": said, "initial_tensors": len(used), **_left_out(tensors, used), **_adapted(encoder)}


def load_encoder(network: DenseNetwork, file: SavedFile, *, said: str) -> None:
    """Puts the encoder of a file, such as a pretraining's weights, into a network; raises InitialWeightsError."""
    fit = fit_encoder(network.encoder, read_tensors(file, said), said=said)
    network.encoder.load_state_dict({**network.encoder.state_dict(), **fit.taken}, strict=True)


def read_tensors(file: SavedFile, said: str) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file, or of a PyTorch file that holds no code, by key, on the CPU.

    Raises:
        InitialWeightsError: the file cannot be read, is not the one that was recorded, or holds no tensors.
    """
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise InitialWeightsError(f"initial: the {said} cannot be read: {error.strerror or error}") from error
    if file.sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise InitialWeightsError(
            f"initial: the {said} has changed since it was chosen: its SHA-256 is {found}, {file.sha256} was recorded. "
            "Put the old file back, or submit the experiment again to take the new one"
        )
    if file.path.suffix == ".safetensors":
        try:
            return safetensors.torch.load(content)
        except (SafetensorError, ValueError) as error:
            raise InitialWeightsError(f"initial: the {said} is no whole safetensors file ({error})") from error
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InitialWeightsError(
            f"initial: the {said} holds more than tensors, or is damaged ({_first_line(error)}). Pickled code is never "
            "run here: save its state_dict() alone, best as safetensors"
        ) from error
    return _state_dict(loaded, said)


def fit_encoder(encoder: nn.Module, tensors: Mapping[str, Tensor], *, said: str) -> _Fit:
    """Returns what of the tensors goes into an encoder: all of it, or InitialWeightsError with the numbers."""
    wanted: dict[str, Tensor] = dict(encoder.state_dict())
    names = _names_of(wanted)
    best: dict[str, str] = {}
    for prefix in _prefixes(tensors):
        below = {canonical(key.removeprefix(prefix)): key for key in tensors if key.startswith(prefix)}
        matching = {key: below[name] for key, name in names.items() if name in below}
        if len(matching) > len(best):
            best = matching
    first = next((key for key, value in wanted.items() if value.ndim == 4), None)
    taken, adapted, different = {}, None, []
    for key, theirs in best.items():
        found, needed = tensors[theirs], wanted[key]
        if key == first and _for_rgb(found, needed):
            adapted = RGB
            found = timm.models.adapt_input_conv(needed.shape[1], found)
        if found.shape != needed.shape:
            different.append(f"{theirs} is {list(found.shape)}, not {list(needed.shape)}")
        else:
            taken[key] = found
    missing = [key for key in wanted if key not in best and not key.endswith("num_batches_tracked")]
    if missing or different:
        _refuse(said, "encoder", wanted, taken, missing=missing, different=different, there=tensors)
    return _Fit(taken, frozenset(best.values()), adapted)


def canonical(key: str) -> str:
    """Returns a key as timm's whole models have it; its feature extractors call stages.0 stages_0."""
    return re.sub(r"^([a-z]+)_(\d+)\.", r"\1.\2.", key)


def _names_of(wanted: Iterable[str]) -> dict[str, str]:
    """Returns the name of each key without what segmentation-models-pytorch wraps timm's encoders in."""
    keys = list(wanted)
    wrapped = all(key.startswith("model.") for key in keys)
    return {key: canonical(key.removeprefix("model.") if wrapped else key) for key in keys}


def _prefixes(tensors: Iterable[str]) -> list[str]:
    """Returns what wrappers put before the keys, the shortest first."""
    found = {""}
    for key in tensors:
        parts, prefix = key.split("."), ""
        while parts[0] in WRAPPERS and len(parts) > 1:
            prefix += f"{parts.pop(0)}."
            found.add(prefix)
    return sorted(found, key=lambda prefix: (len(prefix), prefix))


def _for_rgb(found: Tensor, needed: Tensor) -> bool:
    return (
        found.ndim == 4
        and found.shape[1] == RGB != needed.shape[1]
        and (found.shape[0], *found.shape[2:]) == (needed.shape[0], *needed.shape[2:])
    )


def _fit_decoder(decoder: nn.Module, tensors: Mapping[str, Tensor], *, said: str) -> _Fit:
    wanted: dict[str, Tensor] = dict(decoder.state_dict())
    there = {key: f"decoder.{key}" for key in wanted if f"decoder.{key}" in tensors}
    taken = {key: tensors[theirs] for key, theirs in there.items() if tensors[theirs].shape == wanted[key].shape}
    different = [
        f"{theirs} is {list(tensors[theirs].shape)}, not {list(wanted[key].shape)}"
        for key, theirs in there.items()
        if key not in taken
    ]
    missing = [key for key in wanted if key not in there]
    if missing or different:
        _refuse(said, "decoder", wanted, taken, missing=missing, different=different, there=tensors)
    return _Fit(taken, frozenset(there.values()), None)


def _refuse(
    said: str,
    part: Literal["encoder", "decoder"],
    wanted: Mapping[str, Tensor],
    taken: Mapping[str, Tensor],
    *,
    missing: list[str],
    different: list[str],
    there: Mapping[str, Tensor],
) -> None:
    problems = [
        *([f"{len(missing)} are missing ({_some(missing)})"] if missing else []),
        *([f"{len(different)} have another shape ({_some(different)})"] if different else []),
    ]
    raise InitialWeightsError(
        f"initial: the {said} does not fit the network's {part}: {len(taken)} of its {len(wanted)} tensors were found, "
        f"{'; '.join(problems)}. There are {len(there)} tensors: {_some(sorted(there))}. Take weights of the same "
        f"{part}, or network.{part} that they were made with"
    )


def _left_out(tensors: Mapping[str, Tensor], used: frozenset[str]) -> dict[str, Any]:
    """Returns what was not taken (a classifier, another part) as a fact."""
    others = sorted(tensors.keys() - used)
    return {"initial_left_out": f"{len(others)} ({_some(others)})"} if others else {}


def _adapted(fit: _Fit) -> dict[str, Any]:
    return {} if fit.adapted is None else {"initial_adapted": f"first convolution, from {fit.adapted} bands"}


def _state_dict(loaded: object, said: str) -> dict[str, Tensor]:
    content = loaded
    while isinstance(content, Mapping):
        inner = next((content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
            if tensors:
                return tensors
            break
        content = inner
    raise InitialWeightsError(
        f"initial: the {said} holds no tensors by name, in itself or as {', '.join(CONTAINERS)}: save a state_dict()"
    )


def _download(name: str) -> dict[str, Tensor]:
    architecture, _, tag = name.partition(".")
    if not timm.is_model_pretrained(name):
        published = timm.list_pretrained(f"{architecture}.*") or timm.list_pretrained()
        alike = get_close_matches(name, published, n=SHOWN, cutoff=0.3)
        raise InitialWeightsError(
            f"initial: timm knows no published weights {name!r}"
            + (f"; there are {', '.join(alike)}" if alike else "")
            + ("" if tag else ". A name has the tag of its weights behind a dot")
        )
    try:
        with torch.random.fork_rng(devices=[]):
            return dict(timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:  # downloads fail in the ways of three libraries
        raise InitialWeightsError(
            f"initial: the weights {name} could not be loaded: huggingface.co was asked, and neither it nor the cache "
            f"of earlier downloads has answered ({_first_line(error)}). Let the worker reach it once; or download the "
            "file elsewhere, put it into a data root and take initial source `file`"
        ) from error


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0][:200]


def file_of(data_roots: Mapping[str, Path], weights: FileWeights) -> SavedFile:
    """Returns a file of initial weights below its data root.

    Raises:
        InitialWeightsError: there is no such data root, or a link leads out of it.
    """
    root = data_roots.get(weights.root)
    if root is None:
        known = ", ".join(sorted(data_roots)) or "none"
        raise InitialWeightsError(
            f"initial: no data root {weights.root!r} (known: {known}): start PairLab with "
            f"`pairlab up --data-root {weights.root}=FOLDER`"
        )
    found = (root / weights.path).resolve()
    if not found.is_relative_to(root.resolve()):
        raise InitialWeightsError(f"initial: {weights.path!r} leads out of its data root: copy the file into it")
    return SavedFile(found, weights.sha256)
