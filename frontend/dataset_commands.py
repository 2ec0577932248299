"""The commands of datasets: `pairlab dataset add`, `check`, `list`, `scores` and `score`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from frontend.api_client import ApiClient
from frontend.following import Failure, say
from frontend.index_progress import follow_index
from frontend.installation import read_endpoints
from frontend.printed_reports import print_report
from frontend.printed_tables import dataset_table
from frontend.scene_records import Dataset
from frontend.score_commands import compute_score, list_scores
from frontend.terminal import Json, output, print_json
from frontend.wording import in_split_order, plural
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.yaml_text import parse_yaml

datasets = typer.Typer(help="Datasets: register, check and list them, and score change.", no_args_is_help=True)
datasets.command("scores")(list_scores)
datasets.command("score")(compute_score)

OF_FILES = ("xbd", "bitemporal")
Names = Annotated[
    str | None, typer.Option("--classes", help="bitemporal: names of the masks' values, `background,building,…`.")
]


@datasets.command("add")
def add_dataset(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="xbd, bitemporal or synthetic.")],
    name: Annotated[str, typer.Option(help="What experiments call it.")],
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="xbd, bitemporal: its files.")] = None,
    knob: Annotated[
        list[str] | None, typer.Option(metavar="KNOB=VALUE", help="synthetic: turns a knob of the preset; repeatable.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="synthetic: the scenes' preset.")] = None,
    damage_from: Annotated[str | None, typer.Option(help="xbd: the damage that counts (minor-damage).")] = None,
    manifest: Annotated[
        str | None, typer.Option(metavar="FILE", help="bitemporal: the table that lists the images, below FOLDER.")
    ] = None,
    classes: Names = None,
    no_data: Annotated[float | None, typer.Option(help="bitemporal: the value without data.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the index until it is done.")] = True,
) -> None:
    """Register a dataset; its files are only read."""
    client = ApiClient.from_environment()
    config: dict[str, Any] = {"kind": kind}
    if kind in OF_FILES:
        if folder is None:
            raise typer.BadParameter(f"{kind} needs a FOLDER: pairlab dataset add {kind} FOLDER --name NAME")
        config |= locate(folder, _data_roots())
    elif folder is not None:
        raise typer.BadParameter(f"{kind} has no FOLDER")
    named = None if classes is None else [part.strip() for part in classes.split(",")]
    options = {
        "preset": preset,
        "knobs": turned(knob) if knob else None,
        "damage_from": damage_from,
        "manifest": manifest,
        "classes": named,
        "no_data": no_data,
    }
    config |= {key: value for key, value in options.items() if value is not None}
    added = client.create_dataset(name, config)
    for warning in added["warnings"]:
        typer.echo(f"Note: {warning}", err=True)
    if added["state"] != "indexing":
        typer.echo(summary(added))
    elif wait:
        found = follow_index(client, name, console=output())
        typer.echo(summary(found))
        _tell_quarantine(found)
    else:
        typer.echo(summary(added))
        typer.echo(f"It is being indexed. How far it is: pairlab dataset check {name}")


@datasets.command("check")
def check_dataset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a registered dataset.")], as_json: Json = False
) -> None:
    """Print what the index found; exit code 1 if any file cannot be used."""
    client = ApiClient.from_environment()
    dataset, report = client.dataset(name), client.report(name)
    if as_json:
        print_json({"name": name, **report})
    else:
        print_report(output(), dataset, report)
    if report["quarantined_total"] or report["state"] == "failed":
        raise typer.Exit(1)


@datasets.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the registered datasets."""
    page = ApiClient.from_environment().datasets()
    if as_json:
        print_json(page["items"])
    elif page["items"]:
        output().print(dataset_table(page["items"]))
    else:
        typer.echo("There are no datasets. Add one: pairlab dataset add synthetic --name quickstart")


def summary(dataset: Dataset) -> str:
    """Returns name, scenes and splits in a line."""
    splits = ", ".join(f"{split} {count}" for split, count in in_split_order(dataset["splits"]).items())
    return f"{dataset['name']}: {plural(dataset['scenes'], 'scene')} ({splits})."


def turned(knobs: Sequence[str]) -> dict[str, Any]:
    """Returns knobs by name, given as `name=value` with the value as YAML has it; raises Failure where one is not."""
    found: dict[str, Any] = {}
    for text in knobs:
        name, equals, value = text.partition("=")
        try:
            found |= parse_yaml(f"{name.strip()}: {value}") if equals else {}
        except ExperimentError as error:
            raise Failure(f"--knob {text}: {error}") from error
        if name.strip() not in found:
            raise Failure(f"--knob {text}: write it like --knob change_rate=0.3 or --knob objects=[3,7].")
    return found


def locate(folder: Path, roots: dict[str, Path]) -> dict[str, str]:
    """Returns data root and folder below it; raises Failure that names the flag where no root holds the folder."""
    path = folder.expanduser().resolve()
    if not path.is_dir():
        raise Failure(f"There is no folder {path}.")
    holding = {name: root for name, root in roots.items() if path.is_relative_to(root)}
    if not holding:
        known = ", ".join(f"{name}={root}" for name, root in roots.items()) or "none"
        suggestion = "".join(letter if letter.isalnum() else "_" for letter in path.name) or "data"
        raise Failure(
            f"{path} is in no data root of the running PairLab ({known}). Start it with the folder: "
            f"`pairlab down`, then `pairlab up --data-root {suggestion}={shlex.quote(str(path))}`."
        )
    name = max(holding, key=lambda each: len(holding[each].parts))
    below = path.relative_to(holding[name])
    return {"root": name, "folder": "" if below == Path() else below.as_posix()}


def _tell_quarantine(dataset: Dataset) -> None:
    count = dataset["quarantined"]
    if count:
        noun = "scene takes" if count == 1 else "scenes take"
        say(output(err=True), f"{count} {noun} no part in anything; why: pairlab dataset check {dataset['name']}")


def _data_roots() -> dict[str, Path]:
    here = read_endpoints()
    return {} if here is None else {name: Path(folder).resolve() for name, folder in here["data_roots"].items()}
