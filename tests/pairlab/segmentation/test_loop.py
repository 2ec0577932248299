import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pairlab.checkpoint import SavedFile, save_weights
from pairlab.events import Finished, Metrics, Saved, Started
from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.jobs import DatasetReference, SegmentJob
from pairlab.experiment.protocols import Labels
from pairlab.metrics import confusion_counts, iou_from_counts, xview2_score
from pairlab.networks import build_network
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.scenes.xbd import open_xbd
from pairlab.segmentation import SegmentationError, labelled_chips, segment
from tests.pairlab.scenes.xbd_tree import write_xbd_tree
from tests.pairlab.training_jobs import DATASET, experiment, pretrain_job, run, segment_job

CLASSES = ("background", "intact", "damaged")


def test_a_run_is_judged_by_its_own_predictions(tmp_path: Path) -> None:
    job = segment_job()
    events = list(run(job, tmp_path))
    assert isinstance(events[0], Started)
    assert events[0].total_steps == 10
    assert isinstance(events[-1], Finished)
    results = events[-1].results["protocols"]
    assert list(results) == ["linear_probe", "fine_tuning"]

    assert isinstance(DATASET.config, SyntheticDataset)
    source = SyntheticSource(DATASET.config, draw=job.seed)
    scenes = {scene.name: scene for scene in source.scenes}
    for protocol in results:
        counts = np.zeros((3, 3), np.int64)
        final = [
            event
            for event in events
            if isinstance(event, Saved)
            and event.kind == "prediction"
            and event.details["final"]
            and event.details["protocol"] == protocol
        ]
        assert [event.details["scene"] for event in final] == [f"test-{number:06d}" for number in range(6)]
        for event in final:
            prediction = cv2.imread(str(event.path), cv2.IMREAD_UNCHANGED)
            assert prediction is not None
            target = source.mask(scenes[event.details["scene"]], "post", "intact_damaged")
            scene_counts = confusion_counts(prediction.astype(np.uint8), target, num_classes=3)
            iou = zip(CLASSES, iou_from_counts(scene_counts), strict=True)
            expected = {name: None if np.isnan(value) else value for name, value in iou}
            assert event.details["iou"] == expected
            counts += scene_counts
        assert results[protocol]["test"]["confusion"] == counts.tolist()
        assert results[protocol]["test"]["miou"] == pytest.approx(np.nanmean(iou_from_counts(counts)))


def test_validation_predictions_evolve_at_every_evaluation(tmp_path: Path) -> None:
    events = list(run(segment_job(), tmp_path))
    steps = {
        (event.details["protocol"], event.step)
        for event in events
        if isinstance(event, Saved) and event.kind == "prediction" and not event.details["final"]
    }
    assert steps == {("linear_probe", 3), ("linear_probe", 6), ("fine_tuning", 8), ("fine_tuning", 10)}
    scores = {
        key: value
        for event in events
        if isinstance(event, Metrics)
        for key, value in event.values.items()
        if key.endswith("/miou")
    }
    assert set(scores) == {"linear_probe/miou", "fine_tuning/miou"}
    assert all(0 <= value <= 1 for value in scores.values())


def test_the_results_file_holds_the_counts_of_every_test_scene(tmp_path: Path) -> None:
    events = list(run(segment_job(), tmp_path))
    (path,) = [event.path for event in events if isinstance(event, Saved) and event.kind == "results"]
    content = json.loads(path.read_text())
    for protocol, scenes in content["test_scene_counts"].items():
        total = np.sum([np.array(counts) for counts in scenes.values()], axis=0)
        assert len(scenes) == 6
        assert total.tolist() == content["protocols"][protocol]["test"]["confusion"]


def test_the_probe_leaves_the_pretrained_network_alone_and_starts_from_it(tmp_path: Path) -> None:
    job = segment_job()
    network = build_network(job.network, seed=99)
    path = tmp_path / "weights.safetensors"
    file = SavedFile(path, save_weights(path, network))

    def probe_loss(start: SavedFile | None, name: str) -> float:
        events = run(job, tmp_path / name, start=start)
        return next(event.values["linear_probe/loss"] for event in events if isinstance(event, Metrics))

    assert probe_loss(file, "a") == probe_loss(file, "b") != probe_loss(None, "c")


