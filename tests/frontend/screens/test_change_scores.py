from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from frontend.api_records import FINAL_STATUSES
from frontend.score_records import Score
from frontend.score_wording import filter_sentence, ratio
from frontend.screens.design_draft import TEXT
from pairlab.experiment.change_scores import IrMad
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.pairing import ChangeScoreFilter
from tests.frontend.screens.conftest import charts, opened_screen, texts
from tests.frontend.screens.scored_dataset import RANDOM, SYNTHETIC, computed
from tests.live_stack import LiveStack


@pytest.fixture
def waiting(api: ApiClient) -> Iterator[Score]:
    """A score that waits in vain for a worker."""
    score = api.queue_score("scenes", {"name": "irmad"})
    yield score
    if api.job(score["job"])["status"] not in FINAL_STATUSES:
        api.act_on_job(score["job"], "cancel")


def table(app: AppTest) -> str:
    """Returns the table of scores."""
    return next(block.value for block in app.html if 'data-testid="change-scores"' in block.value)


@pytest.mark.usefixtures("api")
def test_the_view_is_remembered_in_the_address() -> None:
    app = opened_screen("pairs", dataset="scenes")
    assert "showing 1 to 24" in texts(app)
    app.segmented_control(key="pairs-view").set_value("scores").run()
    assert not app.exception
    assert app.query_params["view"] == "scores"
    assert "A change score tells without labels" in texts(app)
    assert "showing" not in texts(app)
    app.segmented_control(key="pairs-view").set_value("scenes").run()
    assert "view" not in app.query_params


@pytest.mark.usefixtures("api")
def test_a_dataset_without_scores_offers_to_compute_one() -> None:
    app = opened_screen("pairs", dataset="scenes", view="scores")
    assert not app.exception
    assert not charts(app)
    assert app.button(key="score-queue").label == "Compute it"
    assert "Change vector analysis" in texts(app)
    assert not app.selectbox(key="choose-dataset").disabled


def test_a_queued_score_says_what_it_waits_for_and_can_be_cancelled(api: ApiClient, waiting: Score) -> None:
    app = opened_screen("pairs", dataset="scenes", view="scores")
    assert not app.exception
    assert "No worker is connected" in texts(app)
    assert r"IR\-MAD** · waiting for a worker" in app.get("progress")[0].proto.text
    app.button(key=f"score-cancel-{waiting['id'][:12]}").click().run()
    assert api.job(waiting["job"])["status"] == "cancelled"
    app.run()
    assert "IR-MAD** :gray-badge[cancelled]" in texts(app)
    app.button(key=f"score-retry-{waiting['id'][:12]}").click().run()
    assert not [each.value for each in (*app.error, *app.exception)]
    again = next(each for each in api.scores("scenes") if each["id"] == waiting["id"])
    assert again["status"] == "queued"
    api.act_on_job(again["job"], "cancel")


def test_the_form_queues_what_it_says(api: ApiClient) -> None:
    app = opened_screen("pairs", dataset="scenes", view="scores")
    app.segmented_control(key="score-name").set_value("embedding").run()
    app.selectbox(key="score-weights").set_value("random").run()
    app.number_input(key="score-draw").set_value(3).run()
    app.button(key="score-queue").click().run()
    assert not [each.value for each in (*app.error, *app.exception)]
    queued = next(each for each in api.scores("scenes") if each["score"]["name"] == "embedding")
    assert queued["score"] == RANDOM
    assert queued["draw"] == 3
    assert queued["status"] == "queued"
    api.act_on_job(queued["job"], "cancel")


def test_an_encoder_that_is_none_is_a_sentence(api: ApiClient) -> None:
    def refused() -> None:
        from frontend.screens.score_form import queue

        queue("scenes", {"name": "embedding", "encoder": "no such encoder!"}, 0)

    before = len(api.scores("scenes"))
    app = AppTest.from_function(refused, default_timeout=60).run()
    assert not app.exception
    assert "encoder" in app.error[0].value
    assert len(api.scores("scenes")) == before


