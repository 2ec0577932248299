from itertools import combinations

from frontend.palette import ARM_COLOURS, BASELINE_COLOUR, arm_colours, curve_colours


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_an_arm_keeps_its_colour_wherever_baselines_stand() -> None:
    first = arm_colours(["random", "a", "b"], ["random"])
    last = arm_colours(["a", "b", "random"], ["random"])
    assert first == last == {"random": BASELINE_COLOUR, "a": ARM_COLOURS[0], "b": ARM_COLOURS[1]}


def test_every_arm_has_a_colour_however_many_there_are() -> None:
    arms = [f"arm {number}" for number in range(40)]
    assert set(arm_colours(arms, [])) == set(arms)


def test_colours_differ_and_stand_out_on_both_grounds() -> None:
    colours = [*ARM_COLOURS, BASELINE_COLOUR]
    assert all(one != other for one, other in combinations(colours, 2))
    assert min(contrast(colour, "#FFFFFF") for colour in colours) > 2.0
    assert min(contrast(colour, "#11191B") for colour in colours) > 3.0


def test_curves_take_colours_in_their_order() -> None:
    assert list(curve_colours(["intact", "damaged"]).items()) == [
        ("intact", ARM_COLOURS[0]),
        ("damaged", ARM_COLOURS[1]),
    ]
