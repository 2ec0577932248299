"""The commands of change scores: `pairlab dataset scores` and `score`."""

from typing import Annotated, Any, Literal

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from frontend.api_client import ApiClient
from frontend.connection import ApiProblem
from frontend.following import Failure, require_success, say
from frontend.printed_tables import SHORT_ID, STATUS_STYLES
from frontend.progress import watch_job
from frontend.score_records import Score, ScoreCurve
from frontend.score_wording import WEIGHT_WORDS, chips_words, cost_words, figure, ratio, score_title, score_titles
from frontend.terminal import Json, output, print_json
from frontend.wording import STATUS_WORDS, sentence

CHIP_SIZE, MIN_CHANGED_PIXELS = 64, 16
MOST_PRETRAININGS = 200
KEY_LENGTH = 64
POINTS = ("roc", "precision_recall", "quantiles")
"""Lists of a curve that a table has no use for."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a registered dataset.")]
ChipSize = Annotated[int, typer.Option(min=32, help="Pixels; what is judged are chips of this size.")]
ChangedPixels = Annotated[int, typer.Option(min=1, help="A chip is noisy from so many changed pixels on.")]


def list_scores(
    name: Name,
    chip_size: ChipSize = CHIP_SIZE,
    min_changed_pixels: ChangedPixels = MIN_CHANGED_PIXELS,
    as_json: Json = False,
) -> None:
    """List a dataset's change scores, and how well each tells noisy chips from clean ones."""
    client = ApiClient.from_environment()
    scores = client.scores(name)
    curves: dict[str, ScoreCurve] = {}
    problems: dict[str, None] = {}
    for score in scores:
        if score["status"] == "succeeded":
            try:
                curves[score["id"]] = client.score_curve(
                    name, score["id"], chip_size=chip_size, min_changed_pixels=min_changed_pixels
                )
            except ApiProblem as problem:
                if problem.unreachable:
                    raise
                problems |= dict.fromkeys(problem.sentences)
    if as_json:
        print_json([{**score, "curve": _without_points(curves.get(score["id"]))} for score in scores])
    elif scores:
        output().print(score_table(scores, curves))
        for curve in list(curves.values())[:1]:
            say(output(), f"Train split, chips of {curve['chip_size']} pixels: {chips_words(curve)}.")
    else:
        typer.echo(f"{name} has no change score. Compute one: pairlab dataset score {name} cva")
    for each in problems:
        typer.echo(f"Note: {sentence(each)}", err=True)


def compute_score(
    name: Name,
    score: Annotated[Literal["cva", "irmad", "embedding"], typer.Argument(metavar="cva|irmad|embedding")],
    encoder: Annotated[str | None, typer.Option(help="embedding: its encoder's name (tu-resnet18).")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="embedding: published, random, or the id or key of a finished pretraining (its beginning)."),
    ] = None,
    draw: Annotated[int, typer.Option(min=0, help="synthetic: which redraw of the scenes; seed 3 sees draw 3.")] = 0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")] = True,
) -> None:
    """Compute a change score of all scenes, unless that is done already."""
    if score != "embedding" and (encoder or weights):
        raise typer.BadParameter(f"{score} has no encoder: remove --encoder and --weights, or take embedding")
    client = ApiClient.from_environment()
    config: dict[str, Any] = {"name": score}
    if weights is not None:
        config["weights"] = weights if weights in WEIGHT_WORDS else _key_of(client, weights)
    if encoder is not None:
        if config.get("weights", "published") not in WEIGHT_WORDS:
            raise typer.BadParameter("a pretraining has its own encoder: remove --encoder")
        config["encoder"] = encoder
    queued = client.queue_score(name, config, draw=draw)
    title = score_title(queued["score"], queued["draw"])
    if queued["status"] != "succeeded":
        short = queued["job"][:SHORT_ID]
        if not wait:
            typer.echo(f"{title} of {name} is queued. Follow it: pairlab watch {short}")
            return
        require_success([watch_job(client, queued["job"], console=output(), headline=f"{title} of {name} ({short})")])
    typer.echo(_worth(client, name, queued["id"], title))


def score_table(scores: list[Score], curves: dict[str, ScoreCurve]) -> Table:
    """Returns one line per score: its state, or what it is worth and what it cost."""
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("score", "state", "AUROC", "average precision", "seconds", "per 1000 chips"):
        table.add_column(column, justify="left" if column in ("score", "state") else "right")
    titles = score_titles(scores)
    for score in scores:
        state = f"[{STATUS_STYLES.get(score['status'], 'dim')}]{STATUS_WORDS[score['status']]}[/]"
        if score["error"]:
            state += f": {escape(score['error'])}"
        curve = curves.get(score["id"])
        cells = ["–"] * 4
        if curve is not None:
            cells = [ratio(curve["auroc"]), ratio(curve["average_precision"])]
            cells += [figure(curve["seconds"]), figure(curve["seconds_per_1000_chips"])]
        elif score["seconds"] is not None:
            cells[2] = figure(score["seconds"])
        table.add_row(escape(titles[score["id"]]), state, *cells)
    return table


def _worth(client: ApiClient, name: str, score: str, title: str) -> str:
    """Returns in a line how well a finished score does; chips of the usual size."""
    try:
        curve = client.score_curve(name, score, chip_size=CHIP_SIZE, min_changed_pixels=MIN_CHANGED_PIXELS)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        return f"{title} of {name} is computed. {' '.join(sentence(each) for each in problem.sentences)}"
    cost = cost_words(curve["seconds"], curve["seconds_per_1000_chips"])
    if curve["auroc"] is None:
        return f"{title} of {name} is computed ({cost}). Labels cannot judge it: {chips_words(curve)}."
    return (
        f"{title} of {name}: AUROC {ratio(curve['auroc'])}, average precision {ratio(curve['average_precision'])} "
        f"({chips_words(curve)}); {cost}."
    )


def _without_points(curve: ScoreCurve | None) -> dict[str, Any] | None:
    return None if curve is None else {name: value for name, value in curve.items() if name not in POINTS}


def _key_of(client: ApiClient, beginning: str) -> str:
    """Returns the key of the finished pretraining whose id or key begins so."""
    if len(beginning) == KEY_LENGTH:
        return beginning
    jobs = client.jobs(kind="pretrain", status="succeeded", limit=MOST_PRETRAININGS)["items"]
    keys = {job["key"] for job in jobs if job["key"].startswith(beginning) or job["id"].startswith(beginning)}
    if len(keys) == 1:
        return keys.pop()
    if keys:
        raise Failure(f"{beginning!r} is the beginning of {len(keys)} pretrainings; give more of it.")
    raise Failure(
        f"--weights {beginning}: neither published nor random, and no finished pretraining's id or key begins so. "
        "`pairlab jobs --status succeeded` lists them."
    )
