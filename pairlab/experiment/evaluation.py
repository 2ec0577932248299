"""How what a network predicts is judged: the window it slides over large scenes, and what counts as a boundary met."""

from pydantic import Field

from pairlab.experiment.model import FrozenModel

LARGEST_WHOLE = 512
"""Height and width, pixels, up to which scenes are predicted whole by default."""


class Evaluation(FrozenModel):
    """How scenes are predicted and scored, in every arm alike."""

    window: int | None = Field(default=None, ge=64, le=4096, multiple_of=32)
    """Height and width of the sliding window, pixels; scenes that fit in it are predicted whole. null is 512."""
    overlap: float = Field(default=0.25, ge=0.0, le=0.9)
    """Share of a window's side that the next one shares at least (MONAI's default)."""
    boundary_tolerance: int = Field(default=3, ge=0, le=100)
    """How far off a predicted boundary may lie, pixels: the strictest of the 3, 5, 9 and 12 that are usual for
    Cityscapes (Takikawa et al., Gated-SCNN, ICCV 2019)."""

    @property
    def window_size(self) -> int:
        """Height and width of the window, pixels."""
        return self.window or LARGEST_WHOLE
