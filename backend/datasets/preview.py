"""The pairs an arm would draw, before anything runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from pydantic import ValidationError

from backend.context import Context
from backend.datasets.distribution import histogram_of
from backend.datasets.drawn_pairs import draw_pairs_of
from backend.datasets.preview_schemas import (
    Balance,
    Filtered,
    PreviewPair,
    PreviewPoint,
    PreviewRequest,
    PreviewResponse,
    PreviewView,
    PreviewViews,
)
from backend.datasets.service import find_ready
from backend.urls import change_url, image_url
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Arm, Experiment, ExperimentError, problems_of
from pairlab.experiment.fit import ExpansionError
from pairlab.experiment.jobs import DatasetReference, PretrainJob
from pairlab.experiment.label_schemes import label_schemes
from pairlab.experiment.protocols import Labels
from pairlab.experiment.training import Pretraining
from pairlab.pairing.balance import balance_of
from pairlab.pairing.pair import Pair, PairList, Shot
from pairlab.scenes.scene import BoolArray, Scene, SceneSource
from pairlab.views.preview import ViewPair, preview_views

HISTOGRAM_BINS = 10
ARM = "previewed"
MOST_POINTS = 256
"""Points that a pair is shown with, the first that are drawn."""
DECIMALS = 3
"""Of pixels: finer than any screen."""


def preview_pairs(context: Context, request: PreviewRequest) -> PreviewResponse:
    """Returns some pairs of the arm an experiment would have, and figures over all that would be drawn.

    Raises:
        ExperimentError, ExpansionError: the pairing contradicts the method or does not fit the dataset.
        PairingRefused, SceneError, ScoreMissingError: as `draw_pairs_of`.
        ConflictError: the dataset is not indexed yet.
    """
    dataset = find_ready(context, request.dataset).reference
    return preview_of(context, config_of(request, dataset), first=request.first, count=request.count)


def config_of(request: PreviewRequest, dataset: DatasetReference) -> PretrainJob:
    """Returns the pretraining that an experiment with this one arm would run.

    Raises:
        ExperimentError, ExpansionError: there could be no such experiment.
    """
    try:
        experiment = Experiment(
            name=ARM,
            dataset=dataset.name,
            scenes=request.scenes,
            splits=request.splits,
            chip_size=request.chip_size,
            labels=Labels(scheme=label_schemes(dataset.config)[0]),
            method=request.method,
            pretraining=Pretraining(batch_size=request.batch_size, augmentation=request.augmentation),
            transductive=request.transductive,
            arms={ARM: Arm(pairing=request.pairing)},
            reference=ARM,
            seeds=(request.seed,),
        )
        jobs = expand(experiment, dataset)
    except ValidationError as error:
        raise ExperimentError(list(map(_unnamed, problems_of(error, model=Experiment)))) from error
    except ExpansionError as error:
        raise ExpansionError(_unnamed(str(error))) from error
    config = next(job.config for job in jobs if isinstance(job.config, PretrainJob))
    return config.model_copy(update={"places": request.places}) if request.places.noisy_only else config


def _unnamed(sentence: str) -> str:
    """Returns a sentence without the name of the arm, which the user did not give."""
    return sentence.replace(f"arm {ARM!r}: ", "")


def preview_of(context: Context, config: PretrainJob, *, first: int, count: int) -> PreviewResponse:
    """Returns `count` pairs of a pretraining from place `first` of its list on; raises what `draw_pairs_of` raises."""
    pairs, known = draw_pairs_of(context, config)
    scenes = {scene.name: scene for scene in known}
    low, high = np.searchsorted(pairs.position, [first, first + count]).tolist()
    rows = range(low, high)
    views = preview_views(
        pairs,
        rows,
        augmentation=config.pretraining.augmentation,
        method=config.method,
        seed=config.seed,
        changed=_changed(context, config, scenes),
        batch_size=config.pretraining.batch_size,
    )
    return PreviewResponse(
        pairs=[
            _read_pair(pairs[row], view, config=config, scenes=scenes, position=int(pairs.position[row]))
            for row, view in zip(rows, views, strict=True)
        ],
        drawn=len(pairs),
        asked_rate=config.pairing.noise.rate,
        realised_rate=pairs.realised_rate,
        asked_mismatch=config.pairing.noise.mismatch_rate,
        realised_mismatch=pairs.realised_mismatch,
        exposure_matched=pairs.exposure_matched,
        filtered=filtered_of(pairs),
        balance=read_balance(pairs, known),
        unknown_pairs=int(pairs.unknown.sum()),
        object_change_histogram=histogram_of(pairs.object_change, ends=(0.0, 1.0), bins=HISTOGRAM_BINS),
        chips=dict(pairs.pool),
        warnings=list(pairs.warnings),
    )


def filtered_of(pairs: PairList) -> Filtered | None:
    """Returns what a filter did, as the API tells it."""
    return None if pairs.filtered is None else Filtered.model_validate(pairs.filtered)


def read_balance(pairs: PairList, scenes: Sequence[Scene]) -> Balance:
    """Returns what pairs show, as the API tells it; `scenes` are those of the chips that they were drawn from."""
    return Balance.model_validate(balance_of(pairs, scenes))


def _changed(context: Context, config: PretrainJob, scenes: Mapping[str, Scene]) -> Callable[[Pair], BoolArray]:
    """Returns what tells where a pair's place has a relevant change or is unknown; labels alone are read for it."""

    @lru_cache(maxsize=1)
    def source() -> SceneSource:
        known = context.sources.known(config.dataset)
        return context.sources.open(config.dataset, known, draw=config.seed).source

    @lru_cache(maxsize=4)
    def of_scene(name: str) -> BoolArray:
        maps = source().change(scenes[name], pixels=False)
        return maps.changed | maps.unknown

    def of_pair(pair: Pair) -> BoolArray:
        place = pair.anchor
        return of_scene(place.scene)[place.y : place.y + pair.size, place.x : place.x + pair.size]

    return of_pair


