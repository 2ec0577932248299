import pytest
from pydantic import ValidationError

from pairlab.experiment.pairing import Noise, Pairing


@pytest.mark.parametrize("extent", [(0.5, 0.4), (1.0, 0.0)])
def test_an_extent_has_a_low_and_a_high_end(extent: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=r"extent must be \[low, high\], got"):
        Noise(rate=0.5, extent=extent)


def test_a_control_needs_a_rate() -> None:
    with pytest.raises(ValidationError, match=r"control 'masked' replaces noisy pairs .*: set noise\.rate as well"):
        Noise(control="masked")


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValidationError, match="rate"):
        Noise(rate=rate)


@pytest.mark.parametrize("noise", [Noise(rate=0.0), Noise(extent=(0.1, 1.0)), Noise(rate=0.5, control="rerender")])
def test_the_same_image_cannot_be_noisy(noise: Noise) -> None:
    with pytest.raises(ValidationError, match=r"same_image .* cannot be noisy: remove noise\.rate and noise\.extent"):
        Pairing(policy="same_image", noise=noise)


def test_temporal_pairs_have_no_fixed_date() -> None:
    with pytest.raises(ValidationError, match="acquisition cannot be fixed to 'post': remove it"):
        Pairing(policy="temporal", acquisition="post")
    assert Pairing(policy="same_image", acquisition="post").acquisition == "post"


def test_a_budget_has_at_least_a_pair_and_a_negative() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Pairing(policy="temporal", pairs=1)
