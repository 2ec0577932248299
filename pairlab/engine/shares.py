"""Which pairs of a step go through the network together, and in which process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shares:
    """The pairs of a step in parts that follow each other, and the parts shared by processes in the same order.

    The first parts have a pair more than the others where the pairs do not divide evenly. What is computed depends on
    the parts alone, so that any number of processes computes the same.

    Raises:
        ValueError: the processes cannot share the parts equally.
    """

    pairs: int
    """In a step, at least two in each part."""
    parts: int = 1
    processes: int = 1

    def __post_init__(self) -> None:
        if self.processes < 1 or self.parts % self.processes:
            raise ValueError(f"{self.parts} parts cannot be shared equally by {self.processes} processes")

    def pairs_of_part(self, part: int) -> slice:
        """Returns which pairs of the step a part has."""
        return slice(self._begin(part), self._begin(part + 1))

    def parts_of(self, rank: int) -> range:
        """Returns the parts of a process."""
        each = self.parts // self.processes
        return range(rank * each, (rank + 1) * each)

    def pairs_of(self, rank: int) -> slice:
        """Returns which pairs of the step a process has."""
        parts = self.parts_of(rank)
        return slice(self._begin(parts.start), self._begin(parts.stop))

    def groups(self, wanted: int, *, images: int) -> int:
        """Returns in how many groups images are normalised that take none of the parts for one.

        At least as many as are wanted and as there are parts, a multiple of the processes' parts, at least two images
        in each.
        """
        each = max(1, min(-(-wanted // self.parts), images // (2 * self.parts)))
        return self.parts * each

    def _begin(self, part: int) -> int:
        each, more = divmod(self.pairs, self.parts)
        return part * each + min(part, more)
