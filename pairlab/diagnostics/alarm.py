"""When to tell that something is wrong: not at the first sign, and not again and again."""

MOST_TELLINGS = 2
"""Once, and once more where it was over and came back."""


class Alarm:
    """Goes off where something is wrong for several looks in a row, and is quiet until it was right for as many."""

    def __init__(self, hold: int, *, told: int = 0) -> None:
        """Prepares an alarm.

        Args:
            hold: looks in a row that it takes to believe a change.
            told: how often it went off in earlier attempts; what was told last is taken to hold still.
        """
        self._hold, self._told = hold, told
        self._wrong = told > 0
        self._against = 0

    @property
    def wrong(self) -> bool:
        """Whether something is wrong, as far as is believed."""
        return self._wrong

    def goes_off(self, wrong: bool) -> bool:
        """Returns whether this look is the one at which to tell."""
        self._against = self._against + 1 if wrong != self._wrong else 0
        if self._against < self._hold:
            return False
        self._wrong, self._against = wrong, 0
        if not wrong or self._told == MOST_TELLINGS:
            return False
        self._told += 1
        return True
