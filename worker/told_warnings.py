"""The warnings of a job, over all its attempts: each is kept once, beside the facts of its run."""

from typing import Any

from backend.jobs.tables import WARNED

MOST = 50


class ToldWarnings:
    """Facts of a job's run together with what it warned of."""

    def __init__(self, facts: dict[str, Any]) -> None:
        """Goes on from the facts that the job's row has."""
        self._facts = {key: value for key, value in facts.items() if key != WARNED}
        self._told: list[dict[str, Any]] = list(facts.get(WARNED, ()))

    @property
    def kinds(self) -> list[str]:
        """Kinds of what was told, as often as it was."""
        return [str(each["kind"]) for each in self._told]

    def facts(self, found: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns all facts for the job's row; `found` are those of a run that begins."""
        if found is not None:
            self._facts = found
        return {**self._facts, **self.results()}

    def results(self) -> dict[str, Any]:
        """Returns what results are to keep; nothing where nothing was told."""
        return {WARNED: list(self._told)} if self._told else {}

    def add(self, event: dict[str, Any]) -> bool:
        """Returns whether a warning is new; one that an earlier attempt told in the same words is not."""
        told = {key: event[key] for key in ("step", "kind", "sentence")}
        same = [each for each in self._told if (each["kind"], each["sentence"]) == (told["kind"], told["sentence"])]
        if same or len(self._told) >= MOST:
            return False
        self._told.append(told)
        return True
