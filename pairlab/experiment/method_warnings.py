"""What a method's owner should know before a run, though the run is possible."""

from pairlab.experiment.methods import Method


def method_warnings(method: Method, *, pairs: int) -> list[str]:
    """Returns sentences on a method's numbers that do not suit the pairs it is given.

    Args:
        method: the configuration.
        pairs: different pairs in the run, after any filter.
    """
    size = getattr(method, "queue_size", None)
    if size is None or size < pairs:
        return []
    fitting = max(2, pairs // 2)
    return [
        f"the queue of {method.name} holds {size} keys and the run has {pairs} pairs: each place meets older keys of "
        f"its own as negatives; take a method.queue_size of at most {fitting}, half of the pairs"
    ]
