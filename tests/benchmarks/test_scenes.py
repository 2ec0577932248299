import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.full_xbd import SIDE, write_full_xbd
from pairlab.scenes.png import png_size
from pairlab.scenes.xbd import open_xbd


def test_the_generated_tree_is_a_sound_xbd_tree(tmp_path: Path) -> None:
    write_full_xbd(tmp_path / "tree", tiles=24)
    source = open_xbd(tmp_path / "tree", damage_from="minor-damage")
    assert len(source.scenes) == 24
    assert {scene.split for scene in source.scenes} == {"train", "validation", "test"}
    facts = [source.label_facts(scene) for scene in source.scenes]
    assert 0 < sum(len(each.objects.kind) for each in facts) / 24 < 120
    assert sum(each.location is not None for each in facts) > 12
    image = source.scenes[0].files["pre"].image
    assert png_size(tmp_path / "tree" / image, name=image) == (SIDE, SIDE)
    assert 1_000_000 < (tmp_path / "tree" / image).stat().st_size < 2_500_000


@pytest.mark.slow
def test_the_short_form_runs_the_real_stack_and_prints_one_object() -> None:
    command = [sys.executable, "-m", "benchmarks.scenes", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rows = {row["metric"]: row for row in json.loads(answer.stdout)["rows"]}
    memory = "API memory after the requests"
    assert {"registered and browsable", "scene list p95", "cached thumbnail p95", memory} <= rows.keys()
    assert {"index_vs_decoder", "chip_vs_png", "chip_vs_memcpy", "rasterising"} <= rows.keys()
    assert all(row["value"] > 0 for name, row in rows.items() if name != memory)
