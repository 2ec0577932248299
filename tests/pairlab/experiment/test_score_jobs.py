"""Change scores as jobs of a plan: who waits for them, and who shares them."""

from typing import Any

import pytest

from pairlab.experiment.change_scores import Cva, IrMad
from pairlab.experiment.datasets import DatasetConfig, SyntheticDataset, XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.fit import ExpansionError, resolve_control
from pairlab.experiment.jobs import DatasetReference, PlannedJob, PretrainJob, ScoreJob, SegmentJob, score_job
from pairlab.experiment.methods import PixelInfoNCE, SimCLR
from pairlab.experiment.pairing import Noise, Pairing


def reference(name: str, config: DatasetConfig, digit: str) -> DatasetReference:
    return DatasetReference(name=name, config=config, fingerprint=digit * 64)


SYNTHETIC = reference("scenes", SyntheticDataset(), "a")
OTHER = reference("other", SyntheticDataset(preset="nuisance"), "c")
SMALL = reference("small", SyntheticDataset(knobs={"size": 32, "objects": [1, 2], "object_size": [6, 9]}), "d")
XBD = reference("xbd", XbdDataset(root="xbd"), "b")


def scored(score: str = "cva", quantile: float = 0.9, **arm: Any) -> dict[str, Any]:  # noqa: ANN401
    chosen = {"by": "change_score", "score": {"name": score}, "quantile": quantile}
    return {"pairing": {"policy": "temporal", "filter": chosen}, **arm}


PLAIN: dict[str, Any] = {"pairing": {"policy": "temporal"}}


def plan(
    arms: dict[str, Any],
    dataset: DatasetReference = SYNTHETIC,
    *,
    others: tuple[DatasetReference, ...] = (),
    **fields: Any,  # noqa: ANN401
) -> tuple[PlannedJob, ...]:
    experiment = Experiment.model_validate(
        {"name": "e", "dataset": dataset.name, "arms": arms, "reference": next(iter(arms)), "seeds": [0], **fields}
    )
    return expand(experiment, dataset, pretrained_on={each.name: each for each in others})


def scores(jobs: tuple[PlannedJob, ...]) -> list[PlannedJob]:
    return [job for job in jobs if isinstance(job.config, ScoreJob)]


def test_a_pretraining_that_filters_waits_for_its_score_and_the_segmentation_for_both() -> None:
    jobs = plan({"all": PLAIN, "scored": scored()})
    assert [job.config.kind for job in jobs] == ["pretrain", "segment", "score", "pretrain", "segment"]
    assert [job.depends_on for job in jobs] == [None, jobs[0].key, None, jobs[2].key, jobs[3].key]
    assert jobs[2].uses == (("scored", 0),)
    for job in jobs:
        assert PlannedJob.model_validate_json(job.model_dump_json()) == job


def test_rendered_scenes_are_scored_for_each_draw_and_files_once() -> None:
    arms = {"few": scored(quantile=0.5), "many": scored(quantile=0.9)}
    drawn = scores(plan(arms, seeds=[3, 8]))
    assert [job.config for job in drawn] == [ScoreJob(dataset=SYNTHETIC, draw=draw, score=Cva()) for draw in (3, 8)]
    assert [job.uses for job in drawn] == [(("few", seed), ("many", seed)) for seed in (3, 8)]
    (once,) = scores(plan(arms, XBD, seeds=[3, 8]))
    assert once.config == ScoreJob(dataset=XBD, draw=0, score=Cva())
    assert once.uses == tuple((arm, seed) for seed in (3, 8) for arm in ("few", "many"))


def test_each_score_and_each_dataset_has_a_job() -> None:
    arms = {"cva": scored(), "irmad": scored("irmad"), "elsewhere": scored(dataset="other")}
    found = [job.config for job in scores(plan(arms, others=(OTHER,)))]
    assert found == [
        ScoreJob(dataset=SYNTHETIC, score=Cva()),
        ScoreJob(dataset=SYNTHETIC, score=IrMad()),
        ScoreJob(dataset=OTHER, score=Cva()),
    ]


def test_a_score_depends_on_nothing_that_a_pretraining_sets() -> None:
    (ours,) = scores(plan({"a": scored()}))
    other: dict[str, Any] = {
        "chip_size": 32,
        "method": {"name": "simclr"},
        "pretraining": {"steps": 7},
        "scenes": {"name": "0"},
    }
    (theirs,) = scores(plan({"renamed": scored(quantile=0.1)}, **other))
    assert ours.key == theirs.key


