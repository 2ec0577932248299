"""The command line: `pairlab up`, `run`, `watch`, `dataset add`, `demo` and their like."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from frontend.api_client import ApiClient
from frontend.connection import ApiProblem, find_endpoint
from frontend.dataset_commands import datasets
from frontend.demo import run_demo
from frontend.export_commands import export_job
from frontend.extend_command import extend_experiment
from frontend.following import Failure, follow, require_success, say, show_results, submit
from frontend.identities import resolve
from frontend.installation import browser_address
from frontend.printed_tables import SHORT_ID, job_table
from frontend.progress import watch_job
from frontend.terminal import Json, output, print_json
from frontend.wording import plural
from pairlab.experiment.experiment import ExperimentError, load_experiment

commands = typer.Typer(
    help="Do noisy positive pairs hurt your segmentation?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
commands.add_typer(datasets, name="dataset")
commands.command("export")(export_job)
commands.command("extend")(extend_experiment)


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
    notes = output(err=as_json)
    submitted = submit(client, text, notes=notes)
    if watch:
        _follow(client, submitted["id"], notes=notes, as_json=as_json)
    elif as_json:
        print_json(submitted)
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
        experiment = resolve(client, experiment, kinds=("experiment",))[1]
    page = client.jobs(status=status, experiment=experiment, limit=limit)
    if as_json:
        print_json(page["items"])
        return
    console = output()
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
    kind, found = resolve(client, identity)
    notes = output(err=as_json)
    if kind == "experiment":
        _follow(client, found, notes=notes, as_json=as_json)
        return
    job = watch_job(client, found, console=notes, headline=f"Job {found[:SHORT_ID]}")
    if as_json:
        print_json(client.job(found))
    require_success([job])


@commands.command()
def cancel(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of an experiment or a job; its beginning will do.")],
) -> None:
    """Ask an experiment's jobs, or one job, to stop."""
    client = ApiClient.from_environment()
    kind, found = resolve(client, identity)
    if kind == "experiment":
        name = client.cancel_experiment(found)["name"]
        typer.echo(f"{name}: its jobs are asked to stop; those that another experiment needs go on.")
    else:
        client.act_on_job(found, "cancel")
        typer.echo(f"Job {found[:SHORT_ID]} is asked to stop.")


@commands.command()
def demo(home: Home = None) -> None:
    """Start everything, run the quickstart to its mIoU table, and serve until Ctrl-C."""
    raise typer.Exit(run_demo(output(), home=home))


def _follow(client: ApiClient, experiment: str, *, notes: Console, as_json: bool) -> None:
    results, ended = follow(client, experiment, notes=notes, address=browser_address())
    if as_json:
        print_json(results)
    else:
        show_results(results, output=notes)
    require_success(ended)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{file} is no text in UTF-8.") from error
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from error


def _home(home: Path | None) -> list[str]:
    return [] if home is None else ["--home", str(home)]


def _become_stack(arguments: list[str]) -> NoReturn:
    # The same process goes on as the stack's command, so that signals and exit codes are its own; -P, because the
    # folder it is called in may hold another project's `backend`.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "backend.embedded", *arguments])


if __name__ == "__main__":
    app()
