"""The main job on real imagery: the shipped experiment on the xBD sample, in few steps, to its table and overlays."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from pairlab.experiment.experiment import Experiment, load_experiment
from tests.live_stack import SAMPLE, LiveStack

SHIPPED = Path(__file__).parents[2] / "experiments" / "xbd-sample.yaml"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sample,
    pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"the xBD sample is not at {SAMPLE}: set PAIRLAB_XBD_SAMPLE"),
]


def shortened() -> Experiment:
    """The shipped file with so few steps that it takes a minute or two: what it learns does not matter here."""
    content = load_experiment(SHIPPED.read_text()).model_dump(mode="json", exclude_unset=True)
    content["pretraining"] |= {"steps": 6, "batch_size": 4}
    content["protocols"] = [
        {"name": "linear_probe", "steps": 10, "evaluate_every": 10},
        {"name": "fine_tuning", "steps": 4, "batch_size": 4, "evaluate_every": 4},
    ]
    return Experiment.model_validate(content)


@pytest.mark.timeout(1500)
def test_the_shipped_experiment_runs_on_real_tiles(stack: LiveStack) -> None:
    stack.register("xbd-sample", {"kind": "xbd", "root": "xbd", "folder": ""})
    identity = stack.submit(shortened().model_dump(mode="json", exclude_unset=True))
    found = stack.wait(identity, seconds=1400)

    results = stack.client.results(identity)
    assert results["classes"] == ["background", "intact", "damaged"]
    assert {row["arm"] for row in results["rows"]} == {"random initialisation", "same image", "temporal"}
    for row in results["rows"]:
        assert len(row["seeds"]) == 1
        assert 0 < row["seeds"][0]["miou"] < 1
    noise = {row["arm"]: row["realised_noise"] for row in results["rows"]}
    assert noise["same image"] == 0
    assert noise["temporal"] is not None
    assert 0.05 < noise["temporal"] < 0.5  # 167 of the 1,211 train chips are noisy

    segmentation = next(job for job in found["job_list"] if job["kind"] == "segment")
    predictions = stack.client.predictions(segmentation["id"], final=True)
    assert {prediction["scene"].split("_")[0] for prediction in predictions} == {"hurricane-michael"}
    assert len({prediction["scene"] for prediction in predictions}) == 8
    with httpx.Client(base_url=stack.ui, timeout=60) as browser:
        overlay, label, image = (
            np.array(Image.open(io.BytesIO(browser.get(url).raise_for_status().content)))
            for url in (
                predictions[0]["url"],
                predictions[0]["label_url"],
                predictions[0]["image_urls"][predictions[0]["acquisition"]],
            )
        )
    assert overlay.shape == label.shape == image.shape[:2] == (1024, 1024)
    assert set(np.unique(overlay)) <= {0, 1, 2}
    assert set(np.unique(label)) <= {0, 1, 2, 255}
