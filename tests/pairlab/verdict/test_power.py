import numpy as np
import pytest
from scipy.stats import t

from pairlab.verdict.power import seeds_needed, tost_power, upper_deviation


@pytest.mark.parametrize(
    ("n", "deviation", "power"), [(5, 1.0, 0.294), (5, 1.5, 0.069), (10, 1.0, 0.795), (10, 1.5, 0.282)]
)
def test_power_without_a_difference_is_as_published_and_as_simulated(n: int, deviation: float, power: float) -> None:
    found = tost_power(n, deviation, margin=1.0)
    assert found == pytest.approx(power, abs=0.0005)
    values = deviation * np.random.default_rng(n).standard_normal((200_000, n))
    reach = t.ppf(0.95, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    inside = (np.abs(values.mean(axis=1)) + reach < 1.0).mean()
    assert found == pytest.approx(inside, abs=4 * np.sqrt(inside * (1 - inside) / 200_000))


@pytest.mark.parametrize("difference", [-1.0, 1.0])
def test_at_the_margin_power_is_at_most_alpha(difference: float) -> None:
    assert tost_power(200, 0.5, margin=1.0, difference=difference) == pytest.approx(0.05, abs=1e-4)
    assert tost_power(5, 1.5, margin=1.0, difference=difference) < 0.05


def test_power_grows_with_seeds_and_falls_with_the_difference() -> None:
    powers = [tost_power(n, 1.2, margin=1.0, alpha=0.05 / 3) for n in (2, 5, 10, 20, 80, 1000)]
    assert powers == sorted(powers)
    assert powers[-1] == pytest.approx(1.0)
    assert tost_power(10, 1.0, margin=1.0, difference=0.3) == pytest.approx(
        tost_power(10, 1.0, margin=1.0, difference=-0.3)
    )
    assert tost_power(10, 1.0, margin=1.0, difference=0.3) < tost_power(10, 1.0, margin=1.0)


def test_the_upper_bound_of_a_deviation_covers_it_four_times_in_five() -> None:
    deviations = np.random.default_rng(0).standard_normal((40_000, 5)).std(axis=1, ddof=1)
    assert np.mean([upper_deviation(float(each), 5) >= 1.0 for each in deviations]) == pytest.approx(0.8, abs=0.01)


def test_the_seeds_needed_are_the_first_look_with_enough_power() -> None:
    assert seeds_needed((5, 10, 20), 0.9, margin=1.0, alpha=0.05) == 10
    assert seeds_needed((5, 10, 20), 1.2, margin=1.0, alpha=0.05) == 20
    assert seeds_needed((5, 10, 20), 3.0, margin=1.0, alpha=0.05) is None
    assert seeds_needed((10, 20), 0.0, margin=1.0, alpha=0.05) == 10
    assert seeds_needed((), 0.1, margin=1.0, alpha=0.05) is None


def test_power_of_one_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="n of at least 2 and a positive deviation, got n 1"):
        tost_power(1, 1.0, margin=1.0)
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        upper_deviation(1.0, 1)
