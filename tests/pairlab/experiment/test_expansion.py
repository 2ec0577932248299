from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Arm, Experiment
from pairlab.experiment.fit import ExpansionError
from pairlab.experiment.jobs import DatasetReference, PlannedJob, PretrainJob, SegmentJob, job_key
from pairlab.experiment.methods import SimCLR
from pairlab.experiment.pairing import Noise, Pairing, PlaceExtent, Places
from pairlab.experiment.protocols import Labels, LinearProbe, Splits
from pairlab.experiment.scene_filter import SceneFilter

SYNTHETIC = DatasetReference(name="synthetic", config=SyntheticDataset(), fingerprint="a" * 64)
MISLABELLED = DatasetReference(name="noisy", config=SyntheticDataset(preset="label-noise"), fingerprint="c" * 64)
XBD = DatasetReference(name="xbd", config=XbdDataset(root="xbd"), fingerprint="b" * 64)

RANDOM = Arm(baseline="random_initialisation")
SAME = Arm(pairing=Pairing(policy="same_image"))
TEMPORAL = Arm(pairing=Pairing(policy="temporal"))


def noisy(rate: float, **fields: Any) -> Arm:  # noqa: ANN401
    return Arm(pairing=Pairing(policy="temporal", noise=Noise(rate=rate, **fields)))


def experiment(arms: dict[str, Arm], **fields: Any) -> Experiment:  # noqa: ANN401
    return Experiment(name="e", dataset="d", arms=arms, reference=next(iter(arms)), **{"seeds": (0,), **fields})


def plan(arms: dict[str, Arm], dataset: DatasetReference = SYNTHETIC, **fields: Any) -> tuple[PlannedJob, ...]:  # noqa: ANN401
    return expand(experiment(arms, **fields), dataset)


def pretrainings(jobs: tuple[PlannedJob, ...]) -> list[PretrainJob]:
    return [job.config for job in jobs if isinstance(job.config, PretrainJob)]


def refusal(arms: dict[str, Arm], dataset: DatasetReference = SYNTHETIC, **fields: Any) -> str:  # noqa: ANN401
    with pytest.raises(ExpansionError) as error:
        plan(arms, dataset, **fields)
    return str(error.value)


def test_jobs_come_by_seed_then_arm_and_a_pretraining_before_its_use() -> None:
    jobs = plan({"random": RANDOM, "same": SAME, "temporal": TEMPORAL}, seeds=(4, 2))
    assert [(job.config.kind, job.uses) for job in jobs] == [
        ("segment", (("random", 4),)),
        ("pretrain", (("same", 4),)),
        ("segment", (("same", 4),)),
        ("pretrain", (("temporal", 4),)),
        ("segment", (("temporal", 4),)),
        ("segment", (("random", 2),)),
        ("pretrain", (("same", 2),)),
        ("segment", (("same", 2),)),
        ("pretrain", (("temporal", 2),)),
        ("segment", (("temporal", 2),)),
    ]


def test_a_segmentation_waits_for_its_own_pretraining() -> None:
    jobs = plan({"random": RANDOM, "same": SAME, "temporal": TEMPORAL})
    assert [job.depends_on for job in jobs] == [None, None, jobs[1].key, None, jobs[3].key]
    for job in jobs:
        assert job.key == job_key(job.config)
        assert not isinstance(job.config, SegmentJob) or job.config.pretrain == job.depends_on


def test_equal_pretrainings_are_one_job_with_all_its_users() -> None:
    written_out = Arm(pairing=Pairing(policy="same_image", acquisition="balanced", noise=Noise(), pairs=1000))
    jobs = plan({"one": SAME, "two": written_out, "other": TEMPORAL})
    assert [job.uses for job in jobs] == [
        (("one", 0), ("two", 0)),
        (("one", 0), ("two", 0)),
        (("other", 0),),
        (("other", 0),),
    ]


def test_a_control_left_out_is_the_one_it_stands_for() -> None:
    jobs = plan({"implied": noisy(0.5), "said": noisy(0.5, control="rerender"), "masked": noisy(0.5, control="masked")})
    assert [job.uses for job in jobs[::2]] == [(("implied", 0), ("said", 0)), (("masked", 0),)]
    assert [config.pairing.noise.control for config in pretrainings(jobs)] == ["rerender", "masked"]
    assert [config.pairing.noise.control for config in pretrainings(plan({"a": noisy(0.5)}, XBD))] == ["masked"]


def test_a_key_depends_on_what_is_trained_and_on_nothing_else() -> None:
    (pretraining, segmentation) = plan({"a": SAME})
    (again, _) = expand(experiment({"renamed": SAME}, labels=Labels(train_chips=9), margin=3.0), SYNTHETIC)
    assert again.key == pretraining.key
    for changed in (
        {"chip_size": 32},
        {"method": SimCLR()},
        {"seeds": (1,)},
        {"splits": Splits(seed=1)},
        {"scenes": SceneFilter(events=("flood",))},
        {"scenes": SceneFilter(without=("scene-1",))},
    ):
        (other, _) = plan({"a": SAME}, **changed)
        assert other.key != pretraining.key, changed
    (other, _) = plan({"a": SAME}, SYNTHETIC.model_copy(update={"fingerprint": "c" * 64}))
    assert other.key != pretraining.key
    (same, other) = plan({"a": SAME}, protocols=(LinearProbe(steps=7),))
    assert same.key == pretraining.key
    assert other.key != segmentation.key
    for job in (pretraining, segmentation):
        assert isinstance(job.config, PretrainJob | SegmentJob)
        newer = job.config.model_copy(update={"code_version": job.config.code_version + 1})
        assert job_key(newer) != job.key