def test_equal_jobs_give_equal_results(tmp_path: Path) -> None:
    def outcome(name: str) -> object:
        last = list(run(segment_job(), tmp_path / name))[-1]
        assert isinstance(last, Finished)
        return [protocol["test"]["confusion"] for protocol in last.results["protocols"].values()]

    assert outcome("a") == outcome("b")


def test_a_stop_is_met_at_the_next_step(tmp_path: Path) -> None:
    events = list(run(segment_job(), tmp_path, should_stop=lambda: True))
    assert isinstance(events[-1], Finished)
    assert (events[-1].step, events[-1].stopped) == (1, True)


@pytest.mark.parametrize(
    "labels", [Labels(scheme="damage_levels"), Labels(scheme="damage_levels", unclassified="own-class")]
)
def test_damage_levels_have_the_xview2_score_beside_miou(tmp_path: Path, labels: Labels) -> None:
    tree = tmp_path / "tree"
    write_xbd_tree(tree, seed=2, size=64)
    dataset = DatasetReference(name="tree", config=XbdDataset(root="r"), fingerprint="1" * 64)
    plan = expand(
        experiment(
            labels=labels.model_copy(update={"train_chips": 4}),
            arms={"r": {"baseline": "random_initialisation"}},
            reference="r",
        ),
        dataset,
    )
    (job,) = [planned.config for planned in plan if isinstance(planned.config, SegmentJob)]
    source = open_xbd(tree, damage_from="minor-damage")
    chips = build_index(source).chips(job.chip_size)
    events = segment(
        job, source, chips, folder=tmp_path, weights=None, should_stop=lambda: False, device=torch.device("cpu")
    )
    *_, last = events
    assert isinstance(last, Finished)
    for protocol in last.results["protocols"].values():
        for split in ("validation", "test"):
            summary = protocol[split]
            expected = xview2_score(np.array(summary["confusion"]))
            assert summary["xview2"] == {
                "score": expected.score,
                "localisation_f1": expected.localisation_f1,
                "damage_f1": expected.damage_f1,
                "f1": dict(zip(source.object_classes[:4], expected.per_level, strict=True)),
            }
            assert 0 <= summary["xview2"]["score"] <= 1
    assert json.loads(json.dumps(last.results, allow_nan=False)) == last.results


def test_other_labels_have_no_xview2_score(tmp_path: Path) -> None:
    last = list(run(segment_job(), tmp_path))[-1]
    assert isinstance(last, Finished)
    assert "xview2" not in last.results["protocols"]["linear_probe"]["test"]


def test_labelled_chips_nest_and_show_change_first() -> None:
    index = build_index(SyntheticSource(SyntheticDataset(train=60, validation=1, test=1))).chips(64)
    train = index.of_scenes({scene.name for scene in index.scenes if scene.split == "train"})
    few, many = labelled_chips(train, 6, seed=1), labelled_chips(train, 30, seed=1)
    assert few.tolist() == many[:6].tolist()
    assert (train.changed_pixels[few] > 0).sum() == 3
    assert len(set(labelled_chips(train, 60, seed=1).tolist())) == 60
    with pytest.raises(SegmentationError, match="asks for 61 labelled chips; the train split has 60"):
        labelled_chips(train, 61, seed=1)


@pytest.mark.slow
def test_pretraining_beats_random_initialisation(tmp_path: Path) -> None:
    """From scenes to scores without a service: pretraining is worth something in the probe."""
    torch.set_num_threads(2)
    changes: dict[str, object] = {
        "pretraining": {
            "steps": 120,
            "batch_size": 16,
            "augmentation": {"grayscale": 0.5, "hue": 0.2, "saturation": 0.6, "contrast": 0.5, "brightness": 0.5},
        },
        "network": {"decoder_channels": 64},
        "labels": {"train_chips": 16},
        "protocols": [{"name": "linear_probe", "steps": 100}],
    }
    weights = [event for event in run(pretrain_job(**changes), tmp_path / "p") if isinstance(event, Saved)][-1]

    def score(start: SavedFile | None, name: str) -> float:
        last = list(run(segment_job(**changes), tmp_path / name, start=start))[-1]
        assert isinstance(last, Finished)
        return float(last.results["protocols"]["linear_probe"]["test"]["miou"])

    assert score(SavedFile(weights.path, weights.sha256), "a") > score(None, "b")
