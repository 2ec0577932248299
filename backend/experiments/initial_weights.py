"""The weights that an experiment starts from: files are pinned by their content, earlier jobs must be there."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from backend.context import Context
from backend.datasets.sources import FileVersion
from backend.errors import InvalidError
from backend.jobs import repository
from backend.jobs.schemas import JobStatus
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.initial import FileWeights, JobWeights
from pairlab.experiment.jobs import PlannedJob, PretrainJob, SegmentJob, score_job


def pinned_files(context: Context, experiment: Experiment) -> dict[FileWeights, str]:
    """Returns the SHA-256 of each file that an arm starts from; one that has not changed is read once.

    Raises:
        InvalidError: a data root or file is not there.
    """
    asked = {experiment.initial_of(arm) for arm in experiment.arms.values()}
    return {weights: _hash(context, weights) for weights in asked if isinstance(weights, FileWeights)}


def unfit_jobs(context: Context, jobs: Sequence[PlannedJob]) -> list[str]:
    """Returns a sentence for each earlier pretraining that jobs cannot start from."""
    problems = []
    for job in jobs:
        if not isinstance(job.config, PretrainJob | SegmentJob) or not isinstance(job.config.initial, JobWeights):
            continue
        problems += _why_unfit(context, job.config, job.config.initial)
    return list(dict.fromkeys(problems))


def _why_unfit(context: Context, config: PretrainJob | SegmentJob, initial: JobWeights) -> list[str]:
    with context.database.read() as session:
        found = repository.find_live(session, [initial.key]).get(initial.key)
    if found is None or found.kind != "pretrain":
        return [
            f"initial.key: no pretraining here has the key {initial.key}, or it failed or was cancelled: its job names "
            "it on the Jobs screen and in `pairlab jobs --json`"
        ]
    theirs, mine = found.config["network"], config.network.model_dump(mode="json")
    parts = ["encoder"] if initial.part == "encoder" else list(mine)
    differing = [f"{part} {theirs[part]!r} instead of {mine[part]!r}" for part in parts if theirs[part] != mine[part]]
    if differing:
        return [
            f"initial.key: the pretraining {initial.key[:8]} has another network ({', '.join(differing)}): take its "
            "network, or only its encoder (initial.part: encoder)"
        ]
    waits = isinstance(config, PretrainJob) and score_job(config) is not None
    if waits and found.status != JobStatus.SUCCEEDED:
        return [
            f"initial.key: the pretraining {initial.key[:8]} is {found.status}, and arms that filter by a change score "
            "wait for that alone: submit again when it has finished"
        ]
    return []


def _hash(context: Context, weights: FileWeights) -> str:
    root = context.settings.data_roots.get(weights.root)
    if root is None:
        known = ", ".join(sorted(context.settings.data_roots)) or "none"
        raise _invalid(f"no data root {weights.root!r} (known: {known}); start PairLab with it (`--data-root`)")
    path = (root / weights.path).resolve()
    if not path.is_relative_to(root.resolve()):
        raise _invalid(f"{weights.path!r} leads out of data root {weights.root!r}: name a file inside it")
    try:
        found = path.stat()
        version = FileVersion(path, found.st_mtime_ns, found.st_size)
        return context.weight_hashes.get(version, lambda: _read_hash(path))
    except OSError as error:
        raise _invalid(
            f"{weights.path!r} in data root {weights.root!r} cannot be read ({error.strerror}): name a file below it"
        ) from error


def _read_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _invalid(why: str) -> InvalidError:
    sentence = f"initial: {why}"
    return InvalidError(sentence, problems=[sentence])
