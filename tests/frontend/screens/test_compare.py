import csv
import io

from frontend.api_client import ApiClient
from frontend.api_records import ExperimentDetail
from frontend.result_records import Results
from frontend.screens.result_tables import class_table, score_table, to_csv
from tests.frontend.screens.conftest import EXPERIMENT, charts, opened_screen, texts
from tests.live_stack import LiveStack


def test_every_protocol_has_its_chart_and_both_tables_are_there(finished: ExperimentDetail) -> None:
    app = opened_screen("compare", experiment=finished["id"])
    assert not app.exception
    assert len(charts(app)) == 2
    tables = "".join(str(element.proto.body) for element in app.get("html"))
    assert 'data-testid="scores"' in tables
    assert 'data-testid="classes"' in tables
    assert "all 8 scores" in texts(app)
    assert "What this shows, and what it does not" in texts(app)


def test_before_the_first_score_the_screen_says_what_it_waits_for(api: ApiClient) -> None:
    experiment = api.submit(EXPERIMENT.replace("seeds: [0]", "seeds: [41]"))
    app = opened_screen("compare", experiment=experiment["id"])
    assert not app.exception
    assert "No arm has a test score yet" in texts(app)
    api.cancel_experiment(experiment["id"])
    app.run()
    assert "No job of this experiment reached a test score" in texts(app)


def test_tables_show_every_seed_as_the_api_has_it(stack: LiveStack, finished: ExperimentDetail) -> None:
    results = stack.client.results(finished["id"])
    colours = {"random": "#8A9194", "half noisy": "#0072B2"}
    table = score_table(results, colours)
    for row in results["rows"]:
        assert len(row["seeds"]) == 2
        for score in row["seeds"]:
            assert f"<td>{100 * score['miou']:.1f}</td>" in table
    assert "reference" in table
    assert all(f"<th>{name}</th>" in class_table(results, colours) for name in results["classes"])


def test_names_cannot_inject_markup_into_tables(stack: LiveStack, finished: ExperimentDetail) -> None:
    results: Results = stack.client.results(finished["id"])
    rows = [{**row, "arm": "<img src=x onerror=alert(1)>"} for row in results["rows"]]
    table = score_table({**results, "rows": rows}, {"<img src=x onerror=alert(1)>": "#000000"})  # type: ignore[typeddict-item]
    assert "<img" not in table
    assert "&lt;img" in table


def test_the_download_holds_every_score(stack: LiveStack, finished: ExperimentDetail) -> None:
    results = stack.client.results(finished["id"])
    lines = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert len(lines) == 8
    scores = {
        (row["arm"], row["protocol"], str(score["seed"])): score["miou"]
        for row in results["rows"]
        for score in row["seeds"]
    }
    assert {(line["arm"], line["protocol"], line["seed"]): float(line["miou"]) for line in lines} == scores
