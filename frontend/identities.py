"""Experiments and jobs by the beginning of their ids."""

from collections.abc import Sequence
from http import HTTPStatus

from frontend.api_client import ApiClient
from frontend.connection import ApiProblem
from frontend.following import Failure

NEWEST = 200
"""So many experiments and jobs are searched for the beginning of an id."""


def resolve(client: ApiClient, identity: str, *, kinds: Sequence[str] = ("experiment", "job")) -> tuple[str, str]:
    """Returns kind and full id of what an id or its beginning names."""
    matches = []
    if "experiment" in kinds:
        matches += [("experiment", each["id"]) for each in client.experiments(limit=NEWEST)["items"]]
    if "job" in kinds:
        matches += [("job", each["id"]) for each in client.jobs(limit=NEWEST)["items"]]
    matches = [match for match in matches if match[1].startswith(identity)]
    if len(matches) > 1:
        raise Failure(f"{identity!r} is the beginning of {len(matches)} ids; give more of it.")
    if matches:
        return matches[0]
    for kind in kinds:
        try:
            return kind, (client.experiment(identity) if kind == "experiment" else client.job(identity))["id"]
        except ApiProblem as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
    raise Failure(f"No {' and no '.join(kinds)} has an id that begins with {identity!r}.")
