"""What a plan says of the segmentation: labels there are not, and comparisons that lack something."""

import math
from collections.abc import Sequence

import numpy as np

from pairlab.experiment.experiment import Experiment
from pairlab.scenes.index import ChipIndex

UNCLASSIFIED = "un-classified"
"""xBD's class of buildings that labels.unclassified: own-class adds behind a scheme's."""
MEMORY = 8 << 30
"""Bytes of labelled chips that a job holds at most."""


def label_problems(experiment: Experiment, train: ChipIndex, classes: Sequence[str], *, bands: int) -> list[str]:
    """Returns a sentence for everything that the dataset's labels cannot serve.

    Args:
        experiment: what is asked.
        train: the chips of the train split.
        classes: of the scheme.
        bands: of the images.
    """
    labels, valid = experiment.labels, train.valid_pixels > 0
    chips, scenes = int(np.count_nonzero(valid)), len(np.unique(train.scene[valid]))
    problems = []
    if labels.train_chips is not None and chips < labels.train_chips:
        problems.append(
            f"labels.train_chips asks for {labels.train_chips} labelled chips; the train split has {chips} with data"
        )
    if labels.train_scenes is not None and scenes < labels.train_scenes:
        problems.append(
            f"labels.train_scenes asks for {labels.train_scenes} labelled scenes; the train split has {scenes} with "
            "data"
        )
    taken = labels.train_scenes or math.ceil((labels.train_share or 0) * scenes)
    dates = 2 if labels.input in ("difference", "concatenation") else 1
    size = chips / max(1, scenes) * taken * dates * experiment.chip_size**2 * bands
    if size > MEMORY:
        problems.append(
            f"the chips of {taken:,} labelled scenes take about {size / 2**30:,.0f} GiB of memory, and at most "
            f"{MEMORY >> 30} are held: lower labels.{'train_scenes' if labels.train_scenes else 'train_share'}"
        )
    known = [*classes, *([UNCLASSIFIED] * (labels.unclassified == "own-class" and labels.scheme != "building"))]
    for protocol in experiment.protocols:
        named = () if isinstance(protocol.class_weights, str) else tuple(protocol.class_weights)
        if unknown := [name for name in named if name not in known]:
            problems.append(
                f"protocol {protocol.name}: class_weights name {unknown[0]!r}, which is no class of scheme "
                f"{labels.scheme}; the classes are: {', '.join(known)}"
            )
    return problems


def downstream_warnings(experiment: Experiment) -> list[str]:
    """Returns sentences on what the segmentation will not tell."""
    sentences = []
    baselines = {arm.baseline for arm in experiment.arms.values()}
    if "random_initialisation" not in baselines:
        sentences.append(
            "no arm starts from random weights: nothing will tell whether pretraining helps at all; add an arm with "
            "baseline: random_initialisation"
        )
    given = {experiment.initial_of(arm).source for arm in experiment.arms.values()}
    if given - {"random"} and "initial_weights" not in baselines:
        sentences.append(
            "pretraining starts from given weights, and no arm segments from them directly: nothing will tell what "
            "pretraining adds to them; add an arm with baseline: initial_weights"
        )
    if experiment.labels.scheme == "change" and experiment.labels.input == "post":
        sentences.append(
            "change is to be read from the later image alone: with labels.input: difference or concatenation the "
            "network sees both"
        )
    return sentences
