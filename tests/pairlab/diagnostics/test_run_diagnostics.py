import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pairlab.diagnostics.earlier import Earlier
from pairlab.diagnostics.remedies import against_collapse, against_starving
from pairlab.diagnostics.run_diagnostics import POINTS, STARVING_POINTS, RunDiagnostics
from pairlab.events import Event, Metrics, Warned
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import PretrainJob
from pairlab.scenes.scene import Scene, UInt8Array
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.training_jobs import pretrain_job, run

SHORT = {"steps": 100, "batch_size": 4, "warmup_steps": 5}
HEALTHY = {
    "embeddings/deviation": 0.8,
    "embeddings/raw_deviation": 0.9,
    "embeddings/effective_rank": 12.0,
    "waiting_share": 0.01,
}
COLLAPSED = HEALTHY | {"embeddings/deviation": 0.02, "embeddings/effective_rank": 1.1}


def diagnostics(job: PretrainJob, **options: Any) -> RunDiagnostics:  # noqa: ANN401
    assert isinstance(job.dataset.config, SyntheticDataset)
    return RunDiagnostics(job, SyntheticSource(job.dataset.config, draw=0), pairs=20, **options)


def told(watched: RunDiagnostics, points: Iterable[Mapping[str, float]], *, first: int = 1) -> list[tuple[int, str]]:
    return [
        (warned.step, warned.kind)
        for step, values in enumerate(points, start=first)
        for warned in watched.warnings(step, values)
    ]


def warned_of(events: Iterable[Event]) -> dict[str, str]:
    return {event.kind: event.sentence for event in events if isinstance(event, Warned)}


def test_a_collapse_is_told_once_behind_the_first_tenth() -> None:
    watched = diagnostics(pretrain_job(pretraining=SHORT))
    assert told(watched, [COLLAPSED] * 100) == [(10 + POINTS, "collapse")]


def test_a_collapse_that_is_over_and_comes_back_is_told_once_more() -> None:
    watched = diagnostics(pretrain_job(pretraining=SHORT))
    wavering = [COLLAPSED | {"embeddings/deviation": value} for value in (0.09, 0.11) * 10]
    waves = [*[COLLAPSED] * 30, *wavering, *[HEALTHY] * 10, *[COLLAPSED] * 10, *[HEALTHY] * 10, *[COLLAPSED] * 20]
    assert told(watched, waves) == [(18, "collapse"), (60 + POINTS, "collapse")]


def test_what_an_earlier_attempt_told_is_not_told_again() -> None:
    watched = diagnostics(pretrain_job(pretraining=SHORT), earlier=Earlier(warned=("collapse", "starving")))
    both = COLLAPSED | {"waiting_share": 0.5}
    assert told(watched, [both] * 60, first=40) == []
    assert told(watched, [HEALTHY] * 10, first=70) == []
    assert {kind for _, kind in told(watched, [both] * 20, first=80)} == {"collapse", "starving"}


def test_the_first_round_over_the_pairs_may_wait() -> None:
    # 20 pairs in batches of 4 are read in 5 steps.
    watched = diagnostics(pretrain_job(pretraining=SHORT))
    starving = HEALTHY | {"waiting_share": 0.3}
    assert told(watched, [*[starving] * 5, *[HEALTHY] * 20]) == []
    assert told(watched, [starving] * 20, first=26) == [(25 + STARVING_POINTS, "starving")]


def test_a_loss_that_stands_still_is_told_and_one_that_collapsed_is_not_told_twice() -> None:
    flat = HEALTHY | {"loss": 3.0}
    assert told(diagnostics(pretrain_job(pretraining=SHORT)), [flat] * 100) == [(50, "standing_still")]
    collapsed = COLLAPSED | {"loss": -1.0}
    assert told(diagnostics(pretrain_job(pretraining=SHORT)), [collapsed] * 100) == [(18, "collapse")]


def test_runs_without_figures_of_embeddings_are_not_judged_by_them() -> None:
    assert told(diagnostics(pretrain_job(pretraining=SHORT)), [{"loss": 3.0 - step / 50} for step in range(100)]) == []


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ({"name": "vicreg", "variance_weight": 0.5}, r"Raise method\.variance_weight \(0\.5\)"),
        ({"name": "byol"}, r"Raise method\.momentum \(0\.9\)"),
        ({"name": "simsiam"}, r"Lower pretraining\.learning_rate .* take a method with negatives"),
        ({"name": "barlow_twins"}, r"Raise pretraining\.batch_size \(4\)"),
        ({"name": "simclr"}, r"Lower method\.temperature \(0\.2\), raise pretraining\.batch_size \(4\)"),
        ({"name": "pixel_infonce"}, r"Lower method\.temperature \(0\.2\)"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_the_remedy_against_a_collapse_is_the_methods_own(method: dict[str, object], words: str) -> None:
    assert re.match(words, against_collapse(pretrain_job(method=method)))


def test_the_remedy_against_starving_names_what_is_waited_for() -> None:
    assert "rendered" in against_starving(rendered=True, stored=False)
    assert "index the dataset" in against_starving(rendered=False, stored=False)
    assert "chip store" in against_starving(rendered=False, stored=True)


def test_a_run_that_collapses_says_so_with_numbers_and_what_to_do(tmp_path: Path) -> None:
    # Nothing but invariance: the same embedding for all images is the best there is.
    method = {"name": "vicreg", "variance_weight": 0.0, "covariance_weight": 0.0, "hidden_dim": 32, "embedding_dim": 16}
    training = {"steps": 45, "batch_size": 4, "warmup_steps": 0, "learning_rate": 0.01}
    job = pretrain_job(method=method, pretraining=training)
    events = list(run(job, tmp_path, map_moments=0))
    sentence = warned_of(events)["collapse"]
    assert "The embeddings collapse" in sentence
    assert "where vicreg wants 1" in sentence
    assert "Raise method.variance_weight (0)" in sentence
    assert len([event for event in events if isinstance(event, Warned) and event.kind == "collapse"]) == 1
    last = [event.values for event in events if isinstance(event, Metrics)][-1]
    assert last["embeddings/raw_deviation"] < 0.15


def test_a_run_that_learns_warns_of_nothing(tmp_path: Path) -> None:
    job = pretrain_job(pretraining={"steps": 45, "batch_size": 4, "warmup_steps": 2})
    events = list(run(job, tmp_path, map_moments=0))
    assert warned_of(events).keys() <= {"starving"}  # other work may take the cores from the loader
    first, *_, last = [event.values for event in events if isinstance(event, Metrics)]
    assert first["embeddings/deviation"] < last["embeddings/deviation"]
    assert {"embeddings/alignment", "embeddings/uniformity", "features/effective_rank"} <= last.keys()


def test_a_run_whose_images_come_slowly_says_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = SyntheticSource.image

    def slow(source: SyntheticSource, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        time.sleep(0.1)
        return np.asarray(quick(source, scene, acquisition, state=state), dtype=np.uint8)

    monkeypatch.setattr(SyntheticSource, "image", slow)
    arms = {"only": {"pairing": {"policy": "temporal", "pairs": 48}}}
    job = pretrain_job(arms=arms, reference="only", pretraining={"steps": 8, "batch_size": 4, "warmup_steps": 1})
    sentence = warned_of(run(job, tmp_path, map_moments=0))["starving"]
    assert "% of its time waiting for batches" in sentence
    assert "scenes to be rendered" in sentence
