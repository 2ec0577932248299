from streamlit.testing.v1 import AppTest


def screen() -> None:
    from frontend.screens.other_scores import show_other_scores
    from tests.frontend.screens.test_result_tables import COLOURS, results

    show_other_scores(results(None), COLOURS)


def shown(app: AppTest) -> str:
    assert not app.exception
    return str(app.get("html")[0].proto.body)


def test_scores_of_all_classes_come_first_and_f1_class_by_class_on_request() -> None:
    app = AppTest.from_function(screen).run()
    assert 'data-testid="other-scores"' in shown(app)
    assert "<th>boundary F1</th>" in shown(app)
    assert "scores" not in app.query_params
    app.selectbox[0].select("f1").run()
    assert 'data-testid="f1"' in shown(app)
    assert "<th>destroyed</th>" in shown(app)
    assert app.query_params.get("scores") == "f1"


def test_the_address_says_which_scores_are_shown() -> None:
    app = AppTest.from_function(screen)
    app.query_params["scores"] = "f1"
    assert 'data-testid="f1"' in shown(app.run())
