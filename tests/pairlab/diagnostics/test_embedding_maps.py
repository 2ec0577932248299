import json
from hashlib import sha256
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pairlab.checkpoint import SavedFile
from pairlab.diagnostics.earlier import Earlier, EarlierMap
from pairlab.diagnostics.embedding_maps import EmbeddingMaps
from pairlab.diagnostics.map_places import map_places
from pairlab.events import Event, Finished, Saved, Warned
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.networks import build_network
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.pair import PairList
from pairlab.precision import best_precision
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Scene, SceneError
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.training_jobs import pretrain_job, run

PRECISION = best_precision(torch.device("cpu"))
TRAINING = {"steps": 6, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 3}
SHORTER = TRAINING | {"steps": 4}
HALF = {"half": {"pairing": {"policy": "temporal", "noise": {"rate": 0.5}, "pairs": 20}}}


def saved(events: list[Event], kind: str) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved) and event.kind == kind]


def picture(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))


@pytest.fixture(scope="module")
def scenes() -> tuple[SyntheticSource, PairList]:
    job = pretrain_job(arms={"any": {"pairing": {"policy": "temporal", "pairs": 48}}}, reference="any")
    assert isinstance(job.dataset.config, SyntheticDataset)
    source = SyntheticSource(job.dataset.config, draw=job.seed)
    return source, pairs_of(job, build_index(source).chips(job.chip_size), scores=None)


def test_changed_and_unchanged_places_are_shown_as_the_run_reads_them(scenes: tuple[SyntheticSource, PairList]) -> None:
    source, pairs = scenes
    places = map_places(source, pairs, seed=3)
    assert len({(place.scene, place.y, place.x) for place in places}) == 3
    assert [place.changed_pixels > 0 for place in places] == [True, True, False]
    by_name = {scene.name: scene for scene in source.scenes}
    for place in places:
        assert place.acquisitions == ("pre", "post")
        for acquisition, chip in zip(place.acquisitions, place.chips, strict=True):
            image = source.image(by_name[place.scene], acquisition)
            assert np.array_equal(chip, image[place.y : place.y + 64, place.x : place.x + 64])
    assert [place.scene for place in map_places(source, pairs, seed=3)] == [place.scene for place in places]
    assert [place.scene for place in map_places(source, pairs, seed=4)] != [place.scene for place in places]


