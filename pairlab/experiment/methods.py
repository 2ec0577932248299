"""Contrastive methods, the network they train, and how: each default cites where it comes from."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel, Share


class ChangeWeight(FrozenModel):
    """Pixel pairs count the less, the more their two images differ there: weight = exp(−r / scale).

    r is the change vector's length (as of change score cva) at the pixel, in standard deviations.
    """

    scale: float = Field(default=1.0, gt=0.0, le=100.0)
    """The r at which a pixel pair counts 1/e."""


class PixelInfoNCE(FrozenModel):
    """Dense InfoNCE: the same ground point in two views is the positive, other points and images are negatives.

    Source: the VADeR family (Pinheiro et al., 2020, arXiv 2011.05499, eq. 2).
    """

    name: Literal["pixel_infonce"] = "pixel_infonce"
    temperature: float = Field(default=0.2, gt=0.0, le=10.0)
    """τ; MoCo v2 and DenseCL use 0.2."""
    embedding_dim: int = Field(default=64, ge=2, le=4096)
    """Width of the 1×1-convolution projection."""
    points_per_pair: int = Field(default=32, ge=1, le=4096)
    """Matched points drawn from each pair of views; all others of the batch are their negatives."""
    matching: Literal["geometric", "feature"] = "geometric"
    """geometric: a point's positive is the same ground point. feature: it is the point of the other view whose features
    (the decoder's, before the projection) are most alike, as in DenseCL (Wang et al., 2021, arXiv 2011.09157)."""
    change_weight: ChangeWeight | None = None
    """Lets pixel pairs that look changed count less; null counts all alike."""


class SimCLR(FrozenModel):
    """NT-Xent on globally pooled features (Chen et al., 2020, arXiv 2002.05709, eq. 1)."""

    name: Literal["simclr"] = "simclr"
    temperature: float = Field(default=0.5, gt=0.0, le=10.0)
    """τ; 0.5 is the paper's choice for small batches and data sets (appendix B.9), 0.1 for ImageNet."""
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    """Output width of the projection head (paper: 128)."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of the projection head; the paper takes the width of the encoder's output."""


class VICReg(FrozenModel):
    """Variance, invariance and covariance of pooled features (Bardes et al., 2022, arXiv 2105.04906, eq. 6)."""

    name: Literal["vicreg"] = "vicreg"
    invariance_weight: float = Field(default=25.0, ge=0.0, le=10_000.0)
    """λ, how much the two views should agree; 25, 25 and 1 are the paper's (section 4.2)."""
    variance_weight: float = Field(default=25.0, ge=0.0, le=10_000.0)
    """μ, how much each dimension should vary over the batch."""
    covariance_weight: float = Field(default=1.0, ge=0.0, le=10_000.0)
    """ν, how little two dimensions should say the same."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Width of the expander's two hidden layers: the paper takes 4 × the features' width (8192 for ResNet-50), which is
    512 for the 128 channels of this network's features."""
    embedding_dim: int = Field(default=512, ge=2, le=16384)
    """Output width of the expander; as wide as its hidden layers, as in the paper."""


class BarlowTwins(FrozenModel):
    """Cross-correlation of pooled features against the identity (Zbontar et al., 2021, arXiv 2103.03230, eq. 1)."""

    name: Literal["barlow_twins"] = "barlow_twins"
    redundancy_weight: float = Field(default=5e-3, ge=0.0, le=100.0)
    """λ, how little two dimensions should say the same; 5e-3 is the paper's (section 2.2)."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Width of the projector's two hidden layers: the paper takes 4 × the features' width (8192 for ResNet-50), which
    is 512 for the 128 channels of this network's features."""
    embedding_dim: int = Field(default=512, ge=2, le=16384)
    """Output width of the projector; as wide as its hidden layers, as in the paper, which finds more to be better."""


class SimSiam(FrozenModel):
    """Prediction of one view's pooled features from the other's (Chen and He, 2021, arXiv 2011.10566, eq. 4).

    The paper lets the predictor's learning rate stay constant; here all weights share the pretraining's schedule.
    """

    name: Literal["simsiam"] = "simsiam"
    embedding_dim: int = Field(default=512, ge=2, le=16384)
    """Width of the projector's three layers: 512 as the other heads here; the paper takes the 2048 of ResNet-50."""
    predictor_dim: int = Field(default=128, ge=2, le=16384)
    """Hidden width of the predictor, a bottleneck: a quarter of the projector's, as in the paper (512 of 2048)."""


class BYOL(FrozenModel):
    """Prediction of what a momentum copy of the network makes of the other view (Grill et al., 2020, arXiv 2006.07733).

    The copy's momentum rises to 1 over the run, half a cosine (section 3.3).
    """

    name: Literal["byol"] = "byol"
    momentum: Share = 0.99
    """Of the copy at the first step. The paper has 0.996 for 1,000 epochs of ImageNet, the authors' code 0.99 for 100
    and 300; with 0.996, a run of 300 steps would end with a target that is still half random weights."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of projector and predictor: 512 as the other heads here; the paper takes 4096 for ResNet-50."""
    embedding_dim: int = Field(default=256, ge=2, le=16384)
    """Output width of projector and predictor (paper: 256)."""


class MoCo(FrozenModel):
    """MoCo v2: a query against a queue of a momentum copy's keys (Chen et al., 2020, arXiv 2003.04297)."""

    name: Literal["moco"] = "moco"
    temperature: float = Field(default=0.2, gt=0.0, le=10.0)
    """τ; 0.2 is MoCo v2's."""
    momentum: Share = 0.99
    """Of the copy, the same at every step: 0.999 in the paper, for the 5,000 steps of each of its epochs; 0.99 in the
    authors' demonstration on CIFAR-10."""
    queue_size: int = Field(default=512, ge=2, le=1_000_000)
    """Keys in the queue: 65,536 in the paper, of 1.28 million images. Small data need fewer, 512 for 1,000 to 2,000
    pairs and 2,048 for 4,000 to 10,000: in a queue as long as the list of pairs, a place meets its own older key as a
    negative."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of the projection head: 512 as the other heads here; the paper takes ResNet-50's 2048."""
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    """Output width of the projection head (paper: 128)."""
    key_parts: int = Field(default=2, ge=1, le=256)
    """Parts in which the copy sees a batch, each normalised by itself. Where a query and its key are normalised by the
    same images, their statistics give the pair away; the paper shuffles the keys over its GPUs against that (He et al.,
    2020, arXiv 1911.05722, section 3.3). On one device a shuffled batch has the same statistics, and parts stand in, of
    at least two images. 1 leaves it out."""


Method = Annotated[
    PixelInfoNCE | SimCLR | VICReg | BarlowTwins | SimSiam | BYOL | MoCo,
    Field(discriminator="name"),
]


def in_words(method: Method) -> str:
    """Returns the method's name, and how it matches where that is not by geometry."""
    matches_features = isinstance(method, PixelInfoNCE) and method.matching == "feature"
    return f"{method.name} with feature matching" if matches_features else method.name


def can_mask(method: Method) -> bool:
    """Whether a method matches positions by geometry, and can therefore exclude changed pixels (control: masked)."""
    return isinstance(method, PixelInfoNCE) and method.matching == "geometric"


class Network(FrozenModel):
    """Encoder and decoder of segmentation-models-pytorch; both are pretrained and both transfer."""

    encoder: str = Field(default="tu-resnet10t", pattern=r"^[A-Za-z0-9_.\-]{1,80}$")
    """A segmentation-models-pytorch encoder name; `tu-` takes the encoder from timm."""
    decoder: Literal["fpn", "unet"] = "fpn"
    decoder_channels: int = Field(default=256, ge=64, le=1024, multiple_of=64)
    """Width of the decoder at its coarsest level (FPN: of the pyramid, the features have half of it)."""


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
    """Length and optimiser of a pretraining run: AdamW with linear warm-up and cosine decay to zero."""

    steps: int = Field(default=300, ge=1, le=10_000_000)
    batch_size: int = Field(default=32, ge=2, le=65_536)
    """Pairs in an optimizer step."""
    learning_rate: float = Field(default=2e-3, gt=0.0, le=10.0)
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)
    """1e-4 as in MoCo v2 and DenseCL."""
    warmup_steps: int = Field(default=20, ge=0)
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between checkpoints."""
    augmentation: Augmentation = Augmentation()