def test_scores_are_judged_by_the_labels(scored: ApiClient, scored_ids: list[str]) -> None:
    app = opened_screen("pairs", dataset="scored", view="scores")
    assert not app.exception
    assert len(charts(app)) == 2
    shown = table(app)
    curves = [scored.score_curve("scored", key, chip_size=64, min_changed_pixels=16) for key in scored_ids]
    for curve in curves:
        assert curve["noisy"] > 0
        assert curve["clean"] > 0
        assert ratio(curve["auroc"]) in shown
        assert ratio(curve["average_precision"]) in shown
    assert all(title in shown for title in ("CVA", "IR-MAD", "tu-resnet18, random weights"))
    counts = "".join(f"<td>{curves[0][kind]}</td>" for kind in ("noisy", "clean", "unknown"))
    assert counts in shown
    of_small = scored.score_curve("scored", scored_ids[0], chip_size=32, min_changed_pixels=4)
    app = opened_screen("pairs", dataset="scored", view="scores", chip="32", changed="4")
    assert ratio(of_small["auroc"]) in table(app)


def test_a_threshold_tells_what_a_filter_there_throws_away(scored: ApiClient, scored_ids: list[str]) -> None:
    app = opened_screen("pairs", dataset="scored", view="scores", score=scored_ids[1], quantile="0.5")
    curve = scored.score_curve("scored", scored_ids[1], chip_size=64, min_changed_pixels=16)
    by_quantile = {round(each["quantile"], 2): each for each in curve["quantiles"]}
    assert filter_sentence(curve, by_quantile[0.5]) in texts(app)
    app.select_slider(key="score-quantile").set_value(curve["quantiles"][-2]["quantile"]).run()
    assert filter_sentence(curve, curve["quantiles"][-2]) in texts(app)
    assert app.query_params["quantile"] == f"{curve['quantiles'][-2]['quantile']:g}"
    app.selectbox(key="choose-score").set_value(scored_ids[0]).run()
    first = scored.score_curve("scored", scored_ids[0], chip_size=64, min_changed_pixels=16)
    assert filter_sentence(first, first["quantiles"][-2]) in texts(app)


@pytest.mark.usefixtures("scored")
def test_some_scores_are_compared_without_the_others(scored_ids: list[str]) -> None:
    app = opened_screen("pairs", dataset="scored", view="scores", curves=scored_ids[:2])
    assert not app.exception
    assert "IR-MAD" in table(app)
    assert "tu-resnet18" not in table(app)
    app.button_group(key="score-curves").set_value([scored_ids[2]]).run()
    assert not app.exception
    assert "IR-MAD" not in table(app)
    assert app.query_params["curves"] in (scored_ids[2], [scored_ids[2]])


@pytest.mark.usefixtures("scored")
def test_another_dataset_leaves_its_scores_behind(scored_ids: list[str], tiny: str) -> None:
    app = opened_screen("pairs", dataset="scored", view="scores", score=scored_ids[1], quantile="0.5", chip="32")
    app.selectbox(key="choose-dataset").set_value(tiny).run()
    assert not app.exception
    assert set(app.query_params) == {"dataset", "view"}


def test_labels_without_change_cannot_judge_and_the_screen_says_so(
    stack: LiveStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRLAB_API_URL", stack.api)
    stack.register("changeless", {**SYNTHETIC, "train": 8, "knobs": {"change_rate": 0.0}})
    computed(stack, "changeless", {"name": "cva"})
    app = opened_screen("pairs", dataset="changeless", view="scores")
    assert not app.exception
    assert not charts(app)
    assert "No chip of the train split has 16 pixels of labelled change" in texts(app)
    assert "No label knows any of them to be noisy." in texts(app)
    assert app.button(key="score-design").label == "Use this filter in Design"


@pytest.mark.usefixtures("scored")
def test_a_filter_goes_along_to_the_design(scored_ids: list[str]) -> None:
    app = opened_screen("pairs", dataset="scored", view="scores", score=scored_ids[1], quantile="0.7")
    app.button(key="score-design").click().run()
    assert not app.exception
    assert app.title[0].value == "Design"
    experiment = load_experiment(app.session_state[TEXT])
    assert experiment.dataset == "scored"
    (pairing,) = [arm.pairing for arm in experiment.arms.values() if arm.pairing and arm.pairing.filter.by != "none"]
    assert pairing.filter == ChangeScoreFilter(score=IrMad(), quantile=0.7)
