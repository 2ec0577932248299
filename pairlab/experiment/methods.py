"""Contrastive methods: each default cites where it comes from."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel, Share

GridStride = Literal[4, 8, 16, 32]
"""Pixels of a view along a side of a cell; a coarser grid forgives larger offsets of the two images."""
MatchTolerance = Annotated[float, Field(ge=0.0, le=128.0)]
"""Source pixels."""


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
    grid_stride: GridStride = 4
    """Pixels of a view that one cell of the embedding grid covers along each side."""
    match_tolerance_px: MatchTolerance = 0.0
    """Geometric matching: all cells of the other view whose centres lie within this distance of the point, on the
    ground, are its positives, and the loss takes whichever of them fit (as MIL-NCE does: Miech et al., 2020, arXiv
    1912.06430). 0 takes the one cell that holds the point. Images of two dates are offset by 3 to 20 pixels on xBD."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.matching == "feature" and self.match_tolerance_px > 0:
            raise ValueError(
                f"match_tolerance_px {self.match_tolerance_px:g} widens geometric matching; with matching: feature the "
                "most alike cell is the positive wherever it lies, so remove one of both"
            )
        return self


class SimCLR(FrozenModel):
    """NT-Xent on globally pooled features (Chen et al., 2020, arXiv 2002.05709, eq. 1)."""

    name: Literal["simclr"] = "simclr"
    temperature: float = Field(default=0.2, gt=0.0, le=10.0)
    """τ; 0.2 as MoCo v2 has it and as was measured here (docs/methods.md). The paper has 0.1 for ImageNet and 0.5 for
    CIFAR-10 (appendix B.9)."""
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    """Output width of the projection head (paper: 128)."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of the projection head: half the 1,024 channels that all levels of resnet10t have; the paper takes
    the width of the encoder's output."""


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
    """Width of the expander's two hidden layers: the paper takes 4 × the features' width (8192 for ResNet-50); here
    half the width of all levels of resnet10t (1,024 channels), since batches are small."""
    embedding_dim: int = Field(default=512, ge=2, le=16384)
    """Output width of the expander; as wide as its hidden layers, as in the paper."""


class BarlowTwins(FrozenModel):
    """Cross-correlation of pooled features against the identity (Zbontar et al., 2021, arXiv 2103.03230, eq. 1)."""

    name: Literal["barlow_twins"] = "barlow_twins"
    redundancy_weight: float = Field(default=0.02, ge=0.0, le=100.0)
    """λ, how little two dimensions should say the same. The paper has 5e-3 for 8192 dimensions (section 2.2), and what
    redundancy costs beside agreement grows with λ times their number; so few dimensions take a larger λ."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Width of the projector's two hidden layers, as of VICReg."""
    embedding_dim: int = Field(default=128, ge=2, le=16384)
    """Output width of the projector: four for each pair of a batch of 32, the paper's ratio (8192 for 2048)."""


class SimSiam(FrozenModel):
    """Prediction of one view's pooled features from the other's (Chen and He, 2021, arXiv 2011.10566, eq. 4).

    The predictor's learning rate stays as it is after the warm-up, as in the authors' code.
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
    momentum: Share = 0.9
    """Of the copy at the first step. The paper has 0.996 for 1,000 epochs of ImageNet, the authors' code 0.99 for 100
    and 300. Runs of some hundred steps need less: at 0.99 the target is random weights for most of them, and nothing
    was learned in 100 steps; at 0.9 a probe gained 12.8 points in 250 (docs/methods.md)."""
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
    queue_size: int = Field(default=0, ge=0, le=1_000_000)
    """Keys in the queue: 65,536 in the paper, of 1.28 million images. 0 takes the batch's other keys for negatives, as
    MoCo v3 (Chen et al., 2021, arXiv 2104.02057): in a short run the copy changes so much from step to step that older
    keys are told apart by their age. Above 0, half of the pairs at most: in a queue as long as the list of pairs, a
    place meets its own older key as a negative."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of the projection head: 512 as the other heads here; the paper takes ResNet-50's 2048."""
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    """Output width of the projection head (paper: 128)."""
    key_parts: int = Field(default=2, ge=1, le=256)
    """Parts in which the copy sees a batch, each normalised by itself. Where a query and its key are normalised by the
    same images, their statistics give the pair away; the paper shuffles the keys over its GPUs against that (He et al.,
    2020, arXiv 1911.05722, section 3.3). On one device a shuffled batch has the same statistics, and parts stand in, of
    at least two images. 1 leaves it out."""