def test_a_job_comes_back_from_json_with_its_key() -> None:
    for job in plan({"random": RANDOM, "noisy": noisy(0.5)}):
        assert job_key(type(job.config).model_validate_json(job.config.model_dump_json())) == job.key
        assert PlannedJob.model_validate_json(job.model_dump_json()) == job


def test_both_jobs_take_the_scenes_that_the_experiment_names() -> None:
    wanted = SceneFilter(events=("flood",), where={"sensor": ("A", "B"), "angle": (0.0, 20.0)})
    for jobs, scenes in ((plan({"a": SAME}, scenes=wanted), wanted), (plan({"a": SAME}), SceneFilter())):
        (pretraining, segmentation) = (job.config for job in jobs)
        assert isinstance(pretraining, PretrainJob)
        assert isinstance(segmentation, SegmentJob)
        assert (pretraining.scenes, segmentation.scenes) == (scenes, scenes)


def test_without_a_noise_rate_places_are_those_of_the_data() -> None:
    assert {config.places for config in pretrainings(plan({"a": SAME, "b": TEMPORAL}))} == {Places()}


def test_one_noise_rate_makes_every_arm_draw_from_the_same_noisy_places() -> None:
    ladder = {"r": RANDOM, "same": SAME} | {
        f"{rate}": noisy(rate, extent=(0.2, 0.9), min_changed_pixels=20) for rate in (0.0, 0.5, 1.0)
    }
    configs = pretrainings(plan(ladder))
    assert len(configs) == 4
    whole = PlaceExtent(extent=(0.2, 0.9), rate=1.0)
    assert {config.places for config in configs} == {Places(noisy_only=True, extents=(whole,), min_changed_pixels=20)}


def test_arms_of_a_ladder_agree_on_what_counts_as_noisy() -> None:
    assert refusal({"a": noisy(0.5), "b": noisy(1.0, min_changed_pixels=5), "s": SAME}) == (
        "arms 'a', 'b' ask for different min_changed_pixels; all arms with a noise rate share one list of places, so "
        "give them the same"
    )


def test_pairs_as_the_data_has_them_do_not_stand_beside_a_ladder() -> None:
    assert refusal({"plain": TEMPORAL, "half": noisy(0.5)}) == (
        "arm 'plain' takes pairs as the data has them while arm 'half' sets a noise rate: all arms share the noisy "
        "places, so every pair of 'plain' would be noisy. Set its noise.rate (1 keeps every change)"
    )


@pytest.mark.parametrize(
    ("arm", "dataset", "fields", "said"),
    [
        (
            SAME,
            SYNTHETIC,
            {"splits": Splits(test_events=("x",))},
            "synthetic scenes have neither events nor a place on a map: remove splits.test_events",
        ),
        (
            SAME,
            SYNTHETIC,
            {"splits": Splits(by="blocks")},
            "synthetic scenes have neither events nor a place on a map",
        ),
        (
            SAME,
            MISLABELLED,
            {"splits": Splits(by="random")},
            "the dataset's train split has noisy labels (label_noise 0.2), and splits.by",
        ),
        (
            SAME,
            SYNTHETIC,
            {"labels": Labels(scheme="damage_levels")},
            "labels.scheme 'damage_levels' does not exist for synthetic scenes: take building or intact_damaged or",
        ),
        (
            SAME,
            XBD,
            {"labels": Labels(scheme="object_states")},
            "labels.scheme 'object_states' does not exist for xBD: take building or intact_damaged or damage_levels",
        ),
        (SAME, SYNTHETIC, {"chip_size": 96}, "chip_size 96 is larger than the scenes of 'synthetic' (64 pixels)"),
        (RANDOM, SYNTHETIC, {"chip_size": 96}, "chip_size 96 is larger than the scenes (64 pixels)"),
        (
            noisy(0.5, control="rerender"),
            XBD,
            {},
            "arm 'a': noise.control: only synthetic scenes can be rendered again; take control 'masked', "
            "'same_acquisition' or 'replace'",
        ),
        (
            noisy(0.5),
            XBD,
            {"method": SimCLR()},
            "arm 'a': a noise rate on real images takes control 'masked' by itself, which needs pixel_infonce with "
            "geometric matching or pixpro (found simclr)",
        ),
    ],
)
def test_what_does_not_fit_the_dataset_is_refused(
    arm: Arm, dataset: DatasetReference, fields: dict[str, Any], said: str
) -> None:
    assert refusal({"a": arm}, dataset, **fields).startswith(said)


ARMS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.sampled_from([RANDOM, SAME, noisy(0.0), noisy(0.5), noisy(0.5, control="rerender"), noisy(1.0)]),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(ARMS, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
def test_every_arm_and_seed_has_exactly_its_jobs(arms: dict[str, Arm], seeds: list[int]) -> None:
    jobs = plan(arms, seeds=tuple(seeds))
    assert len({job.key for job in jobs}) == len(jobs)
    seen: dict[tuple[str, int, str], int] = {}
    started: set[str] = set()
    for job in jobs:
        assert job.depends_on is None or job.depends_on in started
        started.add(job.key)
        for arm, seed in job.uses:
            seen[arm, seed, job.config.kind] = seen.get((arm, seed, job.config.kind), 0) + 1
            assert isinstance(job.config, PretrainJob | SegmentJob)
            assert job.config.seed == seed
            assert isinstance(job.config, SegmentJob) or arms[arm].pairing is not None
    pretrained = [name for name, arm in arms.items() if arm.pairing is not None]
    assert seen == {(arm, seed, "segment"): 1 for arm in arms for seed in seeds} | {
        (arm, seed, "pretrain"): 1 for arm in pretrained for seed in seeds
    }
