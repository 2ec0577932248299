"""How far apart an encoder sees two images of a place: cosine distance of its deepest features, per square of CELL."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pairlab.checkpoint import SavedFile, load_weights
from pairlab.experiment.change_scores import EmbeddingDistance
from pairlab.experiment.network import Network
from pairlab.networks import NetworkError, build_network
from pairlab.scenes.index import CELL
from pairlab.scenes.scene import Bands, BoolArray, Pixels
from pairlab.views.pixels import DEVIATION, MEAN, to_unit_range

TILE = 512
"""Side of the tiles that scenes are cut into, pixels."""
MARGIN = 64
"""What the encoder sees around each tile, as far as the scene goes, pixels."""
RANDOM_SEED = 0
_UNKNOWN = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)


class WeightsError(ValueError):
    """Weights that are not there; the message says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a finished pretraining left."""

    network: Network
    weights: SavedFile


@dataclass(frozen=True)
class FeatureEncoder:
    """An encoder in evaluation mode, and how it takes images."""

    module: nn.Module
    bands: Bands
    """Of the images it gets."""
    mean: Tensor
    deviation: Tensor
    """What is subtracted from and divides images in [0, 1], shape (bands, 1, 1)."""
    device: torch.device

    def distances(self, first: Pixels, last: Pixels, *, valid: BoolArray) -> NDArray[np.float32]:
        """Returns the cosine distance per whole square of CELL pixels, float32 in [0, 2]; NaN where none is valid.

        Args:
            first: shape (height, width, bands); uint8, uint16 or float32.
            last: of the same shape.
            valid: pixels with data in both images; others are hidden from the encoder in both.

        Returns:
            Shape (height // CELL, width // CELL); 0 where both images are equal.
        """
        down, across = (side // CELL for side in valid.shape)
        found = np.full((down, across), np.nan, dtype=np.float32)
        for rows, around_rows in _tiles(down * CELL):
            for columns, around_columns in _tiles(across * CELL):
                window = around_rows, around_columns
                cells = self._cells([first[window], last[window]], valid[window])
                inner = cells[_within(rows, around_rows), _within(columns, around_columns)]
                found[_within(rows), _within(columns)] = inner
        seen = valid[: down * CELL, : across * CELL].reshape(down, CELL, across, CELL).any(axis=(1, 3))
        return np.where(seen, found, np.float32(np.nan))

    @torch.inference_mode()
    def _cells(self, images: Sequence[Pixels], valid: BoolArray) -> NDArray[np.float32]:
        """Returns the distance of two tiles, whose sides are multiples of CELL, per square."""
        stacked = np.stack([np.moveaxis(image, 2, 0) for image in images])
        batch = to_unit_range(torch.from_numpy(stacked).to(self.device), self.bands)
        batch = (batch - self.mean) / self.deviation * torch.from_numpy(valid.copy()).to(self.device)
        encoded = self.module(batch)
        # Vision transformers of a pretraining with decoder dpt return their prefix tokens beside the levels.
        features: Tensor = (encoded[0] if isinstance(encoded, tuple) else encoded)[-1]
        grid = valid.shape[0] // CELL, valid.shape[1] // CELL
        first, last = functional.normalize(functional.adaptive_avg_pool2d(features, grid), dim=1)
        # 1 − cos of unit vectors, which is exactly 0 for equal ones.
        distance: NDArray[np.float32] = ((first - last).square().sum(dim=0) / 2).clamp(0, 2).float().cpu().numpy()
        return distance


def build_encoder(
    score: EmbeddingDistance, *, bands: Bands, pretrained: Pretrained | None, device: torch.device
) -> FeatureEncoder:
    """Returns the encoder of a score with its weights: the same ones every time.

    Args:
        score: names the encoder and its weights.
        bands: of the dataset.
        pretrained: of the pretraining that `score.weights` names; None for other weights, or where it is not there.
        device: where it computes.

    Raises:
        NetworkError: segmentation-models-pytorch does not know the encoder.
        WeightsError: there are no published weights, they could not be downloaded, or the pretraining is not there.
        CheckpointError: the pretraining's file is damaged, or made for other bands.
    """
    mean, deviation = [MEAN] * len(bands), [DEVIATION] * len(bands)
    if score.weights == "random":
        module = _random(score.encoder, bands)
    elif score.weights == "published":
        module, mean, deviation = _published(score.encoder, bands)
    elif pretrained is None:
        raise WeightsError(
            f"weights {score.weights}: no finished pretraining with this key has weights here; take the key of one "
            "that has, or weights published or random"
        )
    else:
        network = build_network(pretrained.network, seed=RANDOM_SEED, bands=len(bands))
        load_weights(pretrained.weights.path, network, sha256=pretrained.weights.sha256)
        module = network.encoder
    shift, scale = (
        torch.tensor(values, dtype=torch.float32, device=device)[:, None, None] for values in (mean, deviation)
    )
    return FeatureEncoder(module.to(device).eval(), bands, mean=shift, deviation=scale, device=device)


def _random(name: str, bands: Bands) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        return _encoder(name, bands, None)


def _encoder(name: str, bands: Bands, weights: str | bool | None) -> nn.Module:
    try:
        module: nn.Module = smp.encoders.get_encoder(name, in_channels=len(bands), depth=5, weights=weights)
    except _UNKNOWN as error:
        raise NetworkError(
            f"segmentation-models-pytorch has no encoder {name!r} with five levels ({_short(error)}). Names from "
            "timm begin with 'tu-', for example tu-resnet18"
        ) from error
    return module


def _published(name: str, bands: Bands) -> tuple[nn.Module, list[float], list[float]]:
    """Returns the encoder, and mean and deviation of each band as its authors had them, in [0, 1]."""
    _random(name, bands)  # an unknown name is told apart from a failed download
    weights, place = _where_published(name)
    try:
        module = smp.encoders.get_encoder(name, in_channels=len(bands), depth=5, weights=weights)
        settings = smp.encoders.get_preprocessing_params(name, **({} if weights is True else {"pretrained": weights}))
    except Exception as error:  # downloads fail in the ways of three libraries
        raise WeightsError(
            f"the published weights of encoder {name!r} could not be loaded: {place} was asked, and neither it nor "
            f"the cache of earlier downloads has answered ({type(error).__name__}: {_short(error)}). Let the worker "
            "reach huggingface.co once, or copy a cache that has them to where HF_HOME points; or take weights random, "
            "or the key of a finished pretraining"
        ) from error
    scale = float(settings["input_range"][1])
    limits = ([value / scale for value in settings[key]] for key in ("mean", "std"))
    mean, deviation = (_per_band(values, len(bands)) for values in limits)
    return module, mean, deviation


def _where_published(name: str) -> tuple[str | bool, str]:
    """Returns what segmentation-models-pytorch calls the weights, and the place they are downloaded from."""
    if name.startswith("tu-"):
        config = smp.encoders.timm.models.get_pretrained_cfg(name.removeprefix("tu-"), allow_unregistered=True)
        if config is None or not config.has_weights:
            raise WeightsError(_none_published(name))
        return True, f"{config.hf_hub_id} on huggingface.co" if config.hf_hub_id else str(config.url)
    known = smp.encoders.encoders.get(name, {}).get("pretrained_settings") or {}
    if not known:
        raise WeightsError(_none_published(name))
    weights = "imagenet" if "imagenet" in known else next(iter(known))
    return weights, f"{known[weights]['repo_id']} on huggingface.co"


def _none_published(name: str) -> str:
    return f"nobody has published weights of encoder {name!r}: take weights random, or another encoder (tu-resnet18)"


def _per_band(values: Sequence[float], bands: int) -> list[float]:
    """Returns the values of RGB for any number of bands: their mean for one, else in turn, as the weights are."""
    if bands == 1:
        return [sum(values) / len(values)]
    return [values[band % len(values)] for band in range(bands)]


def _tiles(length: int) -> Iterator[tuple[slice, slice]]:
    """Yields the pixels of each tile along a side, and those with what is around it; all multiples of CELL."""
    for start in range(0, length, TILE):
        stop = min(start + TILE, length)
        yield slice(start, stop), slice(max(start - MARGIN, 0), min(stop + MARGIN, length))


def _within(pixels: slice, around: slice | None = None) -> slice:
    """Returns the squares that pixels lie in, counted from the beginning of what is around them."""
    start = 0 if around is None else around.start
    return slice((pixels.start - start) // CELL, (pixels.stop - start) // CELL)


def _short(error: Exception, *, limit: int = 200) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
