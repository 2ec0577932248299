"""Drawing pairs and previewing arms at the size of all of xBD; there is no image that could be decoded."""

import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from backend.database import Database
from backend.datasets import repository
from backend.datasets.indexing import queue_index_job
from backend.datasets.summary import summarise
from backend.datasets.tables import DatasetRow
from backend.jobs.schemas import JobStatus
from benchmarks.full_xbd import SIDE, TILES, write_full_xbd
from benchmarks.invented_index import invented_index, label_stems
from benchmarks.report import Row
from benchmarks.stack import RunningStack, fresh_stack
from pairlab.experiment.change_scores import Cva
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob, ScoreJob
from pairlab.pairing.cell_scores import ACROSS, CellScores
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.score_file import files_of, write_scores
from pairlab.scenes.index import CELL, DatasetIndex
from pairlab.scenes.index_file import write_index
from pairlab.scenes.indexing import IndexFiles
from pairlab.scenes.scene import Listing
from pairlab.scenes.xbd import open_xbd

NAME = "invented"
FINGERPRINT = "0123456789abcdef" * 4
ROOT = "disasters"
SCORE = Cva()
PAIRS = 1_000_000
LABELLED_TILES = 8
"""Distinct label files that the invented scenes share."""
MEGABYTE = 1e6


def drawing_rows(quick: bool) -> list[Row]:
    """Returns what drawing many pairs takes: seconds, and memory beside the index, each in a fresh process."""
    tiles, pairs, rounds = (200, 10_000, 1) if quick else (TILES, PAIRS, 3)
    found = [_drawn_elsewhere(tiles, pairs) for _ in range(rounds)]
    against = f"{pairs:,} pairs of {found[0]['chips']:,} chips of {tiles:,} scenes"
    seconds = statistics.median(each["seconds"] for each in found)
    memory = max(each["bytes"] for each in found) / MEGABYTE
    return [
        Row("drawing", seconds, "s", against, 5.0, at_least=False),
        Row("memory of drawing", memory, "MB", "peak beside the index, fresh process", 500.0, at_least=False),
    ]


def preview_rows(quick: bool) -> list[Row]:
    """Returns how long previews take through the API of a real stack, each request another one."""
    tiles, requests, ladders = (200, 20, 3) if quick else (TILES, 200, 40)
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-labels-") as folder:
        tree = Path(folder)
        write_full_xbd(tree, tiles=2 if quick else LABELLED_TILES)
        for images in tree.glob("*/images"):
            shutil.rmtree(images)
        with fresh_stack(data_roots={ROOT: tree}) as stack:
            _register(stack, tree, tiles)
            rng = random.Random(0)
            singles = [single_arm(rng, tiles) for _ in range(requests)]
            first = _seconds(stack.client, "/pairing/preview", singles[:1])[0]
            times = _seconds(stack.client, "/pairing/preview", singles)
            several = _seconds(stack.client, "/experiments/preview", [rate_ladder(rng, tiles) for _ in range(ladders)])
    scenes = f"{tiles:,} scenes, "
    return [
        Row("first preview after a start", first, "s", f"{tiles:,} scenes", None),
        Row("preview p95", _p95(times), "s", f"{scenes}{requests} different requests", 1.0, at_least=False),
        Row("preview of 5 arms p95", _p95(several), "s", f"{scenes}{ladders} ladders", 1.0, at_least=False),
    ]


