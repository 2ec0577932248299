"""What arms show, beside one another: so that a difference between them is one of pairing, and not of exposure."""

from collections.abc import Callable, Iterator, Mapping
from html import escape

from frontend.pair_records import Balance
from frontend.wording import grouped, percent

MOST_EVENTS = 8
TOLERANCE = 0.005
"""Numbers closer than this, in parts of the larger one, are the same."""
Cell = tuple[float, str]
"""What is compared, and what is shown."""


def balance_table(balances: Mapping[str, Balance], reference: str) -> str:
    """Returns a row per quantity and a column per arm; rows in which an arm differs from the reference are marked.

    Args:
        balances: by arm, in the order of the columns; without the reference nothing is marked.
        reference: name of the reference arm.
    """
    heads = "".join(f"<th>{escape(name)}{' (reference)' * (name == reference)}</th>" for name in balances)
    rows = []
    for label, cells in _rows(balances):
        own = cells.get(reference)
        differs = own is not None and any(_differ(value, own[0]) for value, _ in cells.values())
        shown = "".join(f"<td>{escape(text)}</td>" for _, text in cells.values())
        rows.append(f"<tr{' class=differs' * differs}><td>{escape(label)}</td>{shown}</tr>")
    return (
        '<div class="pl-scroll"><table class="pl-table pl-metadata pl-balance" data-testid="balance">'
        f"<tr><th></th>{heads}</tr>{''.join(rows)}</table></div>"
    )


def _rows(balances: Mapping[str, Balance]) -> Iterator[tuple[str, dict[str, Cell]]]:
    figures: dict[str, Callable[[Balance], Cell]] = {
        "pairs": lambda each: (each["pairs"], grouped(each["pairs"])),
        "distinct places": lambda each: (each["places"], grouped(each["places"])),
        "a place is shown, least": lambda each: (each["shown"][0], f"{each['shown'][0]} ×"),
        "a place is shown, most": lambda each: (each["shown"][1], f"{each['shown'][1]} ×"),
        "objects, mean share of a chip": lambda each: (each["object_share"][0], percent(each["object_share"][0])),
        "objects, quartiles": lambda each: (
            each["object_share"][2],
            " · ".join(percent(share, 0) for share in each["object_share"][1:]),
        ),
    }
    for label, figure in figures.items():
        yield label, {name: figure(balance) for name, balance in balances.items()}
    shares = {name: dict(_shares(balance)) for name, balance in balances.items()}
    for label in dict.fromkeys(label for each in shares.values() for label in each):
        yield label, {name: (each.get(label, 0.0), percent(each.get(label, 0.0))) for name, each in shares.items()}


def _shares(balance: Balance) -> Iterator[tuple[str, float]]:
    for name, share in balance["acquisitions"].items():
        yield f"images: {name}", share
    events = sorted(balance["events"].items())
    if len(events) > 1:
        for name, share in events[:MOST_EVENTS]:
            yield f"event {name}", share
        if len(events) > MOST_EVENTS:
            yield "all other events", sum(share for _, share in events[MOST_EVENTS:])
    if len(balance["splits"]) > 1:
        for name, share in balance["splits"].items():
            yield f"split {name}", share


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > TOLERANCE * max(abs(one), abs(other), TOLERANCE)