def _read_pair(
    pair: Pair, views: ViewPair, *, config: PretrainJob, scenes: Mapping[str, Scene], position: int
) -> PreviewPair:
    dataset, draw = config.dataset, config.seed
    anchor, positive = pair.anchor, pair.positive
    place = {"y": anchor.y, "x": anchor.x, "chip": pair.size, "draw": draw}
    return PreviewPair(
        position=position,
        scene=anchor.scene,
        event=scenes[anchor.scene].event,
        y=anchor.y,
        x=anchor.x,
        positive_scene=positive.scene,
        positive_event=scenes[positive.scene].event,
        positive_y=positive.y,
        positive_x=positive.x,
        size=pair.size,
        anchor=_read_shot(anchor, pair.size, dataset, draw),
        positive=_read_shot(positive, pair.size, dataset, draw),
        changed_pixels=pair.changed_pixels,
        change_share=pair.change_share,
        object_change_share=pair.object_change_share,
        noisy=pair.noisy,
        unknown=pair.unknown,
        control=pair.control,
        mismatched=pair.mismatched,
        shift=pair.shift,
        score=pair.score,
        change_url=change_url(dataset, anchor.scene, **place),
        views=_read_views(views, pair.size),
    )


def _read_shot(shot: Shot, size: int, dataset: DatasetReference, draw: int) -> PreviewView:
    state = shot.state if shot.state != shot.acquisition else None
    place = {"y": shot.y, "x": shot.x, "chip": size, "draw": draw}
    return PreviewView(
        acquisition=shot.acquisition,
        state=shot.state,
        image_url=image_url(dataset, shot.scene, shot.acquisition, state=state, **place),
    )


def _read_views(views: ViewPair, size: int) -> PreviewViews:
    points_a, points_b = (
        np.round(points[:MOST_POINTS], DECIMALS).tolist() for points in (views.points_a, views.points_b)
    )
    return PreviewViews.model_validate(
        {
            "anchor": views.anchor.tolist(),
            "positive": views.positive.tolist(),
            "size": size,
            "reach": None if views.reach is None else round(views.reach, DECIMALS),
            "points": [
                PreviewPoint(a=a, b=b, excluded=excluded)
                for a, b, excluded in zip(points_a, points_b, views.excluded[:MOST_POINTS].tolist(), strict=True)
            ],
        }
    )
