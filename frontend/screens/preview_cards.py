"""How a drawn pair reads: its images with the change over them, its badges, its place."""

from html import escape

from frontend.api_paths import api_path
from frontend.components.pair_grid.grid import BadgeSpec, PairSpec, ThumbnailSpec
from frontend.components.palette import change_specs
from frontend.pair_records import PreviewPair
from frontend.screens.arm_previews import is_one_place
from frontend.wording import percent

CONTROL_WORDS = {
    "rerender": "rendered again",
    "masked": "change masked",
    "same_acquisition": "same image",
    "replace": "another, clean place",
}
CHANGE_MAPS = ("beside", "over", "off")


def card(pair: PreviewPair, *, change: str) -> PairSpec:
    """Returns the card of a pair; `change` tells where its change map is: beside, over the images, or off."""
    images = thumbnails(pair, overlaid=change == "over", names_roles=change != "beside")
    if change == "beside":
        anchor = api_path(pair["anchor"]["image_url"])
        images.append({"url": anchor, "label": "change", "overlay": api_path(pair["change_url"])})
    return {
        "key": str(pair["position"]),
        "title": f"{pair['position'] + 1} · {pair['scene']}",
        "subtitle": place_words(pair),
        "badges": badges(pair),
        "images": images,
    }


def thumbnails(pair: PreviewPair, *, overlaid: bool, names_roles: bool = False) -> list[ThumbnailSpec]:
    """Returns both images, the anchor first; the change map is one of the anchor's place."""
    images: list[ThumbnailSpec] = [
        {"url": api_path(view["image_url"]), "label": f"{f'{role} · ' * names_roles}{view['acquisition']}"}
        for role, view in (("anchor", pair["anchor"]), ("positive", pair["positive"]))
    ]
    for image in images[: 2 if is_one_place(pair) else 1]:
        if overlaid:
            image["overlay"] = api_path(pair["change_url"])
    return images


def badges(pair: PreviewPair) -> list[BadgeSpec]:
    """Returns what there is to say about a pair in a few words each."""
    found: list[BadgeSpec] = []
    if pair["mismatched"]:
        found.append({"text": "other place", "tone": "bad"})
    elif pair["noisy"]:
        found.append({"text": f"noisy · {percent(pair['object_change_share'], 0)} of objects", "tone": "warning"})
    elif pair["unknown"]:
        found.append({"text": "change unknown", "tone": "info"})
    else:
        found.append({"text": "clean", "tone": "neutral"})
    if pair["control"] is not None:
        found.append({"text": CONTROL_WORDS[pair["control"]], "tone": "info"})
    if any(pair["shift"]):
        found.append({"text": shift_words(pair["shift"]), "tone": "warning"})
    if pair["score"] is not None:
        found.append({"text": f"score {pair['score']:.3g}", "tone": "neutral"})
    return found


def shift_words(shift: list[float]) -> str:
    """Returns a displacement down and right in words."""
    down, right = shift
    ways = ("down" if down >= 0 else "up", "right" if right >= 0 else "left")
    return f"shifted {abs(down):.1f} px {ways[0]}, {abs(right):.1f} {ways[1]}"


def place_words(pair: PreviewPair) -> str:
    """Returns where both images lie, as far as that is worth saying."""
    words = _place(pair["event"], pair["y"], pair["x"])
    if is_one_place(pair):
        return words
    other = _place(pair["positive_event"], pair["positive_y"], pair["positive_x"])
    return " · ".join(filter(None, [words, f"with {pair['positive_scene']}", other]))


def _place(event: str, y: int, x: int) -> str:
    where = f"y {y}, x {x}"
    if event == "synthetic":
        return where if y or x else ""
    return f"{event} · {where}"


def change_legend() -> str:
    """Returns what the colours of a change map mean."""
    items = (
        f'<span class="pl-chip" style="background:{spec["color"]}"></span>{escape(spec["name"])}'
        for spec in change_specs()
    )
    return f'<div class="pl-legend">{"&emsp;".join(items)}</div>'
