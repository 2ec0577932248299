"""The shapes that the screens read are those the API declares to answer with."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import pytest

from backend.app import create_app
from backend.settings import Settings
from frontend import api_records, pair_records, result_records, scene_records, score_records

RECORDS: Mapping[str, type] = {
    "ArmResult": result_records.ArmResult,
    "ArmPreview": pair_records.ArmPreview,
    "ArtifactRead": api_records.Artifact,
    "Balance": pair_records.Balance,
    "DataRootRead": scene_records.DataRoot,
    "DatasetRead": scene_records.Dataset,
    "DatasetReport": scene_records.DatasetReport,
    "Distribution": scene_records.Distribution,
    "ExampleRead": api_records.Example,
    "ExperimentDetail": api_records.ExperimentDetail,
    "ExperimentPreview": pair_records.ExperimentPreview,
    "ExperimentRead": api_records.Experiment,
    "ExportedFilter": scene_records.ExportedFilter,
    "Filtered": pair_records.Filtered,
    "Histogram": scene_records.Histogram,
    "JobDetail": api_records.JobDetail,
    "JobRead": api_records.Job,
    "JobUse": api_records.JobUse,
    "LogLine": api_records.LogLine,
    "MarkRead": scene_records.Mark,
    "MetricPoint": api_records.MetricPoint,
    "PlanRead": api_records.Plan,
    "PredictionRead": api_records.Prediction,
    "PreviewPair": pair_records.PreviewPair,
    "PreviewPoint": pair_records.PreviewPoint,
    "PreviewResponse": pair_records.Preview,
    "PreviewView": pair_records.PreviewView,
    "PreviewViews": pair_records.PreviewViews,
    "ResultsRead": result_records.Results,
    "SceneDetail": scene_records.SceneDetail,
    "SceneRead": scene_records.Scene,
    "ScoreCurve": score_records.ScoreCurve,
    "ScoreRead": score_records.Score,
    "SeedScore": result_records.SeedScore,
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    openapi = create_app(Settings(home=tmp_path_factory.mktemp("home"))).openapi()
    found: dict[str, Any] = openapi["components"]["schemas"]
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_the_fields_that_the_api_answers_with(schemas: dict[str, Any], name: str) -> None:
    assert name in schemas
    assert set(get_type_hints(RECORDS[name])) == set(schemas[name]["properties"])
