import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from backend.settings import Settings
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import job_ids, set_status
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def settings(tmp_path: Path, queue_url: str) -> Settings:
    root = tmp_path / "models"
    root.mkdir()
    return Settings(home=tmp_path / "home", redis_url=queue_url, data_roots={"models": root}, sweep_seconds=60.0)


@pytest.fixture
def file(settings: Settings) -> Path:
    path = settings.data_roots["models"] / "r18.safetensors"
    path.write_bytes(b"weights")
    return path


def from_file(**fields: str) -> dict[str, Any]:
    return {"source": "file", "root": "models", "path": "r18.safetensors", **fields}


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    answer = client.post(f"{API}/experiments", json={"experiment": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def problems(client: TestClient, experiment: dict[str, Any]) -> list[str]:
    answer = client.post(f"{API}/experiments/validate", json={"experiment": experiment})
    found: list[str] = problem_of(answer, 422)["problems"]
    return found


def test_jobs_are_pinned_by_the_content_of_the_file_as_it_is_now(
    client: TestClient, context: Context, experiment: Make, file: Path
) -> None:
    first = job_ids(context, submit(client, experiment(initial=from_file())))
    config = client.get(f"{API}/jobs/{first['pretrain', 'same', 0]}").json()["config"]
    assert config["initial"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    again = job_ids(context, submit(client, experiment(name="again", initial=from_file())))
    assert again == first
    file.write_bytes(b"others!")
    changed = job_ids(context, submit(client, experiment(name="changed", initial=from_file())))
    assert changed["pretrain", "same", 0] != first["pretrain", "same", 0]
    assert changed["segment", "random", 0] == first["segment", "random", 0]
    (said,) = problems(client, experiment(initial=from_file(sha256="1" * 64)))
    assert f"has SHA-256 {hashlib.sha256(b'others!').hexdigest()}, and {'1' * 64} is asked for" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"path": "none.pth"}, "initial: 'none.pth' in data root 'models' cannot be read (No such file or directory)"),
        ({"root": "other"}, "initial: no data root 'other' (known: models)"),
        ({"path": "link.pt"}, "initial: 'link.pt' leads out of data root 'models'"),
    ],
)
def test_a_file_that_is_not_there_is_refused_at_once(
    client: TestClient, experiment: Make, file: Path, fields: dict[str, str], said: str
) -> None:
    os.symlink("/etc/hostname", file.with_name("link.pt"))
    (found,) = problems(client, experiment(initial=from_file(**fields)))
    assert found.startswith(said)


def test_an_earlier_pretraining_is_waited_for_and_must_fit(
    client: TestClient, context: Context, experiment: Make
) -> None:
    earlier = job_ids(context, submit(client, experiment()))["pretrain", "same", 0]
    key = client.get(f"{API}/jobs/{earlier}").json()["key"]
    initial = {"source": "job", "key": key}
    following = job_ids(context, submit(client, experiment(name="following", initial=initial)))
    for use in (("pretrain", "same", 0), ("pretrain", "half", 1)):
        job = client.get(f"{API}/jobs/{following[use]}").json()
        assert (job["status"], job["depends_on"]) == ("blocked", earlier)
    set_status(context, earlier, JobStatus.SUCCEEDED)
    ready = experiment(name="ready", initial={**initial, "part": "encoder"})
    job = client.get(f"{API}/jobs/{job_ids(context, submit(client, ready))['pretrain', 'same', 0]}").json()
    assert job["status"] == "queued"

    (said,) = problems(client, experiment(initial=initial, network={"decoder": "unet"}))
    assert "has another network (decoder 'fpn' instead of 'unet'): take its network, or only its encoder" in said
    assert client.post(
        f"{API}/experiments/validate",
        json={"experiment": experiment(initial={**initial, "part": "encoder"}, network={"decoder": "unet"})},
    ).is_success
    (said,) = problems(client, experiment(initial={"source": "job", "key": "f" * 64}))
    assert said.startswith(f"initial.key: no pretraining here has the key {'f' * 64}")


def test_a_pretraining_that_failed_is_no_start(client: TestClient, context: Context, experiment: Make) -> None:
    earlier = job_ids(context, submit(client, experiment()))["pretrain", "same", 0]
    set_status(context, earlier, JobStatus.FAILED)
    with context.database.read() as session:
        key = session.get_one(JobRow, earlier).key
    (said,) = problems(client, experiment(initial={"source": "job", "key": key}))
    assert "or it failed or was cancelled" in said


@pytest.mark.usefixtures("file")
def test_a_baseline_of_initial_weights_is_a_baseline_and_its_probe_is_warned_of(
    client: TestClient, context: Context, experiment: Make
) -> None:
    arms = {"same": experiment()["arms"]["same"], "given": {"baseline": "initial_weights"}}
    asked = experiment(arms=arms, initial=from_file())
    plan = client.post(f"{API}/experiments/validate", json={"experiment": asked}).json()
    assert any("arm 'given' starts from the weights of an encoder" in warning for warning in plan["warnings"])
    encoder = client.post(f"{API}/experiments/validate", json={"experiment": {**asked, "transfer": "encoder"}}).json()
    assert not any("starts from the weights of an encoder" in warning for warning in encoder["warnings"])
    identity = submit(client, asked)
    ids = job_ids(context, identity)
    assert ("pretrain", "given", 0) not in ids
    results = client.get(f"{API}/experiments/{identity}/results").json()
    assert {row["arm"]: row["baseline"] for row in results["rows"]} == {"same": False, "given": True}
    assert "'given': a baseline shows what pretraining is worth and gets no verdict" in results["notes"]
