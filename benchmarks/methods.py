"""What each contrastive method is worth by pairing: the linear probe's mIoU over random initialisation, as Markdown.

With --cells FILE, each finished run is kept in that file, and a second start goes on where the first was ended.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import torch
from pydantic import TypeAdapter

from benchmarks.method_runs import METHODS, PAIRINGS, QUICK, RANDOM, Size, probed
from benchmarks.report import Row, machine
from pairlab.experiment.methods import Method, needs_two_images

SEEDS = (0, 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: a method on one pairing with one seed, or random initialisation."""

    method: str
    pairing: str
    seed: int


def cells(seeds: tuple[int, ...], methods: Sequence[str] = METHODS) -> Iterator[Cell]:
    """Yields the runs of the table's rows, whole tables of one seed before the next begins."""
    for seed in seeds:
        yield Cell(RANDOM, next(iter(PAIRINGS)), seed)
        for pairing in ("temporal, clean", "temporal, half noisy", "same image"):
            yield from (Cell(method, pairing, seed) for method in methods if possible(method, pairing))


def possible(method: str, pairing: str) -> bool:
    """Whether a method has something to learn from a pairing."""
    config = TypeAdapter[Method](Method).validate_python({"name": method})
    return pairing != "same image" or not needs_two_images(config)


def finished(file: Path | None, size: Size) -> dict[Cell, float]:
    """Returns the mIoU of runs that were finished before with the same settings."""
    if file is None or not file.exists():
        return {}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {Cell(**line["cell"]): line["miou"] for line in lines if line["settings"] == settings(size)}


def settings(size: Size) -> dict[str, object]:
    """Returns what all runs of a table share."""
    return {
        "steps": size.steps,
        "batch_size": size.batch_size,
        "pairs": size.pairs,
        "probe_steps": size.probe_steps,
        "dataset": size.dataset.model_dump(mode="json"),
    }


def gains(found: dict[Cell, float], method: str, pairing: str, seeds: tuple[int, ...]) -> list[float]:
    """Returns points over random initialisation, paired by seed, of the seeds that are there."""
    both = [
        (found.get(Cell(method, pairing, seed)), found.get(Cell(RANDOM, next(iter(PAIRINGS)), seed))) for seed in seeds
    ]
    return [one - other for one, other in both if one is not None and other is not None]


def table(found: dict[Cell, float], seeds: tuple[int, ...]) -> str:
    """Returns the table as Markdown; a dash is a run that cannot be, an empty place one that is not finished."""
    heads = [*PAIRINGS]
    lines = ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for method in METHODS:
        figures = [
            _figure(gains(found, method, pairing, seeds)) if possible(method, pairing) else "–" for pairing in heads
        ]
        lines.append(f"| {method} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def _figure(values: list[float]) -> str:
    if not values:
        return ""
    return f"{mean(values):+.1f}" if len(values) == 1 else f"{mean(values):+.1f} ± {stdev(values):.1f}"


def main() -> None:
    """Measures what the command line asks for, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="a short form: shows that it runs, proves nothing")
    parser.add_argument("--cells", type=Path, help="file that keeps finished runs, and is gone on from")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="these rows alone")
    parser.add_argument("--threads", type=int, help="threads of torch; by itself all cores")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    size, seeds = (QUICK, SEEDS[:1]) if arguments.quick else (Size(), SEEDS)
    found = finished(arguments.cells, size)
    for cell in cells(seeds, arguments.methods):
        if cell in found:
            continue
        found[cell] = probed(cell.method, cell.pairing, seed=cell.seed, size=size)
        if arguments.cells is not None:
            with arguments.cells.open("a") as file:
                line = {"cell": asdict(cell), "miou": found[cell], "settings": settings(size)}
                file.write(json.dumps(line) + "\n")
    if arguments.json:
        rows = [
            Row(f"{method}: {pairing}", mean(values), "mIoU points", f"{RANDOM}, {len(values)} seeds", None)
            for method in METHODS
            for pairing in PAIRINGS
            if (values := gains(found, method, pairing, seeds))
        ]
        print(json.dumps({"machine": machine(), "rows": [{**asdict(row), "holds": row.holds} for row in rows]}))
    else:
        print(table(found, seeds))


if __name__ == "__main__":
    main()
