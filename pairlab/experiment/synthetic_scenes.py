"""The knobs of the scene generator, and presets that freeze them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pairlab.experiment.model import FrozenModel, Share

CROWDED = 0.6
"""Greatest share of a scene that the most objects, of mean size, may take with 2 pixels of ground around each: up to
here 19 of 20 objects find a place."""


class SyntheticScenes(FrozenModel):
    """The knobs of the scene generator. A preset freezes them before any arms are compared.

    Every purpose has random numbers of its own: turning a nuisance, a texture, the classes, the change or the labels
    leaves everything else in the scenes as it was.
    """

    size: int = Field(default=64, ge=32, le=1024, multiple_of=32)
    """Height and width of a scene, pixels."""
    object_classes: int = Field(default=3, ge=1, le=8)
    """Classes of objects; each has a pattern of its own."""
    class_weights: tuple[Annotated[float, Field(gt=0.0, le=1000.0)], ...] = Field(default=(), max_length=8)
    """How often each object class is drawn, relative to the others; empty: equally often."""
    objects: tuple[int, int] = (3, 7)
    """Least and most objects in a scene."""
    object_size: tuple[int, int] = (9, 20)
    """Least and greatest side of an object, pixels."""
    placement_tries: int = Field(default=500, ge=1, le=10_000)
    """Places tried for an object before the scene goes without it."""
    texture_scale: float = Field(default=1.0, ge=0.75, le=4.0)
    """Size of the objects' patterns; at 1 the stripes of the first class are 5 pixels apart."""
    separability: Share = 1.0
    """How torn a damaged object's texture is: 0 not at all, 1 beyond recognition."""
    illumination: Share = 0.5
    """Strength of the light's difference between acquisitions (0 none, 1 greatest)."""
    colour: Share = 0.5
    """Strength of the colour cast."""
    haze: Share = 0.5
    """Strength of the haze."""
    season: Share = 0.0
    """Strength of the season: plants turn green or brown, bare ground dry or wet; objects stay as they are."""
    blur: Share = 0.0
    """Strength of the optical blur; at 1 its standard deviation is drawn from 0 to 2 pixels."""
    sensor_noise: Share = 0.5
    """Strength of the sensor's noise."""
    parallax_px: float = Field(default=0.0, ge=0.0, le=64.0)
    """Off-nadir view: standard deviation, down and across, of the objects' displacement in the last acquisition, whole
    pixels; the ground stays."""
    misregistration_px: float = Field(default=0.0, ge=0.0, le=64.0)
    """Standard deviation, down and across, of the whole last acquisition's displacement, whole pixels."""
    change_rate: Share = 0.8
    """Share of scenes with a relevant change."""
    change_extent: tuple[Share, Share] = (0.3, 0.8)
    """Share of a changed scene's object pixels that change, approached by whole objects."""
    change_where: Literal["objects", "regions"] = "objects"
    """What changes: objects one by one, or all objects of a contiguous region and none outside."""
    label_noise: Share = 0.0
    """Share of objects in the train split whose label tells the other state. Labels of validation and test and the
    change map stay true."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("objects", "object_size", "change_extent"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be [low, high], got {[low, high]}")
        if self.objects[0] < 1 or self.object_size[0] < 4:
            raise ValueError("a scene needs at least 1 object, and an object a side of at least 4 pixels")
        if self.objects[1] > 250:
            raise ValueError(f"objects: a scene holds at most 250, got {self.objects[1]}")
        if self.object_size[1] > self.size:
            raise ValueError(f"objects of {self.object_size[1]} pixels do not fit into scenes of {self.size}")
        fit = max(1, int(CROWDED * self.size**2 / (sum(self.object_size) / 2 + 4) ** 2))
        if self.objects[1] > fit:
            raise ValueError(
                f"objects: {self.objects[1]} of {self.object_size[0]} to {self.object_size[1]} pixels find no place in "
                f"a scene of {self.size}, at most {fit} do: lower objects or object_size, or raise size"
            )
        if self.class_weights and len(self.class_weights) != self.object_classes:
            raise ValueError(
                f"class_weights must have one number for each of {self.object_classes} object_classes, "
                f"got {len(self.class_weights)}"
            )
        for name in ("parallax_px", "misregistration_px"):
            if getattr(self, name) > self.size / 16:
                raise ValueError(
                    f"{name} {getattr(self, name):g} moves too much out of sight: at most a sixteenth of size, "
                    f"{self.size / 16:g}"
                )
        return self


PRESETS: dict[str, SyntheticScenes] = {
    "quickstart": SyntheticScenes(placement_tries=20),
    "noise-rate": SyntheticScenes(change_rate=1.0),
    "extent": SyntheticScenes(objects=(7, 12), object_size=(7, 11), change_rate=1.0, change_extent=(0.0, 1.0)),
    "regions": SyntheticScenes(size=128, objects=(12, 22), change_where="regions"),
    "change-only": SyntheticScenes(illumination=0.0, colour=0.0, haze=0.0, sensor_noise=0.0),
    "nuisance": SyntheticScenes(illumination=1.0, colour=1.0, haze=1.0, season=1.0, blur=1.0, sensor_noise=1.0),
    "season": SyntheticScenes(season=1.0),
    "off-nadir": SyntheticScenes(parallax_px=2.0),
    "misregistration": SyntheticScenes(misregistration_px=3.0),
    "separability": SyntheticScenes(separability=0.25),
    "coarse-texture": SyntheticScenes(objects=(2, 3), object_size=(16, 28), texture_scale=2.5),
    "many-classes": SyntheticScenes(object_classes=8),
    "class-balance": SyntheticScenes(class_weights=(16.0, 4.0, 1.0)),
    "label-noise": SyntheticScenes(label_noise=0.2),
}
"""Frozen: another question is another preset."""

QUESTIONS: dict[str, str] = {
    "quickstart": "Does pretraining on pairs pay off within minutes?",
    "noise-rate": "How many noisy pairs does pretraining bear? Every scene has a change.",
    "extent": "How much of a noisy pair may change? Many small objects give every share.",
    "regions": "Does it matter that damage comes in whole neighbourhoods?",
    "change-only": "What does a change do by itself, with nothing else between the acquisitions?",
    "nuisance": "Do light, haze, season and sensor at their strongest drown the change?",
    "season": "Is a season's change of the ground learnt away without the damage?",
    "off-nadir": "Do outlines that merely move, because the sensor leans, hurt?",
    "misregistration": "How well must acquisitions lie on each other?",
    "separability": "What if damage is hard to see?",
    "coarse-texture": "Does it hold for textures as coarse as the embedding's grid?",
    "many-classes": "Are many classes of objects told apart?",
    "class-balance": "What becomes of a rare class of objects?",
    "label-noise": "What is pretraining worth where every fifth training label is wrong?",
}
"""What each preset was made to answer."""


def turn_knobs(scenes: SyntheticScenes, knobs: Mapping[str, Any]) -> SyntheticScenes:
    """Returns the scenes with some knobs turned; `scenes` itself where there are none.

    Raises:
        ValueError: an unknown knob, or a value that it or the others do not allow; the message names the knob.
    """
    if not knobs:
        return scenes
    known = SyntheticScenes.model_fields
    for name in knobs:
        if name not in known:
            raise ValueError(f"unknown knob {str(name)[:40]!r}; there are: {', '.join(known)}")
    try:
        return SyntheticScenes.model_validate({**scenes.model_dump(), **knobs})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(each) for each in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {message}, got {repr(first['input'])[:80]}" if place else message) from error