def test_arms_pretrain_on_their_dataset_and_segment_on_the_experiments() -> None:
    jobs = [job.config for job in plan({"here": PLAIN, "there": {**PLAIN, "dataset": "other"}}, others=(OTHER,))]
    assert [job.dataset.name for job in jobs if isinstance(job, PretrainJob)] == ["scenes", "other"]
    assert [job.dataset.name for job in jobs if isinstance(job, SegmentJob)] == ["scenes", "scenes"]


def test_arms_pretrain_with_their_method_and_on_their_scenes() -> None:
    own = {**PLAIN, "method": {"name": "simclr"}, "scenes": {"name": "train-0"}}
    jobs = [job.config for job in plan({"a": PLAIN, "own": own}, transductive=True)]
    pretrain = [job for job in jobs if isinstance(job, PretrainJob)]
    assert [job.method.name for job in pretrain] == ["pixel_infonce", "simclr"]
    assert [job.scenes.name for job in pretrain] == ["", "train-0"]
    assert [job.scenes.name for job in jobs if isinstance(job, SegmentJob)] == ["", ""]
    assert all(job.transductive for job in pretrain)
    assert score_job(pretrain[0]) is None


@pytest.mark.parametrize(
    ("arm", "dataset", "others", "fields", "said"),
    [
        (scored(dataset="lost"), SYNTHETIC, (), {}, "arm 'b': there is no dataset 'lost'; register it first"),
        (
            scored(dataset="small"),
            SYNTHETIC,
            (SMALL,),
            {},
            "chip_size 64 is larger than the scenes of 'small' (32 pixels)",
        ),
        (
            scored(dataset="scenes"),
            XBD,
            (SYNTHETIC,),
            {"splits": {"test_events": ["flood"]}},
            "arm 'b': synthetic scenes have neither events nor a place on a map",
        ),
        (
            {"pairing": {"policy": "temporal", "noise": {"rate": 0.5, "control": "rerender"}}, "dataset": "xbd"},
            SYNTHETIC,
            (XBD,),
            {},
            "arm 'b': noise.control: only synthetic scenes can be rendered again",
        ),
    ],
)
def test_an_arms_dataset_has_to_fit(
    arm: dict[str, Any],
    dataset: DatasetReference,
    others: tuple[DatasetReference, ...],
    fields: dict[str, Any],
    said: str,
) -> None:
    with pytest.raises(ExpansionError) as error:
        plan({"a": {"pairing": {"policy": "same_image"}}, "b": arm}, dataset, others=others, **fields)
    assert str(error.value).startswith(said)


HALF = Pairing(policy="temporal", noise=Noise(rate=0.5))


@pytest.mark.parametrize(
    ("dataset", "method", "control"),
    [(SYNTHETIC, PixelInfoNCE(), "rerender"), (SYNTHETIC, SimCLR(), "rerender"), (XBD, PixelInfoNCE(), "masked")],
)
def test_a_rate_takes_the_control_that_fits(
    dataset: DatasetReference, method: PixelInfoNCE | SimCLR, control: str
) -> None:
    assert resolve_control(HALF, dataset, method).noise == HALF.noise.model_copy(update={"control": control})


@pytest.mark.parametrize("control", ["same_acquisition", "replace"])
@pytest.mark.parametrize("method", [SimCLR(), PixelInfoNCE(matching="feature")])
def test_a_named_control_stays(control: str, method: PixelInfoNCE | SimCLR) -> None:
    named = Pairing.model_validate({"policy": "temporal", "noise": {"rate": 0.5, "control": control}})
    assert resolve_control(named, XBD, method) == named


def test_without_a_rate_there_is_no_control() -> None:
    plain = Pairing(policy="temporal", noise=Noise(mismatch_rate=0.5))
    assert resolve_control(plain, XBD, SimCLR()) == plain


@pytest.mark.parametrize(
    ("method", "found"),
    [(SimCLR(), "simclr"), (PixelInfoNCE(matching="feature"), "pixel_infonce with feature matching")],
)
def test_real_images_have_no_control_of_their_own_for_every_method(method: PixelInfoNCE | SimCLR, found: str) -> None:
    with pytest.raises(ExpansionError) as error:
        resolve_control(HALF, XBD, method)
    assert str(error.value) == (
        "a noise rate on real images takes control 'masked' by itself, which needs pixel_infonce with geometric "
        f"matching or pixpro (found {found}): take that, or name control 'same_acquisition' or 'replace'"
    )
