"""The command line: `pairlab up`, `run`, `watch`, `dataset add`, `demo` and their like."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from frontend.api_client import ApiClient, ApiProblem, find_endpoint
from frontend.demo import run_demo
from frontend.following import Failure, follow, require_success, say, show_results, submit
from frontend.installation import browser_address, read_endpoints
from frontend.printed_tables import SHORT_ID, dataset_table, job_table
from frontend.progress import watch_job
from frontend.wording import plural
from pairlab.experiment.experiment import ExperimentError, load_experiment

NEWEST = 200
"""So many experiments and jobs are searched for the beginning of an id."""
PLAIN_WIDTH = 160
"""Columns where there is no terminal: tables keep their lines."""


commands = typer.Typer(
    help="Do noisy positive pairs hurt your segmentation?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
datasets = typer.Typer(help="Datasets: register and list them.", no_args_is_help=True)
commands.add_typer(datasets, name="dataset")


def app() -> None:
    """Runs the command line; problems are sentences on stderr and exit code 1."""
    try:
        commands()
    except ApiProblem as problem:
        sentences = problem.sentences
    except ExperimentError as error:
        sentences = error.problems
    except Failure as failure:
        sentences = [str(failure)]
    except json.JSONDecodeError:
        sentences = [f"What answers at {find_endpoint().url} is not PairLab's API; look at PAIRLAB_API_URL."]
    for sentence in sentences:
        typer.echo(sentence, err=True)
    sys.exit(1)


Home = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of all data (PAIRLAB_HOME, else .pairlab).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@commands.command()
def up(
    home: Home = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is ready.")] = False,
    data_root: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="A folder imagery may be read from; repeatable.")
    ] = None,
    api_port: Annotated[int | None, typer.Option(metavar="PORT", help="0 is any free one.")] = None,
    ui_port: Annotated[int | None, typer.Option(metavar="PORT", help="0 is any free one.")] = None,
    slots: Annotated[int | None, typer.Option(metavar="N", help="Jobs at once (fitted to the machine).")] = None,
) -> None:
    """Start queue server, API, worker and UI on this machine."""
    arguments = ["up", *_home(home), *(["--detach"] if detach else [])]
    for root in data_root or []:
        arguments += ["--data-root", root]
    for option, value in (("--api-port", api_port), ("--ui-port", ui_port), ("--slots", slots)):
        arguments += [] if value is None else [option, str(value)]
    _become_stack(arguments)


@commands.command()
def down(home: Home = None) -> None:
    """Stop everything that `up` started."""
    _become_stack(["down", *_home(home)])


@commands.command()
def status(home: Home = None) -> None:
    """Say what runs, and where."""
    _become_stack(["status", *_home(home)])


@commands.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="An experiment.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the jobs and end with the table.")] = False,
    as_json: Json = False,
) -> None:
    """Queue an experiment's jobs."""
    client = ApiClient.from_environment()
    text = _read(file)
    load_experiment(text)
    notes = _output(err=as_json)
    submitted = submit(client, text, notes=notes)
    if watch:
        _follow(client, submitted["id"], notes=notes, as_json=as_json)
    elif as_json:
        _print_json(submitted)
    else:
        say(notes, f"Follow it: pairlab watch {submitted['id'][:SHORT_ID]}")


