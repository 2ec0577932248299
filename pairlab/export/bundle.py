"""All files of an exported pretraining, as a ZIP archive that is made while it is read."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.yaml_text import write_yaml
from pairlab.export.card import MODEL_FILE, Score, model_card
from pairlab.export.encoder import Loading, smp_loading, timm_loading
from pairlab.export.tensor_file import renamed

MADE_AT = (1980, 1, 1, 0, 0, 0)
"""Of every file: equal exports are equal to the byte."""


def export_files(
    config: PretrainJob,
    *,
    key: str,
    weights: Path,
    version: str,
    facts: dict[str, Any],
    results: dict[str, Any],
    scores: Sequence[Score],
) -> list[tuple[str, Iterable[bytes]]]:
    """Returns names and contents, in pieces, of what another program needs to use a pretraining.

    Args:
        config: of the pretraining.
        key: of its job.
        weights: the file of its encoder and decoder.
        version: of PairLab.
        facts: what the run found at its start, `network` among it.
        results: what it found at its end.
        scores: of segmentations that started from it.
    """
    smp, timm = smp_loading(config.network, facts["network"]), timm_loading(config.network, facts["network"])
    card = model_card(config, key=key, version=version, facts=facts, results=results, scores=scores, smp=smp, timm=timm)
    return [
        ("README.md", [card.encode()]),
        ("config.yaml", [write_yaml(config.model_dump(mode="json")).encode()]),
        ("load.py", [_snippet(timm or smp, bands=facts["network"]["bands"], size=config.chip_size).encode()]),
        *((loading.file, renamed(weights, loading.rename)) for loading in (timm, smp) if loading is not None),
        (MODEL_FILE, renamed(weights, lambda name: name)),
    ]


def zip_archive(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """Yields the pieces of a ZIP archive, not compressed: weights hardly shrink."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, pieces in files:
            with archive.open(zipfile.ZipInfo(name, MADE_AT), "w", force_zip64=True) as entry:
                for piece in pieces:
                    entry.write(piece)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What the archive writes into, a stream that cannot go back; whoever reads it takes what is there."""

    def __init__(self) -> None:
        self._there = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:  # noqa: ANN401  (any buffer)
        self._there += content
        return len(content)

    def taken(self) -> bytes:
        there = bytes(self._there)
        self._there.clear()
        return there


def _snippet(loading: Loading, *, bands: int, size: int) -> str:
    return (
        '"""Loads the encoder; README.md says how images are scaled."""\n\n'
        "from pathlib import Path\n\n"
        f"{loading.imports}\nimport torch\nfrom safetensors.torch import load_file\n\n"
        f"encoder = {loading.call}.eval()\n"
        f'encoder.load_state_dict(load_file(Path(__file__).with_name("{loading.file}")), strict=True)\n'
        f"images = torch.zeros(1, {bands}, {size}, {size})\n"
        f"features = {loading.features}\n"
        "print([tuple(level.shape) for level in features])\n"
    )
