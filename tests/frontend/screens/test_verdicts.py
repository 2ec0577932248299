from frontend.api_records import ExperimentDetail
from frontend.screens.result_tables import verdict_table
from frontend.screens.verdicts import reach_of
from tests.frontend.screens.conftest import charts, opened_screen, texts
from tests.frontend.verdicts import results, verdict
from tests.live_stack import LiveStack, tiny_experiment


def test_two_seeds_show_an_interval_and_no_word_and_lead_to_the_next_look(
    stack: LiveStack, tiny: str, finished: ExperimentDetail
) -> None:
    arms = {
        **tiny_experiment()["arms"],
        "all noisy": {"pairing": {"policy": "temporal", "noise": {"rate": 1.0}, "pairs": 20}},
    }
    experiment = stack.wait(stack.submit(tiny_experiment("Verdicts", dataset=tiny, seeds=[0, 1], arms=arms)))["id"]
    assert finished["id"] != experiment
    app = opened_screen("compare", experiment=experiment)
    assert not app.exception
    assert "There are 2 seeds so far, and no verdict is given below 5 seeds." in texts(app)
    assert len(charts(app)) == 3
    app.button(key="compare-bootstrap").click().run()
    assert "(2 seeds × 6 scenes): mIoU " in texts(app)
    app.button(key="compare-extend").click().run()
    assert "Adds seeds 2, 3, 4, the look of 5 seeds: 15 jobs" in texts(app)
    app.button(key="compare-extend-not").click().run()
    assert stack.client.experiment(experiment)["seeds"] == [0, 1]
    app.button(key="compare-extend").click().run()
    app.button(key="compare-extend-now").click().run()
    assert not app.exception
    assert stack.client.experiment(experiment)["seeds"] == [0, 1, 2, 3, 4]
    stack.client.cancel_experiment(experiment)


def test_an_experiment_of_baselines_has_no_section_of_verdicts(finished: ExperimentDetail) -> None:
    app = opened_screen("compare", experiment=finished["id"])
    assert not app.exception
    assert "Verdict" not in [element.value for element in app.subheader]


def test_the_figures_behind_the_words_cannot_inject_markup() -> None:
    shown = results(verdict("<img>", "not_harmed"))
    table = verdict_table(shown, dict.fromkeys(("same", "<img>"), "#000000"))
    assert "<img>" not in table
    assert "<td>not harmed</td><td>mIoU</td><td>+0.10</td><td>−0.40 to +0.60</td><td>0.30</td>" in table


def test_the_axis_holds_margin_and_means_and_cuts_endless_intervals() -> None:
    assert reach_of([verdict("noisy", "robust")], 1.0) == 2.0
    assert reach_of([verdict("noisy", None, low=-100.0, high=100.0)], 1.0) == 8.0
    assert reach_of([], 0.5) == 1.0
