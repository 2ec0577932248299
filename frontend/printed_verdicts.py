"""Verdicts for the terminal."""

from rich import box
from rich.markup import escape
from rich.table import Table

from frontend.result_records import Results
from frontend.verdict_wording import family_words, interval_words, look_words, needed_words, sign_words
from frontend.wording import protocol_words

STYLES = {"robust": "green", "not_harmed": "green", "benefits": "cyan", "harmed": "bold red", "undecided": "yellow"}


def verdict_lines(results: Results) -> list[str]:
    """Returns in words what each arm has shown and what not; nothing where no arm may get a verdict."""
    lines = [family_words(results)] if results["verdicts"] else []
    for verdict in results["verdicts"]:
        lines.append(f"{verdict['arm']} ({look_words(verdict)}): {verdict['plain']}")
        if verdict["outcome"] is not None:
            lines.append(f"  Shown: {verdict['shown']}.")
            lines.append(f"  Not shown: {verdict['not_shown']}.")
        lines += [f"  Mind: {caveat}." for caveat in verdict["caveats"]]
    return lines + [f"Seeds still needed: {line}" for line in needed_words(results["verdicts"])]


def verdict_table(results: Results) -> Table:
    """Returns a row per arm: the word, and per endpoint the difference with its interval and which way seeds went."""
    titles = list(
        dict.fromkeys(endpoint["title"] for verdict in results["verdicts"] for endpoint in verdict["endpoints"])
    )
    table = Table(
        title=f"Verdict against {escape(results['reference'])}, {protocol_words(results['primary_protocol'])}, points",
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for column in ("arm", "verdict", *titles, "sign test"):
        table.add_column(escape(column), overflow="fold")
    for verdict in results["verdicts"]:
        style = STYLES.get(verdict["outcome"] or "", "dim")
        figures = {endpoint["title"]: interval_words(endpoint) for endpoint in verdict["endpoints"]}
        signs = sign_words(verdict["endpoints"][0]) if verdict["endpoints"] else "–"
        table.add_row(
            escape(verdict["arm"]),
            f"[{style}]{verdict['word']}[/]",
            *(figures.get(title, "–") for title in titles),
            signs,
        )
    return table
