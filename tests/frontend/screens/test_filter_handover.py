import pytest
from streamlit.testing.v1 import AppTest

from frontend.screens.design_draft import REVISION, TEXT
from frontend.screens.filter_handover import most_noisy_unfiltered, with_filter
from frontend.screens.score_judgement import PENDING_FILTER
from pairlab.experiment.change_scores import Cva
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.pairing import ChangeScoreFilter
from tests.frontend.screens.conftest import opened_screen, texts

FILTER = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.8}
FILE = """\
# Which of them?
name: handover
dataset: scenes
scenes: {without: [a]}  # one of the others'
arms:
  same: {pairing: {policy: same_image, pairs: 10}}
  half: {pairing: {policy: temporal, noise: {rate: 0.5}, pairs: 10}}  # half of them
  all: {pairing: {policy: temporal, noise: {rate: 1}, pairs: 10}}
  elsewhere: {pairing: {policy: temporal, noise: {rate: 0.8, mismatch_rate: 0.2}, pairs: 10}}
  sure: {pairing: {policy: temporal, noise: {rate: 0.2}, filter: oracle, pairs: 10}}
reference: half
labels: {train_chips: 4}
seeds: [0]
protocols: [{name: linear_probe}]
"""


def handed(text: str, dataset: str = "scenes") -> AppTest:
    """Returns the Design screen with a file, right after a filter was handed over."""
    app = opened_screen("design")
    app.session_state[TEXT] = text
    app.session_state[REVISION] += 1
    app.session_state[PENDING_FILTER] = {"dataset": dataset, "filter": FILTER}
    return app.run()


def test_the_arm_with_the_most_noise_and_no_filter_is_taken() -> None:
    assert most_noisy_unfiltered(load_experiment(FILE)) == "all"
    as_the_data = FILE.replace("noise: {rate: 0.5}, ", "").replace("noise: {rate: 1}", "noise: {rate: 0}")
    assert most_noisy_unfiltered(load_experiment(as_the_data)) == "half"


def test_the_file_keeps_its_comments_and_another_dataset_drops_its_scenes() -> None:
    same = with_filter(FILE, "all", "all, filtered", {"dataset": "scenes", "filter": FILTER})
    assert "# half of them" in same
    assert load_experiment(same).scenes.without == ("a",)
    filtered = load_experiment(same).arms["all, filtered"].pairing
    assert filtered is not None
    assert filtered.filter == ChangeScoreFilter(score=Cva(), quantile=0.8)
    other = load_experiment(with_filter(FILE, "all", "all, filtered", {"dataset": "other", "filter": FILTER}))
    assert (other.dataset, other.scenes.without) == ("other", ())


@pytest.mark.usefixtures("api")
def test_the_filter_becomes_one_more_arm_each_time() -> None:
    app = handed(FILE)
    assert not [each.value for each in (*app.error, *app.exception)]
    assert list(load_experiment(app.session_state[TEXT]).arms)[-1] == "all, filtered"
    assert PENDING_FILTER not in app.session_state
    app.session_state[PENDING_FILTER] = {"dataset": "scenes", "filter": {**FILTER, "quantile": 0.9}}
    app.run()
    assert list(load_experiment(app.session_state[TEXT]).arms)[-1] == "all, filtered 2"


@pytest.mark.usefixtures("api")
def test_a_file_without_an_arm_to_filter_says_so() -> None:
    lone = "name: x\ndataset: scenes\narms:\n  same: {pairing: {policy: same_image, pairs: 10}}\n  r: {baseline: "
    app = handed(lone + "random_initialisation}\nreference: same\nseeds: [0]\n")
    assert not app.exception
    assert "there is nothing to filter" in texts(app)
    assert len(load_experiment(app.session_state[TEXT]).arms) == 2
