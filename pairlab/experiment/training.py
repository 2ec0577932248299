"""How a network is pretrained, whatever the method: length, optimizer and augmentation."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel, Share


class Augmentation(FrozenModel):
    """How each view differs from its chip; photometric factors act in [0, 1], before standardisation."""

    crop_scale: tuple[Share, Share] = (0.4, 1.0)
    """Area of the crop as a share of the chip (SimCLR: 0.08 to 1; chips are small, so more is kept)."""
    flips: bool = True
    """Random flips and quarter turns: overhead images have no up."""
    brightness: float = Field(default=0.4, ge=0.0, le=1.0)
    """Largest change of light as a share, here and below as in MoCo v2 (Chen et al., 2020, arXiv 2003.04297)."""
    contrast: float = Field(default=0.4, ge=0.0, le=1.0)
    saturation: float = Field(default=0.4, ge=0.0, le=1.0)
    hue: float = Field(default=0.1, ge=0.0, le=0.5)
    """Largest shift of hue as a share of the colour circle."""
    grayscale: Share = 0.2
    """Probability of a grey view."""
    blur: Share = 0.5
    """Probability of a Gaussian blur."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.crop_scale
        if not 0.0 < low <= high:
            raise ValueError(f"crop_scale must be [low, high] with 0 < low ≤ high ≤ 1, got {[low, high]}")
        return self


class Pretraining(FrozenModel):
    """Length, optimizer and precision of a pretraining run."""

    steps: int = Field(default=300, ge=1, le=10_000_000)
    batch_size: int = Field(default=32, ge=2, le=65_536)
    """Pairs in an optimizer step."""
    parts: int = Field(default=1, ge=1, le=256)
    """Parts in which the images of a step go through the network, each normalised by itself: one after another on one
    device (which needs that much less memory, for one more forward pass), or side by side on as many. The loss is that
    of the whole batch either way, all its negatives included."""
    optimizer: Literal["adamw", "sgd", "lars"] = "adamw"
    """adamw (Loshchilov and Hutter, 2019); sgd with momentum, as MoCo, DenseCL and SimSiam; lars (You et al., 2017), as
    SimCLR, BYOL, VICReg, Barlow Twins and PixPro with their large batches."""
    learning_rate: float = Field(default=2e-3, gt=0.0, le=100.0)
    scale_learning_rate: bool = False
    """Multiplies the learning rate by batch_size / 256: the papers give their rates for 256 images."""
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)
    """1e-4 as in MoCo v2 and DenseCL."""
    momentum: Share = 0.9
    """Of sgd and lars."""
    schedule: Literal["cosine", "milestones", "constant"] = "cosine"
    """After the warm-up: half a cosine to zero, as all but MoCo v1 and SeCo; a tenth from 60 % and a hundredth from
    80 % of the steps on, as these two; or no change."""
    warmup_steps: int = Field(default=20, ge=0)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 where the device multiplies it, else float16 on a GPU, else float32."""
    compile: Literal["auto", "never", "always"] = "auto"
    """Whether torch.compile translates the network first; auto where that pays."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between checkpoints."""
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.batch_size < 2 * self.parts:
            raise ValueError(
                f"batch_size {self.batch_size} in {self.parts} parts leaves fewer than two pairs in a part, too few to "
                "normalise by; lower parts or raise batch_size"
            )
        return self
