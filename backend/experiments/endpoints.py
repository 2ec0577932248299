from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response, status

from backend.context import CurrentContext
from backend.cursor import CursorQuery
from backend.datasets.preview_schemas import ExperimentPreview
from backend.datasets.schemas import Page
from backend.experiments import bootstrap, examples, extension, preview, results, service
from backend.experiments.schemas import (
    ExampleRead,
    ExperimentDetail,
    ExperimentPreviewRequest,
    ExperimentRead,
    ExperimentSubmit,
    PlanRead,
    ResultsRead,
)
from backend.experiments.verdict_schemas import BootstrapRead, ExtendRequest, ExtensionRead
from backend.urls import experiment_url
from pairlab.experiment.experiment import Experiment

router = APIRouter(prefix="/experiments", tags=["experiments"])

ExperimentPath = Annotated[str, Path(description="Id of an experiment.", examples=["0b0f7a3c9c0d4d5c8f2f3a0f6f1c2d3e"])]


@router.get("/schema", summary="JSON Schema of an experiment")
def get_schema() -> dict[str, Any]:
    """Returns the schema of the model that form, YAML, REST, command line and trainer share."""
    return Experiment.model_json_schema()


@router.get("/examples", summary="Experiment files that come with PairLab")
def list_examples() -> list[ExampleRead]:
    """Returns ready experiment files, the quickstart first."""
    return examples.list_examples()


@router.post("/validate", summary="What would an experiment run?")
def validate_experiment(context: CurrentContext, request: ExperimentSubmit) -> PlanRead:
    """Checks an experiment against its dataset; returns jobs, realised noise and an estimate, and queues nothing."""
    return service.validate(context, request)


@router.post("/preview", tags=["pairing"], summary="Preview the pairs of all arms")
def preview_experiment(context: CurrentContext, request: ExperimentPreviewRequest) -> ExperimentPreview:
    """Draws the pairs of every pretrained arm, and shows those at the same places of the list that the arms share."""
    return preview.preview_arms(context, request)


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Submit an experiment")
def submit_experiment(
    context: CurrentContext,
    request: ExperimentSubmit,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="Any text of your own; a repeated request with it runs once."),
    ] = None,
) -> ExperimentRead:
    """Queues an experiment's jobs. Equal pretrainings run once, and results that exist are taken over."""
    experiment = service.submit(context, request, idempotency_key=idempotency_key)
    response.headers["Location"] = experiment_url(experiment.id)
    return experiment


@router.get("", summary="Experiments, newest first")
def list_experiments(
    context: CurrentContext, cursor: CursorQuery = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Page[ExperimentRead]:
    """Lists experiments with the states of their jobs."""
    return service.list_experiments(context, cursor=cursor, limit=limit)


@router.get("/{experiment}", summary="One experiment")
def get_experiment(context: CurrentContext, experiment: ExperimentPath) -> ExperimentDetail:
    """Returns an experiment with its file and its jobs."""
    return service.get(context, experiment)


@router.get("/{experiment}/results", summary="What an experiment has found")
def get_results(context: CurrentContext, experiment: ExperimentPath) -> ResultsRead:
    """Returns the table arm × protocol with every seed's score; fills in while jobs run."""
    return results.results_of(context, experiment)


@router.get("/{experiment}/bootstrap", summary="What do the test scenes add to the spread?")
def get_bootstrap(context: CurrentContext, experiment: ExperimentPath) -> list[BootstrapRead]:
    """Draws seeds and test scenes again, from the counts of every scene; it stands beside the verdicts."""
    return bootstrap.bootstrap_of(context, experiment)


@router.get("/{experiment}/extension", summary="What would further seeds take?")
def get_extension(
    context: CurrentContext,
    experiment: ExperimentPath,
    to: Annotated[int | None, Query(ge=1, description="Seeds in all; without it as many as the next look.")] = None,
) -> ExtensionRead:
    """Returns the seeds up to a planned look, their jobs and how long they take, and queues nothing."""
    return extension.plan_extension(context, experiment, ExtendRequest(to=to))


@router.post("/{experiment}/extend", status_code=status.HTTP_202_ACCEPTED, summary="Add seeds")
def extend_experiment(
    context: CurrentContext, experiment: ExperimentPath, request: ExtendRequest | None = None
) -> ExperimentRead:
    """Queues further seeds up to the next planned look; margin, looks and all that is done stay as they are."""
    return extension.extend(context, experiment, request or ExtendRequest())


@router.post("/{experiment}/cancel", summary="Cancel an experiment")
def cancel_experiment(context: CurrentContext, experiment: ExperimentPath) -> ExperimentRead:
    """Stops the jobs that no other experiment needs; a running one writes a checkpoint first."""
    return service.cancel(context, experiment)


@router.post("/{experiment}/retry", summary="Retry what failed")
def retry_experiment(context: CurrentContext, experiment: ExperimentPath) -> ExperimentRead:
    """Queues an experiment's failed and cancelled jobs again; what succeeded is kept."""
    return service.retry(context, experiment)
