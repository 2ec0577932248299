"""The processes that pretrain one network together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those that run one job; alone, where nothing else is said."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and tells what happens."""
        return self.rank == 0

    def agreed(self, wish: bool) -> bool:
        """Returns True in every process as soon as one of them wishes it."""
        return wish


ALONE = Team()
