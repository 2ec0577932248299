"""The jobs that an experiment needs: queued once, whoever else needs them."""

from collections.abc import Collection, Iterable

from sqlalchemy.orm import Session

from backend.datasets import repository as datasets
from backend.errors import InvalidError
from backend.experiments import repository
from backend.experiments.planning import Plan
from backend.jobs import repository as jobs_repository
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow


def check_datasets(session: Session, plan: Plan) -> None:
    """Raises InvalidError where a dataset is no longer the one that was planned with."""
    for pinned in plan.datasets:
        found = datasets.find(session, pinned.name)
        if found is None or found.fingerprint != pinned.fingerprint:
            sentence = f"dataset: {pinned.name!r} was deleted or registered anew in the meantime; try again"
            raise InvalidError(sentence, problems=[sentence])


def queue_jobs(
    session: Session, experiment_id: str, plan: Plan, *, hardware: str, seeds: Collection[int] | None = None
) -> None:
    """Queues the jobs of a plan that are neither done nor under way, and notes that the experiment needs all of them.

    Args:
        session: of a write transaction.
        experiment_id: of the experiment.
        plan: its jobs.
        hardware: the queue.
        seeds: only jobs that these seeds need; None is all.

    Raises:
        InvalidError: a pretraining of another experiment, which one starts from, ended without a result.
    """
    wanted = [
        (position, job, uses)
        for position, job in enumerate(plan.jobs)
        if (uses := [use for use in job.uses if seeds is None or use[1] in seeds])
    ]
    planned = {job.key for _, job, _ in wanted}
    awaited = {job.depends_on for _, job, _ in wanted if job.depends_on is not None}
    jobs = jobs_repository.find_live(session, planned | awaited)
    if gone := awaited - jobs.keys() - planned:
        sentence = f"initial.key: the pretraining {min(gone)} failed or was cancelled in the meantime"
        raise InvalidError(sentence, problems=[sentence])
    keep_running(session, jobs.values())
    for key in plan.missing_scores & jobs.keys():
        if jobs[key].status == JobStatus.SUCCEEDED:  # and what it made is gone
            jobs[key] = jobs_repository.repeat(session, jobs[key].id)
    for position, job, uses in wanted:
        if job.key not in jobs:
            jobs[job.key] = jobs_repository.create(
                session,
                key=job.key,
                config=job.config,
                depends_on=None if job.depends_on is None else jobs[job.depends_on],
                hardware=hardware,
                position=position,
            )
        repository.need(session, experiment_id, jobs[job.key].id, uses=uses, position=position)


def keep_running(session: Session, jobs: Iterable[JobRow]) -> None:
    """Takes back the wish to cancel jobs that are needed again."""
    for job in jobs:
        if job.requested == "cancel":
            jobs_repository.withdraw_request(session, job.id)
