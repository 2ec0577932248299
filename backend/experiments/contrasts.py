"""What keeps a difference between two arms from being put down to one thing, in sentences for plans and results."""

from collections.abc import Mapping

from pairlab.experiment.experiment import Experiment
from pairlab.experiment.methods import in_words, trains_decoder

TRANSDUCTIVE = (
    "transductive: pretraining sees the images of the validation and test splits too, without their labels; scores "
    "are those of scenes it has seen"
)


def exposure_differences(experiment: Experiment, name: str) -> tuple[str, ...]:
    """Returns why an arm's pairing shows other images than the reference's, or some more often; a phrase each.

    Another dataset and other scenes are factors of their own, and do not count here. An arm without pretraining, and
    the reference itself, differ in nothing.
    """
    arm, reference = experiment.arms[name], experiment.arms[experiment.reference]
    if arm.pairing is None or reference.pairing is None:
        return ()
    mine, theirs = arm.pairing, reference.pairing
    differences = {
        f"{mine.pairs:,} pairs instead of {theirs.pairs:,}": (mine.pairs, theirs.pairs),
        "other acquisitions": ((mine.acquisition, mine.time_gap), (theirs.acquisition, theirs.time_gap)),
    }
    return tuple(phrase for phrase, (one, other) in differences.items() if one != other)


def several_factors(experiment: Experiment) -> list[str]:
    """Returns a sentence for each arm that differs from the reference in more than one factor."""
    found = {name: experiment.factors(name) for name in experiment.arms}
    return [
        f"arm {name!r} differs from {experiment.reference!r} in {_listed(factors)}: a difference between them cannot "
        "be put down to either"
        for name, factors in found.items()
        if len(factors) > 1
    ]


def unmatched_exposure(experiment: Experiment, matched: Mapping[str, bool | None]) -> list[str]:
    """Returns a sentence for each arm whose pairs show other images than the reference's, or some more often.

    Args:
        experiment: what is asked.
        matched: per arm, whether its pairs show the shared places alone and all of them; None where that is not known.
    """
    sentences = []
    for name, arm in experiment.arms.items():
        why = [*exposure_differences(experiment, name)]
        if arm.pairing is not None and matched.get(name) is False:
            replaced, rate = arm.pairing.noise.control == "replace", arm.pairing.noise.rate
            why += ["control 'replace' shows other places"] * (replaced and rate is not None and rate < 1)
            why += ["its filter throws pairs away"] * (arm.pairing.filter.by != "none")
            why = why or ["it does not show all of the shared places, or shows others"]
        if why:
            consequence = "all differences to it are" if name == experiment.reference else "its difference is"
            sentences.append(
                f"arm {name!r} is not exposure-matched ({', '.join(why)}): {consequence} also one of the images shown"
            )
    return sentences


def probes_random_decoder(experiment: Experiment) -> list[str]:
    """Returns a sentence for each arm whose linear probe stands on a decoder that nothing was trained with."""
    if experiment.transferred == "encoder" or all(each.name != "linear_probe" for each in experiment.protocols):
        return []
    remedy = "so its linear probe stands on a random decoder: with transfer: encoder every arm is probed on its encoder"
    sentences = []
    for name, arm in experiment.arms.items():
        of_an_encoder = getattr(experiment.initial_of(arm), "part", "encoder") == "encoder"
        if arm.baseline == "initial_weights" and of_an_encoder:
            sentences.append(f"arm {name!r} starts from the weights of an encoder, {remedy}")
        elif arm.pairing is not None and of_an_encoder and not trains_decoder(experiment.method_of(arm)):
            sentences.append(
                f"arm {name!r} pretrains the encoder alone ({in_words(experiment.method_of(arm))}), {remedy}"
            )
    return sentences


def _listed(factors: tuple[str, ...]) -> str:
    return f"{', '.join(factors[:-1])} and {factors[-1]}"
