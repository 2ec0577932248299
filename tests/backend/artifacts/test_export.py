import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load, save

from backend.artifacts.tables import ArtifactRow
from backend.context import Context
from backend.jobs.schemas import JobStatus
from backend.settings import Settings
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import job_ids, segment_results, set_status
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]
NETWORK = {
    "bands": 3,
    "channels": 128,
    "stride": 4,
    "depth": 5,
    "output_stride": 32,
    "timm": {"name": "resnet10t", "levels": [0, 1, 2, 3, 4], "dynamic_img_size": False},
    "input": {"bands": ["red", "green", "blue"], "low": [0] * 3, "high": [255] * 3, "mean": 0.5, "deviation": 0.25},
}
TENSORS = {"encoder.model.conv.weight": torch.arange(6.0).reshape(2, 3), "decoder.p5.bias": torch.ones(3).bfloat16()}


@pytest.fixture
def ids(client: TestClient, context: Context, experiment: Make) -> dict[tuple[str, str, int], str]:
    answer = client.post(f"{API}/experiments", json={"experiment": experiment()}).json()
    return job_ids(context, answer["id"])


@pytest.fixture
def pretraining(context: Context, settings: Settings, ids: dict[tuple[str, str, int], str]) -> str:
    """A pretraining that has succeeded, with weights."""
    job = ids["pretrain", "half", 1]
    facts = {"network": NETWORK, "precision": "float32"}
    results = {"pairs": 20, "realised_noise": 0.5, "realised_mismatch": 0.0, "final_loss": 0.25}
    set_status(context, job, JobStatus.SUCCEEDED, facts=facts, results=results)
    content = save(TENSORS)
    path = weights_of(settings, job)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with context.database.write() as session:
        session.add(
            ArtifactRow(
                id="w",
                job_id=job,
                attempt=1,
                kind="weights",
                step=30,
                path=f"{job}/1/weights.safetensors",
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
    return job


def weights_of(settings: Settings, job: str) -> Path:
    return settings.artifacts / job / "1" / "weights.safetensors"


def test_a_pretraining_comes_as_an_archive(
    client: TestClient, context: Context, pretraining: str, ids: dict[tuple[str, str, int], str]
) -> None:
    set_status(context, ids["segment", "half", 1], JobStatus.SUCCEEDED, results=segment_results(0.5))
    answer = client.get(f"{API}/jobs/{pretraining}/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="pairlab-{pretraining[:8]}.zip"' in answer.headers["content-disposition"]
    with ZipFile(io.BytesIO(answer.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert list(files) == [
        "README.md",
        "config.yaml",
        "load.py",
        "encoder.timm.safetensors",
        "encoder.smp.safetensors",
        "model.smp.safetensors",
    ]
    assert list(load(files["encoder.timm.safetensors"])) == ["conv.weight"]
    assert torch.equal(
        load(files["encoder.smp.safetensors"])["model.conv.weight"], TENSORS["encoder.model.conv.weight"]
    )
    whole = load(files["model.smp.safetensors"])
    assert whole.keys() == TENSORS.keys()
    assert whole["decoder.p5.bias"].dtype == torch.bfloat16
    card = files["README.md"].decode()
    assert "| realised noise | 50.0 % |" in card
    assert "| three arms | half | 1 | linear probe | 8 chips | 25.00 |" in card
    assert "| three arms | half | 1 | fine tuning | 8 chips | 50.00 |" in card


def test_what_cannot_be_exported_says_why(
    client: TestClient, context: Context, settings: Settings, pretraining: str, ids: dict[tuple[str, str, int], str]
) -> None:
    def refusal(job: str, status: int) -> str:
        return str(problem_of(client.get(f"{API}/jobs/{job}/export"), status)["detail"])

    assert "no job 'nothing'" in refusal("nothing", 404)
    segment = ids["segment", "half", 1]
    assert refusal(segment, 409) == (
        f"job {segment} is of kind segment; pretrainings alone have weights to export; it started from job "
        f"{pretraining}"
    )
    waiting = ids["pretrain", "same", 0]
    assert "is queued; a pretraining can be exported when it has succeeded" in refusal(waiting, 409)
    set_status(context, waiting, JobStatus.SUCCEEDED)
    assert "was run by an older PairLab" in refusal(waiting, 409)
    set_status(context, waiting, JobStatus.SUCCEEDED, facts={"network": NETWORK})
    assert "are no longer in the artifacts folder" in refusal(waiting, 404)
    path = weights_of(settings, pretraining)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "are damaged" in refusal(pretraining, 409)
    path.unlink()
    assert "are no longer in the artifacts folder" in refusal(pretraining, 404)
