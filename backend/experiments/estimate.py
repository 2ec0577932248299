"""How long an experiment will take, from speeds measured on this installation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from backend.jobs.tables import JobRow
from pairlab.experiment.expansion import PlannedJob, PretrainJob, SegmentJob

Likeness = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds until everything is done, or None, and in words why."""

    seconds: float | None
    basis: str


def estimate(
    jobs: Iterable[PlannedJob], *, pretrained: Sequence[JobRow], segmented: Sequence[JobRow], slots: int | None
) -> Estimate:
    """Returns the time the jobs will take.

    Args:
        jobs: those that still have to run.
        pretrained: finished pretrain jobs, newest first; those of the same network, method and chip size count alone
            where there are any.
        segmented: finished segment jobs; those of the same network, chip size and protocols alone where there are any.
        slots: jobs that run at once; None where that is not known.
    """
    configs = [job.config for job in jobs]
    pretrained = [row for row in pretrained if "pairs_per_s" in row.results]
    segmented = [row for row in segmented if row.results.get("protocols")]
    pretrain = [config for config in configs if isinstance(config, PretrainJob)]
    segment = [config for config in configs if isinstance(config, SegmentJob)]
    if not configs:
        return Estimate(0.0, "every job's result exists and is taken over")
    if pretrain and not pretrained:
        return Estimate(None, "no pretraining has finished here yet, so its speed is not known")
    if segment and not segmented:
        return Estimate(None, "no segmentation has finished here yet, so its speed is not known")
    seconds, sentences = 0.0, []
    if pretrain:
        speed, sentence = _pairs_per_second(pretrain[0], pretrained)
        seconds += sum(config.pretraining.steps * config.pretraining.batch_size for config in pretrain) / speed
        sentences.append(sentence)
    if segment:
        each, sentence = _segment_seconds(segment[0], segmented)
        seconds += each * len(segment)
        sentences.append(sentence)
    at_once = max(1, min(slots or 1, len(configs)))
    sentences.append(f"{at_once} at a time" if slots else "as if they ran one after another")
    return Estimate(seconds / at_once, ", ".join(sentences))


def _pairs_per_second(config: PretrainJob, finished: Sequence[JobRow]) -> tuple[float, str]:
    rows, same = _alike(config.model_dump(mode="json"), finished, lambda each: (_network(each), each["method"]["name"]))
    speed = median(max(float(row.results["pairs_per_s"]), 1e-6) for row in rows)
    return speed, f"median speed of {_counted(len(rows), 'pretraining')} {same}: {speed:,.0f} pairs/s"


def _segment_seconds(config: SegmentJob, finished: Sequence[JobRow]) -> tuple[float, str]:
    rows, same = _alike(config.model_dump(mode="json"), finished, lambda each: (_network(each), each["protocols"]))
    seconds = median(sum(each["seconds"] for each in row.results["protocols"].values()) for row in rows)
    return seconds, f"median of {_counted(len(rows), 'segmentation')} {same}: {seconds:,.0f} s"


def _alike(config: dict[str, Any], rows: Sequence[JobRow], likeness: Likeness) -> tuple[Sequence[JobRow], str]:
    alike = [row for row in rows if likeness(row.config) == likeness(config)]
    return (alike, "of this kind") if alike else (rows, "of other networks or sizes")


def _network(config: dict[str, Any]) -> object:
    return config["network"], config["chip_size"]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
