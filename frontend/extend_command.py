"""The command `pairlab extend`."""

from typing import Annotated

import typer

from frontend.api_client import ApiClient
from frontend.following import say
from frontend.identities import resolve
from frontend.printed_tables import SHORT_ID
from frontend.terminal import Json, output, print_json
from frontend.verdict_wording import extension_words


def extend_experiment(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of an experiment; its beginning will do.")],
    to: Annotated[int | None, typer.Option(min=1, metavar="N", help="Seeds in all (the next planned look).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and queue nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Add seeds to an experiment, up to its next planned look; margin, looks and what is done stay."""
    client = ApiClient.from_environment()
    _, found = resolve(client, identity, kinds=("experiment",))
    extension = client.extension(found, to=to)
    say(output(err=as_json), extension_words(extension))
    if dry_run:
        if as_json:
            print_json(extension)
        return
    extended = client.extend_experiment(found, to=extension["to"])
    if as_json:
        print_json(extended)
    elif extension["seeds"]:
        say(output(), f"Queued. Follow it: pairlab watch {found[:SHORT_ID]}")