@commands.command()
def jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    experiment: Annotated[str | None, typer.Option(metavar="ID", help="Only jobs of this experiment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The newest so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    client = ApiClient.from_environment()
    if experiment is not None:
        experiment = _resolve(client, experiment, kinds=("experiment",))[1]
    page = client.jobs(status=status, experiment=experiment, limit=limit)
    if as_json:
        _print_json(page["items"])
        return
    console = _output()
    if not page["items"]:
        console.print("There are no jobs. Queue some: pairlab run experiments/quickstart.yaml", highlight=False)
        return
    console.print(job_table(page["items"]))
    if page["total"] > len(page["items"]):
        console.print(f"and {plural(page['total'] - len(page['items']), 'job')} more", highlight=False)


@commands.command()
def watch(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of an experiment or a job; its beginning will do.")],
    as_json: Json = False,
) -> None:
    """Follow an experiment to its table, or a job to its end."""
    client = ApiClient.from_environment()
    kind, found = _resolve(client, identity)
    notes = _output(err=as_json)
    if kind == "experiment":
        _follow(client, found, notes=notes, as_json=as_json)
        return
    job = watch_job(client, found, console=notes, headline=f"Job {found[:SHORT_ID]}")
    if as_json:
        _print_json(client.job(found))
    require_success([job])


@commands.command()
def cancel(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of an experiment or a job; its beginning will do.")],
) -> None:
    """Ask an experiment's jobs, or one job, to stop."""
    client = ApiClient.from_environment()
    kind, found = _resolve(client, identity)
    if kind == "experiment":
        name = client.cancel_experiment(found)["name"]
        typer.echo(f"{name}: its jobs are asked to stop; those that another experiment needs go on.")
    else:
        client.act_on_job(found, "cancel")
        typer.echo(f"Job {found[:SHORT_ID]} is asked to stop.")


@datasets.command("add")
def add_dataset(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="xbd or synthetic.")],
    name: Annotated[str, typer.Option(help="What experiments call it.")],
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="xbd: where its tree is.")] = None,
    preset: Annotated[str | None, typer.Option(help="synthetic: the scenes' preset.")] = None,
    damage_from: Annotated[str | None, typer.Option(help="xbd: the damage that counts (minor-damage).")] = None,
) -> None:
    """Register a dataset; its files are only read."""
    client = ApiClient.from_environment()
    config: dict[str, Any] = {"kind": kind}
    if kind == "xbd":
        if folder is None:
            raise typer.BadParameter("xbd needs a FOLDER: pairlab dataset add xbd FOLDER --name NAME")
        config |= locate(folder, _data_roots())
    elif folder is not None:
        raise typer.BadParameter(f"{kind} has no FOLDER")
    config |= {key: value for key, value in (("preset", preset), ("damage_from", damage_from)) if value is not None}
    added = client.create_dataset(name, config)
    for warning in added["warnings"]:
        typer.echo(f"Note: {warning}", err=True)
    splits = ", ".join(f"{split} {count}" for split, count in added["splits"].items())
    typer.echo(f"{added['name']}: {plural(added['scenes'], 'scene')} ({splits}).")


@datasets.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the registered datasets."""
    page = ApiClient.from_environment().datasets()
    if as_json:
        _print_json(page["items"])
    elif page["items"]:
        _output().print(dataset_table(page["items"]))
    else:
        typer.echo("There are no datasets. Add one: pairlab dataset add synthetic --name quickstart")


@commands.command()
def demo(home: Home = None) -> None:
    """Start everything, run the quickstart to its mIoU table, and serve until Ctrl-C."""
    raise typer.Exit(run_demo(_output(), home=home))


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


def _data_roots() -> dict[str, Path]:
    here = read_endpoints()
    return {} if here is None else {name: Path(folder).resolve() for name, folder in here["data_roots"].items()}


def _follow(client: ApiClient, experiment: str, *, notes: Console, as_json: bool) -> None:
    results, ended = follow(client, experiment, notes=notes, address=browser_address())
    if as_json:
        _print_json(results)
    else:
        show_results(results, output=notes)
    require_success(ended)


def _resolve(client: ApiClient, identity: str, *, kinds: Sequence[str] = ("experiment", "job")) -> tuple[str, str]:
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


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{file} is no text in UTF-8.") from error
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from error


def _output(*, err: bool = False) -> Console:
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        return Console(stderr=err)
    return Console(stderr=err, force_terminal=False, color_system=None, width=PLAIN_WIDTH)


def _print_json(content: object) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _home(home: Path | None) -> list[str]:
    return [] if home is None else ["--home", str(home)]


def _become_stack(arguments: list[str]) -> NoReturn:
    # The same process goes on as the stack's command, so that signals and exit codes are its own; -P, because the
    # folder it is called in may hold another project's `backend`.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "backend.embedded", *arguments])


if __name__ == "__main__":
    app()
