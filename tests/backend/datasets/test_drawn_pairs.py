from typing import Any

import numpy as np
import pytest

from backend.context import Context
from backend.datasets.drawn_pairs import draw_pairs_of
from backend.datasets.preview import config_of
from backend.datasets.preview_schemas import PreviewRequest
from backend.datasets.service import find_ready
from pairlab.pairing.job_pairs import pairs_of
from tests.backend.datasets.known_scores import write_random_scores

COLUMNS = (
    "scene",
    "y",
    "x",
    "positive_scene",
    "positive_y",
    "positive_x",
    "shots",
    "shift",
    "noisy",
    "control",
    "score",
)
RATE = {"noise": {"rate": 0.5, "mismatch_rate": 0.25, "shift_px": 2.0}}
SCORED = {"filter": {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.6}}


@pytest.mark.parametrize(
    ("knobs", "changes"),
    [
        (RATE, {}),
        (RATE, {"splits": {"by": "random", "seed": 3}}),
        (SCORED, {}),
        (SCORED, {"splits": {"by": "random", "seed": 3}}),
        (SCORED, {"transductive": True}),
        ({}, {"transductive": True, "splits": {"by": "random", "seed": 3}}),
        ({}, {"scenes": {"change_share": [0.05, 1.0]}, "chip_size": 32}),
    ],
)
def test_a_preview_draws_what_the_trainer_draws_from_all_chips(
    context: Context, synthetic: str, knobs: dict[str, Any], changes: dict[str, Any]
) -> None:
    job = write_random_scores(context, synthetic, draw=2)
    pairing = {"policy": "temporal", "pairs": 20, **knobs}
    request = PreviewRequest.model_validate({"dataset": synthetic, "pairing": pairing, "seed": 2, **changes})
    config = config_of(request, find_ready(context, synthetic).reference)
    drawn = draw_pairs_of(context, config).pairs
    every_chip = context.sources.chips(config.dataset, chip_size=config.chip_size, draw=2, scenes=config.scenes)
    scores = context.sources.scores(job) if "filter" in knobs else None
    trained = pairs_of(config, every_chip, scores=scores)
    assert len(drawn) == len(trained) > 0
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(drawn, name), getattr(trained, name))
    assert (drawn.filtered, drawn.warnings, drawn.pool) == (trained.filtered, trained.warnings, trained.pool)
    assert drawn.scenes == trained.scenes


def test_chips_are_kept_between_two_draws(context: Context, synthetic: str) -> None:
    reference = find_ready(context, synthetic).reference
    configs = [
        config_of(
            PreviewRequest.model_validate(
                {"dataset": synthetic, "pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": rate}}}
            ),
            reference,
        )
        for rate in (0.25, 0.75)
    ]
    first, second = (context.sources.trainable(config) for config in configs)
    assert first is second
