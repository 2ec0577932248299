"""What would have fitted, where a step does not fit into memory."""

from concurrent.futures import ThreadPoolExecutor

from pairlab.engine.memory import TooLittleMemoryError, is_out_of_memory, largest_fitting, release
from pairlab.engine.run import Run
from pairlab.losses.embeddings import NothingToMatch

_TRIES = 3


def too_little_memory(run: Run, shortage: str) -> TooLittleMemoryError:
    """Returns the error of a run that ran out of memory, which names the batch size and the parts that would fit.

    Both are tried by steps of the run itself, which is of no use afterwards; its checkpoints are left alone. One
    process of several tries nothing, since the others would have to take part.

    Args:
        run: as the failed step left it, whose tensors nobody else holds.
        shortage: what the allocator said.
    """
    training = run.config.pretraining
    said = shortage.strip().splitlines()[0][:200] if shortage.strip() else "no more memory"
    begin = f"a step of {training.batch_size:,} pairs does not fit into the memory of {run.device} ({said})."
    if run.team.size > 1:
        return TooLittleMemoryError(f"{begin} Lower pretraining.batch_size, or raise pretraining.parts ({run.parts})")
    size = largest_fitting(lambda pairs: fits(run, pairs, run.parts), below=training.batch_size, smallest=2 * run.parts)
    if size is None:
        return TooLittleMemoryError(
            f"{begin} By trial, not even {2 * run.parts} pairs fitted: lower chip_size, take a smaller network, or a "
            "device with more memory"
        )
    parts = _parts_that_fit(run, pairs_in_a_part=size // run.parts)
    instead = (
        "" if parts is None else f" Or keep the batch with all its negatives: in {parts} pretraining.parts it fits"
    )
    return TooLittleMemoryError(f"{begin} By trial, pretraining.batch_size {size:,} would have fitted.{instead}")


def _parts_that_fit(run: Run, *, pairs_in_a_part: int) -> int | None:
    pairs = run.config.pretraining.batch_size
    parts = -(-pairs // pairs_in_a_part)
    for _ in range(_TRIES):
        if 2 * parts > pairs:
            return None
        if fits(run, pairs, parts):
            return parts
        parts *= 2
    return None


def fits(run: Run, pairs: int, parts: int) -> bool:
    """Returns whether a whole step of so many pairs in so many parts can be taken.

    Any error but a lack of memory, or of something to compare in so small a batch, goes through.
    """
    run.forget_step()
    release(run.device)
    run.parts = parts
    try:
        # Each in a thread of its own: where oneDNN once found no memory, it refuses that thread whatever comes later.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_step, run, pairs).result()
    except NothingToMatch:
        return False
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def _step(run: Run, pairs: int) -> None:
    batch = run.batches_of(pairs).batch(run.step)
    run.optimize(batch, run.views(batch))
