import pytest

from frontend.score_records import Score, ScoreCurve
from frontend.score_wording import (
    chips_words,
    cost_words,
    figure,
    filter_sentence,
    filtered_words,
    score_title,
    score_titles,
)
from frontend.screens.score_judgement import judged, rows_of, score_table
from pairlab.experiment.change_scores import Cva, EmbeddingDistance, IrMad

KEY = "0123456789abcdef" * 4


def curve(**changes: object) -> ScoreCurve:
    """Eight chips: four noisy with scores 4, 3, 2, 1, four clean with scores 2.5, 1.5, 0.5, 0.2; two unknown at 0."""
    found: ScoreCurve = {
        "chip_size": 64,
        "min_changed_pixels": 16,
        "noisy": 4,
        "clean": 4,
        "unknown": 2,
        "without_score": 0,
        "auroc": 0.8125,
        "average_precision": 0.9,
        "roc": [[0.0, 0.0, 4.0], [0.0, 0.5, 2.5], [0.25, 0.75, 1.5], [0.5, 1.0, 0.5], [1.0, 1.0, 0.0]],
        "precision_recall": [[0.5, 1.0, 2.5], [0.75, 0.75, 1.5], [1.0, 0.67, 0.5]],
        "quantiles": [
            {
                "quantile": 0.0,
                "threshold": 0.0,
                "thrown_away": 8,
                "noisy_thrown_away": 4,
                "clean_thrown_away": 4,
                "noisy_kept": 0,
            },
            {
                "quantile": 0.6,
                "threshold": 1.5,
                "thrown_away": 4,
                "noisy_thrown_away": 3,
                "clean_thrown_away": 1,
                "noisy_kept": 1,
            },
            {
                "quantile": 1.0,
                "threshold": 4.0,
                "thrown_away": 0,
                "noisy_thrown_away": 0,
                "clean_thrown_away": 0,
                "noisy_kept": 4,
            },
        ],
        "seconds": 1.234,
        "seconds_per_1000_chips": 0.05678,
    }
    found.update(changes)  # type: ignore[typeddict-item]
    return found


@pytest.mark.parametrize(
    ("score", "draw", "title"),
    [
        (Cva(), 0, "CVA"),
        (Cva(), 3, "CVA · draw 3"),
        (IrMad(), 0, "IR-MAD"),
        (IrMad(iterations=5), 0, "IR-MAD · 5 iterations"),
        (EmbeddingDistance(), 0, "Embedding distance · tu-resnet18, published weights"),
        (
            EmbeddingDistance(encoder="resnet50", weights="random"),
            1,
            "Embedding distance · resnet50, random weights · draw 1",
        ),
        (EmbeddingDistance(weights=KEY), 0, "Embedding distance · pretraining 01234567"),
    ],
)
def test_a_score_is_told_from_others_of_its_kind(score: Cva | IrMad | EmbeddingDistance, draw: int, title: str) -> None:
    assert score_title(score.model_dump(mode="json"), draw) == title


def test_titles_that_would_read_the_same_are_told_apart() -> None:
    def of(key: str, weights: str) -> Score:
        config = EmbeddingDistance(weights=weights).model_dump(mode="json")
        return {
            "id": key,
            "score": config,
            "draw": 0,
            "status": "succeeded",
            "job": "j",
            "seconds": 1.0,
            "scenes": 1,
            "error": None,
        }

    found = score_titles([of("a" * 64, KEY), of("b" * 64, KEY[:10] + "f" * 54), of("c" * 64, "random")])
    assert len(set(found.values())) == 3
    assert found["a" * 64].endswith("(aaaaaaaa)")
    assert found["c" * 64].endswith("random weights")


def test_what_a_filter_throws_away_is_told_with_what_it_costs() -> None:
    found = curve()
    at = found["quantiles"][1]
    assert filter_sentence(found, at) == (
        "A filter there throws away 4 pairs of 10 (40 %): 3 of the 4 noisy ones (75 %), and 1 of the 4 clean ones with "
        "them."
    )


def test_without_labels_nothing_is_said_of_noise() -> None:
    found = curve(noisy=0, clean=0, unknown=10, auroc=None, roc=[], precision_recall=[])
    words = filter_sentence(found, {**found["quantiles"][1], "noisy_thrown_away": 0})
    assert words == "A filter there throws away 4 pairs of 10 (40 %). No label knows any of them to be noisy."
    assert chips_words(found) == "0 noisy, 0 clean and 10 unknown chips"


def test_counts_and_costs_read_as_figures() -> None:
    assert chips_words(curve(without_score=2)) == "4 noisy, 4 clean and 2 unknown chips, and 2 without a score"
    assert cost_words(1.234, 0.05678) == "1.23 s in all, 0.057 s per 1000 chips"
    assert [figure(value) for value in (0.0, 0.00123, 9.876, 99.96, 1234.5)] == ["0", "0.0012", "9.88", "100", "1234"]


def test_a_filter_of_an_arm_is_told_by_what_it_threw_away() -> None:
    words = filtered_words({"drawn": 1000, "thrown_away": 200, "noisy_thrown_away": 150, "threshold": 1.0})
    assert words == "throws away 200 pairs of 1 000 (20 %), 150 of them noisy"
    nothing = filtered_words({"drawn": 10, "thrown_away": 0, "noisy_thrown_away": 0, "threshold": None})
    assert nothing == "throws away 0 pairs of 10 (0 %)"


def test_the_chosen_point_lies_on_both_curves() -> None:
    curves = {KEY: curve()}
    chosen = {
        kind: [row for row in rows_of(curves, {KEY: "CVA"}, kind, 0.6) if row["chosen"]]
        for kind in ("roc", "precision_recall")
    }
    assert [(row["x"], row["y"], row["threshold"]) for row in chosen["roc"]] == [(0.25, 0.75, 1.5)]
    assert [(row["x"], row["y"]) for row in chosen["precision_recall"]] == [(0.75, 0.75)]
    roc = [row for row in rows_of(curves, {KEY: "CVA"}, "roc", 0.6) if not row["chosen"]]
    assert [(row["x"], row["y"]) for row in roc] == [(x, y) for x, y, _ in curve()["roc"]]
    assert [row["place"] for row in roc] == list(range(5))


def test_a_filter_that_throws_nothing_away_has_no_precision() -> None:
    assert not [row for row in rows_of({KEY: curve()}, {KEY: "CVA"}, "precision_recall", 1.0) if row["chosen"]]


def test_names_cannot_inject_markup_into_the_table() -> None:
    title = "Embedding distance · <b>, random weights"
    shown = score_table({KEY: curve(auroc=None)}, {KEY: title}, {title: "#123456"})
    assert "<b>" not in shown
    assert "<td>–</td><td>0.900</td><td>1.23</td><td>0.057</td>" in shown


def test_a_score_that_labels_cannot_judge_stays_out_of_the_charts() -> None:
    curves = {"a": curve(), "b": curve(noisy=0, roc=[], precision_recall=[]), "c": curve(clean=0)}
    assert list(judged(curves)) == ["a"]