def single_arm(rng: random.Random, tiles: int) -> dict[str, Any]:
    """Returns a request as a slider of the Design screen would send it, with any knob turned."""
    most = max(8, 2 * tiles)
    pairs = rng.randint(most // 4, most)
    kind = rng.choice(("same image", "as it is", "rate", "rate", "rate", "mismatch", "oracle", "change score"))
    noise: dict[str, Any] = {"shift_px": rng.choice((0.0, 2.0, round(rng.uniform(0, 8), 2)))}
    pairing: dict[str, Any] = {"policy": "temporal", "pairs": pairs, "noise": noise}
    if kind == "same image":
        pairing = {"policy": "same_image", "pairs": 10 * pairs}
    elif kind == "rate":
        low = round(rng.uniform(0, 0.3), 2)
        noise |= {"rate": round(rng.random(), 2), "extent": [low, 1.0]}
        noise["control"] = rng.choice(("masked", "masked", "same_acquisition", "replace"))
        pairing["pairs"] = max(8, pairs // 4)
    elif kind == "mismatch":
        source = rng.choice(("same_event", "other_event", "similar"))
        noise |= {"mismatch_rate": round(rng.uniform(0, 0.5), 2), "mismatch_from": source}
    elif kind == "oracle":
        pairing["filter"] = "oracle"
    elif kind == "change score":
        quantile = round(rng.uniform(0.3, 1.0), 2)
        pairing["filter"] = {"by": "change_score", "score": SCORE.model_dump(), "quantile": quantile}
    return {"dataset": NAME, "pairing": pairing, "seed": rng.randint(0, 4), "first": rng.randint(0, 20)}


def rate_ladder(rng: random.Random, tiles: int) -> dict[str, Any]:
    """Returns a request for the arms of a noise-rate ladder."""
    pairs = rng.randint(max(8, tiles // 8), max(8, tiles // 2))
    rates = sorted(rng.sample(range(101), 5))
    arms = {
        f"rate {rate}": {"pairing": {"policy": "temporal", "pairs": pairs, "noise": {"rate": rate / 100}}}
        for rate in rates
    }
    experiment = {"name": "ladder", "dataset": NAME, "arms": arms, "reference": f"rate {rates[0]}"}
    return {"experiment": experiment, "seed": rng.randint(0, 4)}


def _register(stack: RunningStack, tree: Path, tiles: int) -> None:
    """Writes the dataset, its finished index job and its index as the stack itself leaves them."""
    index = invented_index(tiles, labels=label_stems(tree))
    config = XbdDataset(root=ROOT)
    reference = DatasetReference(name=NAME, config=config, fingerprint=FINGERPRINT)
    write_index(index, IndexFiles(stack.home / "index", FINGERPRINT).index)
    score = ScoreJob(dataset=reference, score=SCORE)
    write_scores(_invented_scores(index), files_of(score, stack.home / "index").path)
    source = open_xbd(tree, damage_from=config.damage_from, scenes=index.table.scenes)
    summary = summarise(config, source, Listing(scenes=index.table.scenes))
    database = Database(f"sqlite:///{stack.home / 'pairlab.db'}")
    with database.write() as session:
        row = DatasetRow(
            name=NAME, config=config.model_dump(mode="json"), fingerprint=FINGERPRINT, summary=summary.model_dump()
        )
        repository.add(session, row)
        queue_index_job(session, reference, hardware="cpu").status = JobStatus.SUCCEEDED
    database.close()


def _invented_scores(index: DatasetIndex) -> CellScores:
    scenes = index.table.scenes
    squares = index.cells.shape[1]
    return CellScores(
        scenes=tuple(scene.name for scene in scenes),
        cells=np.full((len(scenes), 2), SIDE // CELL, dtype=np.int32),
        variants=(ACROSS,),
        values=np.random.default_rng(0).gamma(2.0, 1.0, (1, squares)).astype(np.float32),
        seconds=1.0,
    )


def _seconds(client: httpx.Client, path: str, bodies: list[dict[str, Any]]) -> list[float]:
    times = []
    for body in bodies:
        began = time.perf_counter()
        answer = client.post(path, json=body)
        times.append(time.perf_counter() - began)
        if answer.status_code != httpx.codes.OK:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:500]}\n{json.dumps(body)}")
        for arm in answer.json().get("arms", ()):
            if arm["problem"] is not None:
                raise SystemExit(f"{path}: arm {arm['arm']!r} was refused: {arm['problem']}")
    return times


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def _drawn_elsewhere(tiles: int, pairs: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.pairing_preview", str(tiles), str(pairs)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def _draw_here(tiles: int, pairs: int) -> dict[str, float]:
    """Returns the chips there are, the seconds that drawing took, and how much more memory than before it took."""
    chips = invented_index(tiles).chips(64)
    noise = {"mismatch_rate": 0.1, "shift_px": 2.0}
    experiment = Experiment.model_validate(
        {
            "name": "drawing",
            "dataset": NAME,
            "arms": {"many": {"pairing": {"policy": "temporal", "pairs": pairs, "noise": noise}}},
            "reference": "many",
            "seeds": [0],
        }
    )
    dataset = DatasetReference(name=NAME, config=XbdDataset(root=ROOT), fingerprint=FINGERPRINT)
    config = next(job.config for job in expand(experiment, dataset) if isinstance(job.config, PretrainJob))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory("VmRSS")
    began = time.perf_counter()
    drawn = pairs_of(config, chips)
    seconds = time.perf_counter() - began
    assert len(drawn) == pairs
    return {"chips": len(chips), "seconds": seconds, "bytes": _memory("VmHWM") - before}


def _memory(name: str) -> int:
    """Returns a figure of this process's memory, bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_draw_here(*map(int, sys.argv[1:3]))))
