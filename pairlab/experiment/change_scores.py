"""Unsupervised change scores: what tells without labels how much two images of a place differ."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from pairlab.experiment.model import FrozenModel


class Cva(FrozenModel):
    """Change vector analysis: length of the difference of two images' bands, in standard deviations (Malila, 1980).

    The later image's bands are brought to the earlier one's mean and deviation first.
    """

    name: Literal["cva"] = "cva"


class IrMad(FrozenModel):
    """Iteratively reweighted multivariate alteration detection (Nielsen, 2007).

    The differences of canonical variates, which no linear change of light or colour moves, as chi-squared over its
    degrees of freedom.
    """

    name: Literal["irmad"] = "irmad"
    iterations: int = Field(default=30, ge=1, le=200)


class EmbeddingDistance(FrozenModel):
    """Cosine distance of an encoder's features, in [0, 2]."""

    name: Literal["embedding"] = "embedding"
    weights: Annotated[str, Field(pattern=r"^(published|random|[0-9a-f]{64})$")] = "published"
    """published: the encoder's weights as its authors published them (downloaded once). random: none. Otherwise the key
    of a finished pretraining on this installation."""
    encoder: str = Field(default="tu-resnet18", pattern=r"^[A-Za-z0-9_.\-]{1,80}$")
    """A segmentation-models-pytorch encoder; a pretraining has its own, and then this is left at its default."""

    @field_validator("encoder")
    @classmethod
    def _of_the_pretraining(cls, encoder: str, info: ValidationInfo) -> str:
        """Returns one name for all where it does not count, so that equal scores are one job."""
        own = info.data.get("weights") in ("published", "random")
        return encoder if own else str(cls.model_fields["encoder"].default)


ChangeScore = Annotated[Cva | IrMad | EmbeddingDistance, Field(discriminator="name")]