def test_what_cannot_be_read_gives_way_to_another_place(
    scenes: tuple[SyntheticSource, PairList], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, pairs = scenes
    broken = map_places(source, pairs, seed=3)[0].scene
    whole = source.image

    def image(scene: Scene, acquisition: str, *, state: str | None = None) -> np.ndarray:
        if scene.name == broken:
            raise SceneError("unreadable")
        return whole(scene, acquisition, state=state)

    monkeypatch.setattr(source, "image", image)
    places = map_places(source, pairs, seed=3)
    assert broken not in {place.scene for place in places}
    assert len(places) == 3


def test_training_is_the_same_bit_for_bit_with_and_without_maps(tmp_path: Path) -> None:
    # Batch norm's running statistics, momentum copies and random numbers are all in a checkpoint of BYOL.
    job = pretrain_job(method={"name": "byol", "hidden_dim": 32, "embedding_dim": 16}, pretraining=SHORTER)
    runs = {moments: list(run(job, tmp_path / str(moments), map_moments=moments)) for moments in (0, 5)}
    assert [len(saved(runs[moments], "embedding_map")) for moments in (0, 5)] == [0, 5]
    without, with_maps = ([event.sha256 for event in saved(runs[each], "checkpoint")] for each in (0, 5))
    assert without == with_maps
    weights = [load_file(saved(runs[each], "weights")[0].path) for each in (0, 5)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_maps_come_at_the_start_in_between_and_at_the_end(tmp_path: Path) -> None:
    job = pretrain_job(pretraining=TRAINING, arms=HALF, reference="half")
    maps = saved(list(run(job, tmp_path, map_moments=4)), "embedding_map")
    assert [each.step for each in maps] == [0, 2, 4, 6]
    for each in maps:
        assert sha256(each.path.read_bytes()).hexdigest() == each.sha256
        assert json.loads(json.dumps(each.details)) == each.details
        assert picture(each.path).shape == (3 * 16, 2 * 16, 3)  # 64 pixels, four to a cell
        assert each.details["cells"] == 16
        assert [(tile["row"], tile["column"]) for tile in each.details["tiles"]] == [
            (row, column) for row in range(3) for column in range(2)
        ]
        assert {tile["acquisition"] for tile in each.details["tiles"]} == {"pre", "post"}
        shares = each.details["explained"]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1
    assert not list(tmp_path.rglob("*.tmp"))
    # The colours do not jump: those of the last map differ less from the one before than in any other order.
    last, before = (picture(each.path).astype(int) for each in (maps[3], maps[2]))
    differences = {order: np.abs(last[..., order] - before).mean() for order in permutations(range(3))}
    assert differences[0, 1, 2] < 0.5 * min(value for order, value in differences.items() if order != (0, 1, 2))
    assert differences[0, 1, 2] < np.abs(255 - last - before).mean()


def test_a_run_that_goes_on_draws_what_an_uninterrupted_one_draws(tmp_path: Path) -> None:
    job = pretrain_job(pretraining=TRAINING)
    whole = list(run(job, tmp_path / "whole", map_moments=4))
    calls = iter([False, False, True])
    stopped = list(run(job, tmp_path / "stopped", map_moments=4, should_stop=lambda: next(calls)))
    drawn = saved(stopped, "embedding_map")
    assert [each.step for each in drawn] == [0, 2]
    earlier = Earlier(maps=tuple(EarlierMap(each.step, each.path, each.sha256) for each in drawn))
    (checkpoint,) = saved(stopped, "checkpoint")
    start = SavedFile(checkpoint.path, checkpoint.sha256)
    resumed = list(run(job, tmp_path / "on", map_moments=4, start=start, earlier=earlier))
    expected = {each.step: each.sha256 for each in saved(whole, "embedding_map")}
    assert {each.step: each.sha256 for each in saved(resumed, "embedding_map")} == {
        step: expected[step] for step in (4, 6)
    }


def test_earlier_maps_of_a_step_to_come_and_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    def written(step: int, value: int, *, damaged: bool = False) -> EarlierMap:
        path = tmp_path / f"{step}.png"
        cv2.imwrite(str(path), np.full((6, 4, 3), value, np.uint8))
        digest = sha256(path.read_bytes()).hexdigest()
        if damaged:
            path.write_bytes(b"damaged")
        return EarlierMap(step, path, digest)

    gone = EarlierMap(15, tmp_path / "gone.png", "0" * 64)
    earlier = Earlier(maps=(written(0, 10), written(10, 20), written(20, 30, damaged=True), gone, written(40, 50)))
    newest = earlier.newest_map(30)
    assert newest is not None
    assert (newest == 20).all()
    assert Earlier().newest_map(30) is None


def test_every_module_is_left_in_the_mode_it_was_in(scenes: tuple[SyntheticSource, PairList], tmp_path: Path) -> None:
    source, pairs = scenes
    network = build_network(pretrain_job().network, seed=0).train()
    frozen = next(each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)).eval()
    counted = [each.num_batches_tracked for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    maps = EmbeddingMaps(source, pairs, PRECISION, seed=0, steps=4)
    assert len(list(maps.drawn(0, network, folder=tmp_path))) == 1
    assert list(maps.drawn(0, network, folder=tmp_path)) == []
    assert network.training
    assert not frozen.training
    assert all(each == 0 for each in counted)


def test_a_map_that_cannot_be_written_is_told_and_ends_no_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "embedding-maps").write_text("a file where the folder of maps belongs")
    events = list(run(pretrain_job(pretraining=SHORTER), folder))
    assert not saved(events, "embedding_map")
    told = [event for event in events if isinstance(event, Warned) and "embedding map" in event.sentence]
    assert len(told) == 5  # as many as there are moments in four steps
    assert "File exists" in told[0].sentence
    assert isinstance(events[-1], Finished)
    assert len(saved(events, "weights")) == 1