class DenseCL(FrozenModel):
    """MoCo v2 on pooled features, and on cells matched by their features (Wang et al., 2021, arXiv 2011.09157)."""

    name: Literal["densecl"] = "densecl"
    temperature: float = Field(default=0.2, gt=0.0, le=10.0)
    """τ of both losses (section 4.1)."""
    dense_weight: Share = 0.5
    """λ, how much the dense loss counts beside the global one (eq. 4)."""
    dense_warmup_steps: int = Field(default=0, ge=0)
    """Steps in which the global loss counts alone."""
    place_steps: int = Field(default=100, ge=0)
    """Steps in which a cell's key is the one that shows the same ground; then the one whose features are most alike, as
    in the paper. Matches of random features are chance (9 in 100 lay on the same place), and cells that are pulled
    towards chance matches lose what tells them apart."""
    momentum: Share = 0.9
    """Of the copy: 0.999 in the paper, whose 1,000 steps are a hundredth of a run or less. At 0.99 a copy is a third
    random weights even after 100 steps; without a queue nothing needs keys that change slowly."""
    queue_size: int = Field(default=0, ge=0, le=1_000_000)
    """Keys in each of the two queues, 65,536 in the paper. 0 takes the batch for negatives, as MoCo v3 (Chen et al.,
    2021, arXiv 2104.02057): its other images, and eight cells of each image. In a short run at a high rate older keys
    are told apart by their age, and pooled keys from cells by pointing away from the mean of all: losses fell by that
    alone, and went back to chance as the rate did."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of both heads: 512 as the other heads here; the paper takes ResNet-50's 2048."""
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    """Output width of both heads (paper: 128)."""
    key_parts: int = Field(default=2, ge=1, le=256)
    """Parts in which the copy sees a batch, as of MoCo v2."""
    grid_stride: GridStride = 8
    """Pixels of a view that one cell covers along each side; the paper's grid is 7 × 7 for 224 pixels."""


class PixPro(FrozenModel):
    """Cells that lie close on the ground agree, after each was smoothed by what is like it (Xie et al., 2021).

    Source: Propagate Yourself, arXiv 2011.10043. The copy's momentum rises to 1 over the run, half a cosine.
    """

    name: Literal["pixpro"] = "pixpro"
    threshold: float = Field(default=0.7, gt=0.0, le=10.0)
    """T, how far apart the centres of two matching cells may lie, in diagonals of the larger cell (section 3.1)."""
    match_tolerance_px: MatchTolerance = 0.0
    """The same in source pixels, where that is more: images of two dates are offset by 3 to 20 pixels on xBD."""
    sharpness: float = Field(default=2.0, gt=0.0, le=16.0)
    """γ of the similarity that a cell is smoothed by (eq. 4)."""
    momentum: Share = 0.99
    """Of the copy at the first step (section 4.1)."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of the projector: 512 as the other heads here; the paper takes 4096 for ResNet-50."""
    embedding_dim: int = Field(default=256, ge=2, le=4096)
    """Output width of the projector (paper: 256)."""
    grid_stride: GridStride = 8
    """Pixels of a view that one cell covers along each side; the paper's grid is 7 × 7 for 224 pixels."""


