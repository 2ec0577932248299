"""What to do about a run that goes wrong, in words."""

from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.methods import BYOL, BarlowTwins, PixPro, SimSiam, VICReg, VICRegL


def against_collapse(config: PretrainJob) -> str:
    """Returns what keeps embeddings apart in the job's method."""
    rate = f"lower pretraining.learning_rate ({config.pretraining.learning_rate:g})"
    match config.method:
        case VICReg() | VICRegL():
            return f"Raise method.variance_weight ({config.method.variance_weight:g}), or {rate}."
        case BarlowTwins():
            return f"Raise pretraining.batch_size ({config.pretraining.batch_size}), or {rate}."
        case BYOL() | PixPro():
            return f"Raise method.momentum ({config.method.momentum:g}) towards 0.996, or {rate}."
        case SimSiam():
            return f"{rate.capitalize()}, or take a method with negatives (simclr, moco) or a variance term (vicreg)."
        case _:
            return (
                f"Lower method.temperature ({config.method.temperature:g}), raise pretraining.batch_size "
                f"({config.pretraining.batch_size}) for more negatives, or {rate}."
            )


def against_starving(*, rendered: bool, stored: bool) -> str:
    """Returns how batches come sooner.

    Args:
        rendered: whether the scenes are synthetic.
        stored: whether their images come from the chip store.
    """
    if rendered:
        return (
            "It waits for scenes to be rendered: give the worker more cores, run fewer jobs at once, or draw fewer "
            "pairs (pairing.pairs), which are kept in memory once they are rendered."
        )
    if stored:
        return (
            "It waits for chips from the chip store: put PairLab's home on a faster disk, give the worker more memory "
            "or cores, or run fewer jobs at once."
        )
    return (
        "It waits for images to be decoded: index the dataset, so that its images are kept decoded in the chip store, "
        "and give the store room for all of them (PAIRLAB_STORE_BYTES)."
    )


def against_standing_still(config: PretrainJob) -> str:
    """Returns what to try where a loss does not fall."""
    rate = config.pretraining.learning_rate
    return (
        f"Look at the gradient norm: where it is tiny, raise pretraining.learning_rate ({rate:g}); where it jumps, "
        f"lower it or lengthen pretraining.warmup_steps ({config.pretraining.warmup_steps})."
    )
