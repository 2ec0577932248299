"""How long an experiment will take, from speeds measured on this installation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from backend.jobs.tables import JobRow
from pairlab.experiment.jobs import PlannedJob, PretrainJob, ScoreJob, SegmentJob

_SHAPES = ("_dim", "_size", "_stride", "_parts", "_per_pair", "_matches")
"""How the fields of a method end that say how much it computes."""
_ENGINE = {"parts": 1, "precision": "auto", "compile": "auto"}
Likeness = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Measured:
    """Finished jobs, newest first, whose speed tells that of others."""

    pretrained: Sequence[JobRow] = ()
    segmented: Sequence[JobRow] = ()
    scored: Sequence[JobRow] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds until everything is done, or None, and in words why."""

    seconds: float | None
    basis: str


class _UnknownSpeedError(Exception):
    """Nothing of the kind has finished yet; the message is the sentence."""


def estimate(
    jobs: Iterable[PlannedJob],
    *,
    measured: Measured,
    slots: int | None,
    scenes: Mapping[str, int],
    shared: int = 0,
) -> Estimate:
    """Returns the time the jobs will take.

    Args:
        jobs: those that still have to run.
        measured: of pretrainings, those of the same network, method (with its widths and grid), parts, precision and
            chip size count alone where there are any; of segmentations, those of the same network, chip size and
            protocols; of change scores, those of the same score.
        slots: jobs that run at once; None where that is not known.
        scenes: per dataset, how many it has.
        shared: pretrainings that are saved because arms or earlier experiments share them.
    """
    configs = sorted((job.config for job in jobs), key=lambda config: config.kind)
    sharing = [f"{_counted(shared, 'pretraining')} saved by sharing"] if shared else []
    if not configs:
        return Estimate(0.0, ", ".join(["every job's result exists and is taken over", *sharing]))
    seconds, sentences = 0.0, dict[str, None]()
    try:
        for config in configs:
            each, sentence = _seconds(config, measured, scenes)
            seconds += each
            sentences[sentence] = None
    except _UnknownSpeedError as error:
        return Estimate(None, ", ".join([str(error), *sharing]))
    at_once = max(1, min(slots or 1, len(configs)))
    in_turn = f"{at_once} at a time" if slots else "as if they ran one after another"
    return Estimate(seconds / at_once, ", ".join([*sentences, in_turn, *sharing]))


def _seconds(
    config: PretrainJob | SegmentJob | ScoreJob, measured: Measured, scenes: Mapping[str, int]
) -> tuple[float, str]:
    """Returns what a job will take, and where that is known from."""
    if isinstance(config, PretrainJob):
        return _pretrain_seconds(config, [row for row in measured.pretrained if "pairs_per_s" in row.results])
    if isinstance(config, SegmentJob):
        return _segment_seconds(config, [row for row in measured.segmented if row.results.get("protocols")])
    return _score_seconds(config, [row for row in measured.scored if row.results.get("seconds")], scenes)


def _pretrain_seconds(config: PretrainJob, finished: Sequence[JobRow]) -> tuple[float, str]:
    if not finished:
        raise _UnknownSpeedError("no pretraining has finished here yet, so its speed is not known")
    rows, same = _alike(config.model_dump(mode="json"), finished, lambda each: (_network(each), _method(each)))
    speed = median(max(float(row.results["pairs_per_s"]), 1e-6) for row in rows)
    sentence = f"median speed of {_counted(len(rows), 'pretraining')} {same}: {speed:,.0f} pairs/s"
    return config.pretraining.steps * config.pretraining.batch_size / speed, sentence


def _segment_seconds(config: SegmentJob, finished: Sequence[JobRow]) -> tuple[float, str]:
    if not finished:
        raise _UnknownSpeedError("no segmentation has finished here yet, so its speed is not known")
    rows, same = _alike(config.model_dump(mode="json"), finished, lambda each: (_network(each), each["protocols"]))
    seconds = median(sum(each["seconds"] for each in row.results["protocols"].values()) for row in rows)
    return seconds, f"median of {_counted(len(rows), 'segmentation')} {same}: {seconds:,.0f} s"


def _score_seconds(config: ScoreJob, finished: Sequence[JobRow], scenes: Mapping[str, int]) -> tuple[float, str]:
    name = config.score.name
    rows = [row for row in finished if row.config["score"] == config.score.model_dump(mode="json")]
    if not rows:
        raise _UnknownSpeedError(
            f"no change score {name} of these settings has been computed here yet, so its speed is not known"
        )
    speed = median(row.results["scenes"] / max(float(row.results["seconds"]), 1e-6) for row in rows)
    sentence = f"median speed of {_counted(len(rows), 'change score')} {name}: {speed:,.1f} scenes/s"
    return scenes[config.dataset.name] / speed, sentence


def _alike(config: dict[str, Any], rows: Sequence[JobRow], likeness: Likeness) -> tuple[Sequence[JobRow], str]:
    alike = [row for row in rows if likeness(row.config) == likeness(config)]
    return (alike, "of this kind") if alike else (rows, "of other networks, methods or sizes")


def _network(config: dict[str, Any]) -> object:
    return config["network"], config["chip_size"]


def _method(config: dict[str, Any]) -> object:
    """Returns what a pretraining's speed depends on, besides its network: what changes no shape costs nothing."""
    method, training = config["method"], config["pretraining"]
    shapes = {name: value for name, value in method.items() if name.endswith(_SHAPES)}
    engine = tuple(training.get(name, default) for name, default in _ENGINE.items())
    return method["name"], method.get("matching", "geometric"), method.get("change_weight") is None, shapes, engine


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
