"""Submits an experiment and follows it in the terminal to its table."""

from collections.abc import Callable, Sequence

from rich.console import Console

from frontend.api_client import ApiClient
from frontend.api_records import Experiment, Job, Plan
from frontend.printed_tables import SHORT_ID, result_table
from frontend.printed_verdicts import verdict_lines, verdict_table
from frontend.progress import watch_experiment
from frontend.result_records import Results
from frontend.score_wording import filtered_words
from frontend.wording import KIND_WORDS, percent, plural


class Failure(Exception):
    """What went wrong, in sentences for the user."""


def submit(client: ApiClient, yaml: str, *, notes: Console) -> Experiment:
    """Returns the experiment whose jobs are queued; says what arms draw, what is taken over, and what to keep in mind.

    Raises:
        ApiProblem: it was refused.
    """
    plan = client.validate(yaml)
    for line in plan_lines(plan):
        say(notes, line)
    submitted = client.submit(yaml)
    done = plan["already_done"]
    taken = f", {done if done < plan['jobs'] else 'all'} of them taken over from earlier runs" if done else ""
    scores = f", {plural(plan['score_jobs'], 'change score')} among them" if plan["score_jobs"] else ""
    say(notes, f"Submitted {submitted['name']!r}: {plural(plan['jobs'], 'job')}{scores}{taken}.")
    return submitted


def plan_lines(plan: Plan) -> list[str]:
    """Returns what filters throw away and what stands for the wrong place, arm by arm, and all warnings."""
    lines = []
    for arm, filtered in plan["filtered"].items():
        if filtered is not None:
            lines.append(f"Arm {arm!r}: its filter {filtered_words(filtered)}.")
    for arm, share in plan["realised_mismatch"].items():
        if share:
            lines.append(f"Arm {arm!r}: {percent(share)} of the pairs are mismatched: they show two places.")
    return [*lines, *(f"Note: {warning}" for warning in plan["warnings"])]


def follow(
    client: ApiClient,
    experiment: str,
    *,
    notes: Console,
    address: str | None,
    api_may_return: Callable[[], bool] = lambda: True,
) -> tuple[Results, list[Job]]:
    """Returns an experiment's results and jobs once it has ended.

    Args:
        client: of the API.
        experiment: its id.
        notes: where progress is shown.
        address: of the UI, where it is known.
        api_may_return: whether an API that does not answer is worth waiting for.
    """
    name = client.experiment(experiment)["name"]
    headline = f"{name} ({experiment[:SHORT_ID]})"
    if address is not None:
        headline += f"\nLive in the browser: {address}/jobs?experiment={experiment}"
    found = watch_experiment(client, experiment, console=notes, headline=headline, api_may_return=api_may_return)
    return client.results(experiment), found["job_list"]


def show_results(results: Results, *, output: Console) -> None:
    """Prints the table and the verdicts, and in words what may be concluded from them."""
    output.print(result_table(results))
    if results["verdicts"]:
        output.print(verdict_table(results))
    for line in verdict_lines(results):
        say(output, line)
    for note in results["notes"]:
        say(output, note)


def require_success(jobs: Sequence[Job]) -> None:
    """Raises Failure that names each job that failed or was cancelled, and why."""
    sentences = []
    for job in jobs:
        if job["status"] != "succeeded":
            uses = "; ".join(dict.fromkeys(f"{use['arm']}, seed {use['seed']}" for use in job["uses"]))
            failed = f"failed: {job['error'] or 'no reason is known'}"
            end = failed if job["status"] == "failed" else "was cancelled."
            of = uses or f"dataset {job['dataset']}"
            sentences.append(f"Job {job['id'][:SHORT_ID]} ({KIND_WORDS[job['kind']]} of {of}) {end}")
    if sentences:
        raise Failure("\n".join(sentences))


def say(output: Console, text: str) -> None:
    """Prints text as it is."""
    output.print(text, markup=False, highlight=False, soft_wrap=True)
