"""Jobs as a submitted experiment leaves them: pretrainings that are queued, and segmentations that wait for them."""

from sqlalchemy.orm import Session

from backend.database import Database
from backend.datasets.tables import DatasetRow
from backend.jobs import repository
from backend.jobs.tables import JobRow
from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PlannedJob

DATASET = DatasetReference(
    name="scenes", config=SyntheticDataset(train=48, validation=2, test=3), fingerprint="0123456789abcdef" * 4
)


def planned_jobs(
    *, seeds: tuple[int, ...] = (0,), steps: int = 30, checkpoint_every: int = 10, pairs: int = 40
) -> tuple[PlannedJob, ...]:
    """Returns, per seed, a small pretraining and the segmentation that starts from it."""
    protocol = {"steps": 4, "batch_size": 4, "evaluate_every": 2}
    experiment = Experiment.model_validate(
        {
            "name": "small",
            "dataset": DATASET.name,
            "chip_size": 32,
            "labels": {"train_chips": 8},
            "network": {"decoder_channels": 64},
            "pretraining": {
                "steps": steps,
                "batch_size": 4,
                "warmup_steps": 2,
                "checkpoint_every": checkpoint_every,
            },
            "arms": {"same": {"pairing": {"policy": "same_image", "pairs": pairs}}},
            "reference": "same",
            "seeds": seeds,
            "protocols": [{"name": "linear_probe", **protocol}, {"name": "fine_tuning", **protocol}],
        }
    )
    return expand(experiment, DATASET)


def add_jobs(session: Session, planned: tuple[PlannedJob, ...], *, hardware: str = "cpu") -> list[JobRow]:
    """Returns the rows of planned jobs, in their order."""
    if session.get(DatasetRow, DATASET.name) is None:
        config = DATASET.config.model_dump(mode="json")
        session.add(DatasetRow(name=DATASET.name, config=config, fingerprint=DATASET.fingerprint, summary={}))
        session.flush()
    rows: dict[str, JobRow] = {}
    for position, job in enumerate(planned):
        depends_on = None if job.depends_on is None else rows[job.depends_on]
        rows[job.key] = repository.create(
            session, key=job.key, config=job.config, depends_on=depends_on, hardware=hardware, position=position
        )
    return list(rows.values())


def add_files(session: Session) -> DatasetReference:
    """Returns a dataset of files that has just been registered."""
    dataset = DatasetReference(name="files", config=XbdDataset(root="r"), fingerprint="fedcba9876543210" * 4)
    config = dataset.config.model_dump(mode="json")
    session.add(DatasetRow(name=dataset.name, config=config, fingerprint=dataset.fingerprint, summary={}))
    session.flush()
    return dataset


def status_of(database: Database, job_id: str) -> str:
    """Returns a job's state."""
    with database.read() as session:
        return session.get_one(JobRow, job_id).status
