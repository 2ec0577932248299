"""Networks written as a pretraining writes them, and exported."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from pairlab.checkpoint import save_weights
from pairlab.experiment.jobs import PretrainJob
from pairlab.export.bundle import export_files, zip_archive
from pairlab.export.card import Score
from pairlab.input_scale import described_input
from pairlab.networks import DenseNetwork, build_network
from pairlab.scenes.scene import RGB
from tests.pairlab.training_jobs import pretrain_job


def exported(
    folder: Path, *, encoder: str, decoder: str = "fpn", bands: int = 3, scores: Sequence[Score] = (), **results: float
) -> tuple[PretrainJob, DenseNetwork]:
    """Writes a network's export into the folder and returns its job and the network itself."""
    chip_size = 128 if decoder == "pan" else 64
    config = pretrain_job(
        network={"encoder": encoder, "decoder": decoder, "decoder_channels": 64},
        chip_size=chip_size,
        dataset="tiny",
    )
    network = build_network(config.network, seed=3, bands=bands)
    weights = folder / "weights.safetensors"
    save_weights(weights, network)
    facts = {"network": {**network.described(), "input": described_input(RGB)}, "precision": "float32"}
    files = export_files(
        config, key="a" * 64, weights=weights, version="0.1.0", facts=facts, results=results, scores=scores
    )
    archive = folder / "export.zip"
    archive.write_bytes(b"".join(zip_archive(files)))
    with ZipFile(archive) as opened:
        assert opened.testzip() is None
        opened.extractall(folder / "export")
    return config, network


def executed(script: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a Python file in a fresh interpreter that knows nothing of PairLab."""
    return subprocess.run(
        [sys.executable, "-P", "-W", "ignore", str(script)], capture_output=True, text=True, cwd="/", check=False
    )
