"""A bootstrap over seeds and test scenes, asked for by itself: it reads a file of every segmentation."""

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from backend.artifacts import repository as artifacts
from backend.artifacts.service import path_of
from backend.context import Context
from backend.datasets.service import find as find_dataset
from backend.experiments.results import results_of
from backend.experiments.schemas import ResultsRead
from backend.experiments.service import find
from backend.experiments.verdict_schemas import BootstrapInterval, BootstrapRead, VerdictRead
from pairlab.experiment.experiment import Experiment
from pairlab.verdict.companions import bootstrap_interval
from pairlab.verdict.endpoints import state_classes

DRAWS = 1000
ALPHA = 0.05

SceneCounts = Mapping[str, Any]


def bootstrap_of(context: Context, experiment_id: str) -> list[BootstrapRead]:
    """Returns percentile intervals of every arm that gets a verdict, of the seeds that its verdict is read from."""
    results = results_of(context, experiment_id)
    with context.database.read() as session:
        row = find(session, experiment_id)
        experiment = Experiment.model_validate(row.spec)
    fixed = find_dataset(context, experiment.dataset).row.config["kind"] != "synthetic"
    primary = [each for each in results.rows if each.protocol == results.primary_protocol]
    jobs = {(each.arm, score.seed): score.job for each in primary for score in each.seeds}
    return [_of_arm(context, experiment, results, verdict, jobs, fixed=fixed) for verdict in results.verdicts]


def _of_arm(
    context: Context,
    experiment: Experiment,
    results: ResultsRead,
    verdict: VerdictRead,
    jobs: Mapping[tuple[str, int], str],
    *,
    fixed: bool,
) -> BootstrapRead:
    arms = (verdict.arm, experiment.reference)
    seeds = [seed for seed in experiment.seeds if all((arm, seed) in jobs for arm in arms)]
    seeds = seeds[: verdict.look or verdict.seeds]
    if len(seeds) < 2:
        return _none(verdict.arm, seeds, "it needs two seeds")
    known: dict[tuple[str, int], SceneCounts] = {}
    for use in product(arms, seeds):
        counts = _counts(context, jobs[use], results.primary_protocol)
        if counts is None:
            return _none(verdict.arm, seeds, "the counts of a segmentation are no longer in the artifacts folder")
        known[use] = counts
    scenes = sorted(set.intersection(*(set(counts) for counts in known.values())))
    if not scenes:
        return _none(verdict.arm, seeds, "its segmentations have no test scene in common")
    mine, theirs = (
        np.array([[known[arm, seed][scene] for scene in scenes] for seed in seeds], dtype=np.int64) for arm in arms
    )
    names = state_classes(experiment.labels.scheme, results.classes)
    found = bootstrap_interval(
        mine,
        theirs,
        [results.classes.index(name) for name in names],
        alpha=ALPHA,
        draws=DRAWS,
        rng=np.random.default_rng(0),
        same_scenes=fixed,
    )
    titles = [endpoint.title for endpoint in verdict.endpoints]
    intervals = [
        BootstrapInterval(title=title, low=low, high=high)
        for title, (low, high) in zip(titles, found.tolist(), strict=True)
    ]
    return BootstrapRead(arm=verdict.arm, seeds=len(seeds), scenes=len(scenes), intervals=intervals, reason=None)


def _none(arm: str, seeds: list[int], reason: str) -> BootstrapRead:
    return BootstrapRead(arm=arm, seeds=len(seeds), scenes=0, intervals=[], reason=reason)


def _counts(context: Context, job: str, protocol: str) -> SceneCounts | None:
    """Returns confusion counts by test scene of a segmentation, or None where its file is gone."""
    with context.database.read() as session:
        rows = artifacts.of_job(session, job, kind="results")
    path = path_of(context.settings, rows[-1]) if rows else None
    return None if path is None else _read(path, protocol)


@lru_cache(maxsize=256)
def _read(path: Path, protocol: str) -> SceneCounts | None:
    """Returns what a results file says; a job's file is never written again."""
    counts: SceneCounts | None = json.loads(path.read_bytes()).get("test_scene_counts", {}).get(protocol)
    return counts
