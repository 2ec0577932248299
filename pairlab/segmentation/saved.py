"""What a segmentation leaves on disk: predictions, how sure they are, and results."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import cv2

from pairlab.events import Saved
from pairlab.scenes.scene import UInt8Array
from pairlab.segmentation.evaluation import SplitScores


def save_predictions(
    scores: SplitScores, folder: Path, *, protocol: str, acquisition: str, step: int, final: bool
) -> Iterator[Saved]:
    """Yields the predictions that were kept, written as class-index PNGs `predictions/{protocol}/{step}/{scene}.png`.

    Beside each final one lies its uncertainty, `uncertainty/{protocol}/{step}/{scene}.png`: 8-bit grey, the entropy of
    the class probabilities, 255 where all classes are as probable.
    """
    for shown in scores.shown:
        details: dict[str, Any] = {
            "scene": shown.scene.name,
            "split": scores.split,
            "protocol": protocol,
            "acquisition": acquisition,
            "final": final,
        }
        place = Path(protocol, f"{step:08d}", f"{shown.scene.name}.png")
        with_iou = details | {"iou": shown.iou}
        yield _save_image("prediction", shown.prediction, folder / "predictions" / place, step=step, details=with_iou)
        if final:
            yield _save_image(
                "uncertainty", shown.uncertainty, folder / "uncertainty" / place, step=step, details=details
            )


def save_results(folder: Path, step: int, results: Mapping[str, Any]) -> Saved:
    """Writes the results beside the predictions."""
    content = json.dumps(results).encode()
    path = folder / "results.json"
    path.write_bytes(content)
    return Saved(kind="results", step=step, path=path, sha256=sha256(content).hexdigest(), details={})


def _save_image(
    kind: Literal["prediction", "uncertainty"], image: UInt8Array, path: Path, *, step: int, details: Mapping[str, Any]
) -> Saved:
    _, encoded = cv2.imencode(".png", image)
    content = encoded.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Saved(kind=kind, step=step, path=path, sha256=sha256(content).hexdigest(), details=details)
