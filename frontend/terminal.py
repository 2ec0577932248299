"""What the commands share: where they print, and options of all of them."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

PLAIN_WIDTH = 160
"""Columns where there is no terminal: tables keep their lines."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def output(*, err: bool = False) -> Console:
    """Returns where to print; without a terminal, in plain text."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        return Console(stderr=err)
    return Console(stderr=err, force_terminal=False, color_system=None, width=PLAIN_WIDTH)


def print_json(content: object) -> None:
    """Prints content for programs."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
