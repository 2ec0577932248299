"""What each contrastive method is worth by pairing: the linear probe's mIoU over random initialisation, as Markdown.

With --cells FILE, each finished run is kept in that file, and a second start goes on where the first was ended. More
files behind it are read alone: so several processes do some --methods each, and one more start prints them together.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import torch
from pydantic import TypeAdapter

from benchmarks.method_runs import METHODS, PAIRINGS, QUICK, RANDOM, Size, probed, settings, transferred
from benchmarks.report import Row, machine
from pairlab.experiment.methods import Method, needs_two_images

SEEDS = (0, 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: a method on one pairing with one seed, or a random initialisation on the first."""

    method: str
    pairing: str
    seed: int


def cells(seeds: tuple[int, ...], methods: Sequence[str] = METHODS) -> Iterator[Cell]:
    """Yields the runs of the table's rows, whole tables of one seed before the next begins."""
    for seed in seeds:
        yield from dict.fromkeys(baseline(method, seed) for method in methods)
        for pairing in ("temporal, clean", "temporal, half noisy", "same image"):
            yield from (Cell(method, pairing, seed) for method in methods if possible(method, pairing))


def baseline(method: str, seed: int) -> Cell:
    """Returns the random initialisation that a method is compared with: probed on the features that it hands on."""
    return Cell(RANDOM[transferred(method)], next(iter(PAIRINGS)), seed)


def possible(method: str, pairing: str) -> bool:
    """Whether a method has something to learn from a pairing."""
    config = TypeAdapter[Method](Method).validate_python({"name": method})
    return pairing != "same image" or not needs_two_images(config)


def finished(files: Sequence[Path], size: Size) -> dict[Cell, float]:
    """Returns the mIoU of runs that were finished before with the same settings; of a file that is not there, none."""
    lines = [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]
    found = {Cell(**line["cell"]): line for line in lines}
    return {cell: line["miou"] for cell, line in found.items() if line["settings"] == settings_of(cell, size)}


def settings_of(cell: Cell, size: Size) -> dict[str, object]:
    """Returns all that a cell runs with."""
    return settings(cell.method, cell.pairing, seed=cell.seed, size=size)


def gains(found: dict[Cell, float], method: str, pairing: str, seeds: tuple[int, ...]) -> list[float]:
    """Returns points over random initialisation, paired by seed, of the seeds that are there."""
    both = [(found.get(Cell(method, pairing, seed)), found.get(baseline(method, seed))) for seed in seeds]
    return [one - other for one, other in both if one is not None and other is not None]


def table(found: dict[Cell, float], seeds: tuple[int, ...], methods: Sequence[str] = METHODS) -> str:
    """Returns the methods' table as Markdown; a dash is a run that cannot be, an empty place one that is not done."""
    heads = [*PAIRINGS]
    lines = ["| method | random, mIoU | " + " | ".join(heads) + " |", "|---|---:|" + "---:|" * len(heads)]
    for method in methods:
        starts = [found[start] for seed in seeds if (start := baseline(method, seed)) in found]
        figures = [
            _figure(gains(found, method, pairing, seeds), "+") if possible(method, pairing) else "–"
            for pairing in heads
        ]
        lines.append(f"| {method} | " + " | ".join([_figure(starts, ""), *figures]) + " |")
    return "\n".join(lines)


def _figure(values: list[float], sign: str) -> str:
    """Returns mean and standard deviation over seeds."""
    if not values:
        return ""
    return f"{mean(values):{sign}.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def main() -> None:
    """Measures what the command line asks for, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="a short form: shows that it runs, proves nothing")
    parser.add_argument(
        "--cells",
        type=Path,
        nargs="+",
        default=[],
        help="file that keeps finished runs, and is gone on from; files behind it are read alone",
    )
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
        if arguments.cells:
            with arguments.cells[0].open("a") as file:
                line = {"cell": asdict(cell), "miou": found[cell], "settings": settings_of(cell, size)}
                file.write(json.dumps(line) + "\n")
    if arguments.json:
        rows = [
            Row(
                f"{method}: {pairing}",
                mean(values),
                "mIoU points",
                f"{RANDOM[transferred(method)]}, {len(values)} seeds",
                None,
            )
            for method in arguments.methods
            for pairing in PAIRINGS
            if (values := gains(found, method, pairing, seeds))
        ]
        print(json.dumps({"machine": machine(), "rows": [{**asdict(row), "holds": row.holds} for row in rows]}))
    else:
        print(table(found, seeds, arguments.methods))


if __name__ == "__main__":
    main()
