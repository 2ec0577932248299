"""Colours of arms, curves and states of jobs, the same on every screen."""

from collections.abc import Sequence

ARM_COLOURS = ("#1F7FC4", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#9467BD")
"""Okabe and Ito's set, its blue lightened for dark ground and its yellow darkened for white."""
BASELINE_COLOUR = "#8A9194"
LINE_COLOUR = "#0B7E89"

STATUS_COLOURS = {
    "blocked": "gray",
    "queued": "gray",
    "running": "blue",
    "paused": "orange",
    "lost": "orange",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "gray",
}


def arm_colours(arms: Sequence[str], baselines: Sequence[str]) -> dict[str, str]:
    """Returns each arm's colour by its place in the experiment; baselines are grey."""
    trained = [arm for arm in arms if arm not in baselines]
    colours = {arm: ARM_COLOURS[place % len(ARM_COLOURS)] for place, arm in enumerate(trained)}
    return {arm: colours.get(arm, BASELINE_COLOUR) for arm in arms}


def curve_colours(names: Sequence[str]) -> dict[str, str]:
    """Returns a colour for each curve of a chart, in their order."""
    return {name: ARM_COLOURS[place % len(ARM_COLOURS)] for place, name in enumerate(names)}
