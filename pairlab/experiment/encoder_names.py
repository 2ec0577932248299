"""The names of encoders, known without their libraries: a list that `python -m pairlab.encoder_list` writes."""

from difflib import get_close_matches
from functools import cache
from pathlib import Path

from pairlab.experiment.model import FrozenModel

FILE = Path(__file__).with_name("encoder_names.json")
LIBRARIES = ("segmentation-models-pytorch", "timm")
TIMM = ("tu-", "timm-")
"""What names begin with that segmentation-models-pytorch takes from timm."""


class EncoderList(FrozenModel):
    """The encoders of certain versions of the libraries."""

    versions: dict[str, str]
    """Of LIBRARIES: others may have other encoders."""
    own: tuple[str, ...]
    """Of segmentation-models-pytorch."""
    timm: tuple[str, ...]
    """Without the `tu-`."""


@cache
def listed_encoders() -> EncoderList:
    """Returns the list."""
    return EncoderList.model_validate_json(FILE.read_text())


def is_listed(encoder: str) -> bool:
    """Returns whether an encoder is in the list; a tag of weights (`.a1_in1k`) is no part of its name."""
    known = listed_encoders()
    prefix, _, name = encoder.partition("-")
    return encoder in known.own or (f"{prefix}-" in TIMM and name.partition(".")[0] in known.timm)


def encoders_like(encoder: str) -> list[str]:
    """Returns the names of the list that look most like this one, at most three, the nearest first."""
    known = listed_encoders()
    names = [*known.own, *(f"tu-{name}" for name in known.timm)]
    return get_close_matches(encoder, names, n=3) or get_close_matches(f"tu-{encoder}", names, n=3)