class VICRegL(FrozenModel):
    """VICReg on pooled features and on cells matched by place and by features.

    Source: Bardes et al., 2022, arXiv 2210.01571.
    """

    name: Literal["vicregl"] = "vicregl"
    alpha: Share = 0.75
    """α, how much the global criterion counts beside the local ones (eq. 4 and table 1)."""
    invariance_weight: float = Field(default=25.0, ge=0.0, le=10_000.0)
    """λ; 25, 25 and 1 are VICReg's."""
    variance_weight: float = Field(default=25.0, ge=0.0, le=10_000.0)
    """μ."""
    covariance_weight: float = Field(default=1.0, ge=0.0, le=10_000.0)
    """ν."""
    location_matches: int = Field(default=20, ge=0, le=4096)
    """γ of matching by place: the closest so many pairs of cells of two views (section 4)."""
    feature_matches: int = Field(default=4, ge=0, le=4096)
    """γ of matching by features: the most alike so many pairs of cells of two views.
    The numbers 20 and 4 are the authors', for large and small crops in the paper and for the first and second view in
    their code; here there is one size of crop, and both views count alike."""
    match_tolerance_px: float | None = Field(default=None, gt=0.0, le=128.0)
    """How far apart cells matched by place may lie, source pixels; null is the diagonal of the larger cell. The paper
    has no such limit, and matches cells of views that do not overlap."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Width of the expanders' hidden layers, as of VICReg."""
    embedding_dim: int = Field(default=512, ge=2, le=16384)
    """Output width of the global expander, as of VICReg."""
    local_dim: int = Field(default=128, ge=2, le=16384)
    """Width of all layers of the local expander; the paper takes 512 of ResNet-50's 2048."""
    grid_stride: GridStride = 8
    """Pixels of a view that one cell covers along each side; the paper's grid is 7 × 7 for 224 pixels."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.alpha < 1 and not (self.location_matches or self.feature_matches):
            raise ValueError(
                f"alpha {self.alpha:g} gives weight to local matches and both location_matches and feature_matches are "
                "0; raise one of them, or take method vicreg"
            )
        return self


class SeCo(FrozenModel):
    """MoCo v2 in three subspaces: of what nothing changes, of what dates change, and of what augmentation changes.

    Source: Mañas et al., 2021, arXiv 2103.16607. Needs pairs of two dates. A pair gives four views: each of its images
    as each of its two views is cropped and lit.
    """

    name: Literal["seco"] = "seco"
    temperature: float = Field(default=0.2, gt=0.0, le=10.0)
    """τ; MoCo v2's. The authors' code has 0.07."""
    momentum: Share = 0.99
    """Of the copy: see MoCo v2."""
    queue_size: int = Field(default=0, ge=0, le=1_000_000)
    """Keys in the queue of each subspace: 16,384 in the authors' code, for a million images. 0 takes the keys of the
    batch's other places, as of MoCo v2."""
    hidden_dim: int = Field(default=512, ge=2, le=16384)
    """Hidden width of each head: 512 as the other heads here; the paper takes the width of the encoder's output."""
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    """Output width of each head (paper: 128)."""
    key_parts: int = Field(default=2, ge=1, le=256)
    """Parts in which the copy sees a batch, as of MoCo v2."""


Method = Annotated[
    PixelInfoNCE | DenseCL | PixPro | VICRegL | SimCLR | MoCo | BYOL | SimSiam | VICReg | BarlowTwins | SeCo,
    Field(discriminator="name"),
]


def in_words(method: Method) -> str:
    """Returns the method's name, and how it matches where that is not by geometry."""
    matches_features = isinstance(method, PixelInfoNCE) and method.matching == "feature"
    return f"{method.name} with feature matching" if matches_features else method.name


def can_mask(method: Method) -> bool:
    """Whether a method matches positions by geometry alone, and can exclude changed pixels (control: masked)."""
    return isinstance(method, PixPro) or (isinstance(method, PixelInfoNCE) and method.matching == "geometric")


def trains_decoder(method: Method) -> bool:
    """Whether a method learns from the decoder's features.

    The others learn from the encoder's, pooled, and leave the decoder as it was.
    """
    return isinstance(method, PixelInfoNCE | DenseCL | PixPro | VICRegL)


def needs_two_images(method: Method) -> bool:
    """Whether a method has nothing to learn from pairs that show one image twice."""
    return isinstance(method, SeCo)
