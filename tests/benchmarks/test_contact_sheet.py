from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.contact_sheet import SHEET, draw_sheet
from pairlab.experiment.synthetic_scenes import PRESETS, QUESTIONS, SyntheticScenes

PAGE = Path(__file__).parents[2] / "docs" / "synthetic-scenes.md"


def test_the_sheet_in_the_docs_is_what_the_command_draws() -> None:
    assert SHEET.stat().st_size <= 600_000
    with Image.open(SHEET) as image:
        kept = np.asarray(image.convert("RGB")).astype(int)
    drawn = np.asarray(draw_sheet(9)).astype(int)
    assert kept.shape == drawn.shape
    # Another version of Pillow may draw letters otherwise; the scenes are the same.
    assert (np.abs(kept - drawn).max(axis=2) > 4).mean() < 0.02


def test_the_page_explains_every_preset_and_every_knob() -> None:
    page = PAGE.read_text()
    for preset in PRESETS:
        assert f"| `{preset}` | {QUESTIONS[preset]} |" in page
    for name, field in SyntheticScenes.model_fields.items():
        assert f"| `{name}` (" in page
        assert " ".join(str(field.description).split()) in page
