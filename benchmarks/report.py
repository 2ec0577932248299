"""How every benchmark tells its results: a table for people, one JSON object for programs."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure, beside what it is held against."""

    metric: str
    value: float
    unit: str
    against: str
    bar: float | None
    """What must be reached; None where the figure only informs."""
    at_least: bool = True
    """Whether the value must be at least (True) or at most (False) the bar."""

    @property
    def holds(self) -> bool | None:
        """Whether the bar is reached."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def machine() -> dict[str, str | int | None]:
    """Returns what the figures were measured on."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
    except OSError:
        pass
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "pairlab": version("pairlab"),
    }


def run(description: str, measure: Callable[[bool], Sequence[Row]]) -> None:
    """Measures as the command line asks (--quick, --json) and prints; exits with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--quick", action="store_true", help="a short form within 60 s: shows that it runs, proves nothing"
    )
    arguments = parser.parse_args()
    rows = measure(arguments.quick)
    if arguments.json:
        print(json.dumps({"machine": machine(), "rows": [{**asdict(row), "holds": row.holds} for row in rows]}))
    else:
        _print_table(description, rows)
    if not arguments.quick and any(row.holds is False for row in rows):
        raise SystemExit(1)


def _print_table(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("metric", "value", "unit", "against", "bar", "holds"):
        table.add_column(heading, justify="right" if heading in ("value", "bar") else "left")
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        bar = "" if row.bar is None else f"{sign} {row.bar:g}"
        holds = "" if row.holds is None else "yes" if row.holds else "NO"
        value = f"{row.value:.3g}" if abs(row.value) < 1000 else f"{row.value:.0f}"
        table.add_row(row.metric, value, row.unit, row.against, bar, holds)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(table)
    facts = machine()
    console.print(f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, PairLab {facts['pairlab']}")
