"""Metrics: counting beside torchmetrics, contours beside distance maps, sliding windows beside whole tiles.

Times are those of the processor, on one thread: what other programs take of the machine is not in them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_confusion_matrix

from benchmarks.report import Row, run
from pairlab.experiment.evaluation import Evaluation
from pairlab.experiment.network import Network
from pairlab.metrics import BINS, boundary_counts, calibration_counts, calibration_from_counts, confusion_counts
from pairlab.networks import LinearHead, build_network, joined
from pairlab.scenes.scene import Pixels
from pairlab.segmentation.inference import predict_by_windows, window_starts

CLASSES = 5
TOLERANCE = 3
AT_LEAST = 10.0
"""How many times faster than torchmetrics confusion counts have to be."""
Masks = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    tiles: int
    side: int
    window: int
    rounds: int


FULL = Size(tiles=8, side=1024, window=512, rounds=7)
QUICK = Size(tiles=2, side=128, window=64, rounds=1)


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    size = QUICK if quick else FULL
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        return [*_counting(size), *_boundaries(size), *_calibration(size), *_windows(size)]
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(-1)


def masks(tiles: int, side: int) -> Masks:
    """Returns predictions and labels, uint8 (tiles, side, side): squares of five classes, moved, some unlabelled."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(CLASSES, size=(tiles, side // 16, side // 16), dtype=np.uint8)
    target = blocks.repeat(16, axis=1).repeat(16, axis=2)
    preds = np.roll(target, 2, axis=2)
    preds[rng.random(preds.shape) < 0.01] = 3
    target[:, : side // 8, : side // 8] = 255
    return preds, target


def _counting(size: Size) -> list[Row]:
    rows = []
    for tiles, side, dtype in (
        (size.tiles, size.side, torch.uint8),
        (size.tiles, size.side, torch.int64),
        (1, 64, torch.uint8),
    ):
        preds, target = masks(tiles, side)
        tensors = (torch.from_numpy(preds).to(dtype), torch.from_numpy(target).to(dtype))

        def ours(given: tuple[Tensor, Tensor] = tensors) -> NDArray[np.int64]:
            return confusion_counts(given[0].numpy(), given[1].numpy(), num_classes=CLASSES)

        def theirs(given: tuple[Tensor, Tensor] = tensors, *, checked: bool = True) -> Tensor:
            counts: Tensor = multiclass_confusion_matrix(
                *given, num_classes=CLASSES, ignore_index=255, validate_args=checked
            )
            return counts

        if not np.array_equal(ours(), theirs().numpy()):
            raise SystemExit(f"counts of {dtype} tensors differ from torchmetrics'")
        kind = str(dtype).removeprefix("torch.")
        name = f"{kind}_64" if side == 64 else kind
        shape = f"{tiles} × {side}² {kind}"
        faster, seconds = _times_faster(theirs, ours, size.rounds)
        unchecked, _ = _times_faster(lambda: theirs(checked=False), ours, size.rounds)
        against = f"torchmetrics' confusion matrix; {shape}, {1000 * seconds:.2g} ms"
        rows += [
            Row(f"counting_{name}", faster, "x", against, AT_LEAST if side == size.side else None),
            Row(f"counting_{name}_unchecked", unchecked, "x", "the same with validate_args=False", None),
        ]
    return rows


def boundary_by_distance_maps(preds: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Returns boundary counts the plain way: each class eroded for its contour, and the distance to the other one."""
    cross = ndimage.generate_binary_structure(2, 1)
    counts = np.zeros((CLASSES, 4), dtype=np.int64)
    for number in range(CLASSES):
        contours = []
        for side in (preds, target):
            inside = side == number
            contours.append(inside & ~ndimage.binary_erosion(inside, cross, border_value=1))
        for column, (mine, other) in enumerate((contours, contours[::-1])):
            distance = ndimage.distance_transform_edt(~other) if other.any() else np.full(other.shape, np.inf)
            counts[number, 2 * column : 2 * column + 2] = (mine & (distance <= TOLERANCE)).sum(), mine.sum()
    return counts


def _boundaries(size: Size) -> list[Row]:
    preds, target = (side[0] for side in masks(1, size.side))
    target = np.where(target == 255, 0, target).astype(np.uint8)  # distance maps know nothing of unlabelled ground

    def ours() -> NDArray[np.int64]:
        return boundary_counts(preds, target, num_classes=CLASSES, tolerance=TOLERANCE)

    def theirs() -> NDArray[np.int64]:
        return boundary_by_distance_maps(preds, target)

    if not np.array_equal(ours(), theirs()):
        raise SystemExit("boundary counts differ from those of distance maps")
    faster, seconds = _times_faster(theirs, ours, size.rounds)
    against = f"scipy's erosion and distance maps; {size.side}², {CLASSES} classes, {1000 * seconds:.1f} ms"
    return [Row("boundary", faster, "x", against, None)]


def _calibration(size: Size) -> list[Row]:
    _, target = (side[0] for side in masks(1, size.side))
    scores = torch.randn(CLASSES, size.side, size.side, generator=torch.Generator().manual_seed(0))
    probabilities = scores.softmax(dim=0)
    preds = probabilities.argmax(dim=0).byte().numpy()
    labels = torch.from_numpy(target).long()[None]

    def ours() -> NDArray[np.int64]:
        return calibration_counts(probabilities.numpy(), preds, target)

    def theirs() -> Tensor:
        error: Tensor = multiclass_calibration_error(
            probabilities[None], labels, num_classes=CLASSES, n_bins=BINS, ignore_index=255
        )
        return error

    if abs(calibration_from_counts(ours()).ece - float(theirs())) > 1e-5:
        raise SystemExit("the calibration error differs from torchmetrics'")
    faster, seconds = _times_faster(theirs, ours, size.rounds)
    against = f"torchmetrics' calibration error; {size.side}², {CLASSES} classes, {1000 * seconds:.1f} ms"
    return [Row("calibration", faster, "x", against, None)]


def _windows(size: Size) -> list[Row]:
    """Returns what a tile takes by windows, as a share of what it takes at once."""
    network = build_network(Network(), seed=0).eval()
    head = LinearHead(network.channels, CLASSES).eval()
    tile = np.random.default_rng(0).integers(256, size=(1, size.side, size.side, 3), dtype=np.uint8)
    evaluation = Evaluation(window=size.window)

    @torch.inference_mode()
    def logits(images: Pixels) -> Tensor:
        fed = torch.from_numpy(images[:, 0]).permute(0, 3, 1, 2) / 255
        found: Tensor = head(joined([network(fed)]), size=images.shape[2:4])
        return found

    def whole() -> NDArray[np.float32]:
        return logits(tile[None])[0].softmax(dim=0).numpy()

    def by_windows() -> NDArray[np.float32]:
        return predict_by_windows(tile, logits, evaluation).probabilities

    starts = window_starts(size.side, size.window, evaluation.overlap)
    slower, _ = _times_faster(by_windows, whole, max(1, size.rounds // 2))
    memory = peak_bytes(by_windows) / peak_bytes(whole)
    pixels = (len(starts) * size.window / size.side) ** 2
    against = f"{size.side}² at once; {len(starts)}² windows of {size.window}² hold {pixels:.2f} times its pixels"
    return [
        Row("window_time", slower, "x", against, None, at_least=False),
        Row("window_peak_memory", memory, "share", against, None, at_least=False),
    ]


def _times_faster(slow: Callable[[], object], fast: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Returns how many times faster one is than the other, side by side, and the seconds it takes; medians."""
    slow(), fast()
    times = [(_seconds(slow), _seconds(fast)) for _ in range(rounds)]
    return median(one / other for one, other in times), median(other for _, other in times)


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def peak_bytes(work: Callable[[], object]) -> int:
    """Returns the most that torch's tensors took at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        work()
    assert recorded.profiler is not None
    events = [each for each in recorded.profiler.kineto_results.events() if each.name() == "[memory]"]
    taken = most = 0
    for each in sorted(events, key=lambda event: event.start_ns()):
        taken += each.nbytes()
        most = max(most, taken)
    return most


if __name__ == "__main__":
    run("metrics", measure)
