"""The pairs an arm would draw, before anything runs."""

from backend.context import Context
from backend.datasets.distribution import histogram_of
from backend.datasets.schemas import PreviewPair, PreviewRequest, PreviewResponse, PreviewView
from backend.datasets.service import find_ready
from backend.errors import InvalidError
from backend.urls import change_url, image_url
from pairlab.experiment.expansion import DatasetReference
from pairlab.experiment.pairing import Pairing, Places
from pairlab.pairing.drawing import draw_pairs
from pairlab.pairing.pair import Pair, Shot
from pairlab.scenes.splits import assign_splits

HISTOGRAM_BINS = 10


def preview_pairs(context: Context, request: PreviewRequest) -> PreviewResponse:
    """Returns the first pairs of the train split, and figures over all that would be drawn.

    Raises:
        PairingRefused: the data cannot meet the request.
        SceneError: no scene passes the filter, or a split has none.
        ConflictError: the dataset is not indexed yet.
    """
    found = find_ready(context, request.dataset)
    dataset = found.reference
    chips = context.sources.chips(dataset, chip_size=request.chip_size, draw=request.seed, scenes=request.scenes)
    scenes = {scene.name: scene for scene in chips.scenes}
    if request.splits.official:  # the dataset's own splits, of which a preview needs train alone
        assigned = {scene.name: scene.split for scene in chips.scenes}
    else:
        assigned = assign_splits(chips.scenes, request.splits)
    train = {name for name, split in assigned.items() if split == "train"}
    pairs = draw_pairs(
        chips.of_scenes(train),
        acquisitions=chips.scenes[0].acquisitions,
        pairing=_resolve_control(request.pairing, dataset),
        places=_places(request),
        seed=request.seed,
    )
    return PreviewResponse(
        pairs=[
            _read_pair(pair, scenes[pair.anchor.scene].event, dataset, request.seed) for pair in pairs[: request.count]
        ],
        drawn=len(pairs),
        asked_rate=request.pairing.noise.rate,
        realised_rate=pairs.realised_rate,
        unknown_pairs=int(pairs.unknown.sum()),
        object_change_histogram=histogram_of(pairs.object_change, ends=(0.0, 1.0), bins=HISTOGRAM_BINS),
        chips=pairs.pool,
        warnings=list(pairs.warnings),
    )


def _resolve_control(pairing: Pairing, dataset: DatasetReference) -> Pairing:
    """Returns the pairing with the control an experiment would take where none is named."""
    synthetic = dataset.config.kind == "synthetic"
    if pairing.noise.control == "rerender" and not synthetic:
        raise InvalidError("pairing.noise.control: only synthetic scenes can be rendered again; take control 'masked'")
    if pairing.noise.rate is None or pairing.noise.control is not None:
        return pairing
    noise = pairing.noise.model_copy(update={"control": "rerender" if synthetic else "masked"})
    return pairing.model_copy(update={"noise": noise})


def _places(request: PreviewRequest) -> Places:
    """Returns the pool: the noisy places as soon as the arm sets a rate, as in every experiment."""
    noise = request.pairing.noise
    if noise.rate is None or request.places.noisy_only:
        return request.places
    return Places(noisy_only=True, extent=noise.extent, min_changed_pixels=noise.min_changed_pixels)


def _read_pair(pair: Pair, event: str, dataset: DatasetReference, draw: int) -> PreviewPair:
    place = {"y": pair.anchor.y, "x": pair.anchor.x, "chip": pair.size, "draw": draw}

    def view(shot: Shot) -> PreviewView:
        state = shot.state if shot.state != shot.acquisition else None
        return PreviewView(
            acquisition=shot.acquisition,
            state=shot.state,
            image_url=image_url(dataset, shot.scene, shot.acquisition, state=state, **place),
        )

    return PreviewPair(
        scene=pair.anchor.scene,
        event=event,
        y=pair.anchor.y,
        x=pair.anchor.x,
        size=pair.size,
        anchor=view(pair.anchor),
        positive=view(pair.positive),
        changed_pixels=pair.changed_pixels,
        change_share=pair.change_share,
        object_change_share=pair.object_change_share,
        noisy=pair.noisy,
        unknown=pair.unknown,
        control=pair.control,
        change_url=change_url(dataset, pair.anchor.scene, **place),
    )
