"""The model card of an exported encoder: what it was trained on, how, and what is known of its worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pairlab.experiment.initial import initial_in_words
from pairlab.experiment.jobs import DatasetReference, PretrainJob
from pairlab.export.encoder import Loading, whole_model_call

MODEL_FILE = "model.smp.safetensors"


@dataclass(frozen=True, slots=True)
class Score:
    """What a segmentation that started from the weights reached on its test scenes."""

    experiment: str
    arm: str
    seed: int
    protocol: str
    miou: float
    labels: str
    """How many it learned from, in words."""


def model_card(
    config: PretrainJob,
    *,
    key: str,
    version: str,
    facts: dict[str, Any],
    results: dict[str, Any],
    scores: Sequence[Score],
    smp: Loading,
    timm: Loading | None,
) -> str:
    """Returns the card as Markdown."""
    described = facts["network"]
    return "\n".join(
        [
            f"# {config.network.encoder}, pretrained with {config.method.name} on {config.dataset.name}",
            "",
            f"Made by PairLab {version}; key of the pretraining `{key}`.",
            "",
            *_table(_about(config, facts, results)),
            "",
            "## Files",
            "",
            *_files(config, described, smp, timm),
            "",
            "## Input",
            "",
            *_input(described["input"]),
            "",
            "## Segmentations that started from it",
            "",
            *_scores(scores),
            "",
            "## Licence",
            "",
            _licence(config.dataset),
            "",
        ]
    )


def _about(config: PretrainJob, facts: dict[str, Any], results: dict[str, Any]) -> dict[str, object]:
    network, training = config.network, config.pretraining
    about: dict[str, object] = {
        "dataset": f"{config.dataset.name} ({config.dataset.config.kind})",
        "fingerprint of its content": f"`{config.dataset.fingerprint}`",
        "method": config.method.name,
        "pairs": f"{results.get('pairs', config.pairing.pairs):,}, policy {config.pairing.policy}, chips of "
        f"{config.chip_size} pixels",
        "network": f"{network.encoder} with decoder {network.decoder} ({network.decoder_channels} channels)",
        "initial weights": initial_in_words(config.initial),
        "training": f"{training.steps:,} steps of {training.batch_size} pairs, {training.optimizer}, learning rate "
        f"{training.learning_rate:g}, {facts.get('precision', 'precision not told')}",
        "seed": config.seed,
        "realised noise": _percent(results.get("realised_noise")),
        "realised mismatch": _percent(results.get("realised_mismatch")),
        "final loss": _number(results.get("final_loss")),
    }
    if config.transductive:
        about["transductive"] = "yes: it has seen the images of the validation and test splits, without their labels"
    return about


def _files(config: PretrainJob, described: dict[str, Any], smp: Loading, timm: Loading | None) -> list[str]:
    reason = (
        f"There is no file for timm: {config.network.encoder} is an encoder of segmentation-models-pytorch alone, no "
        "model of timm has its keys."
    )
    dilated = described["output_stride"] not in (None, 32) and described["timm"] is None
    undilated = f", without the dilation that decoder {config.network.decoder} gives it" if dilated else ""
    return [
        *([f"- `{timm.file}` loads with `strict=True` into `{timm.call}`{undilated}"] if timm else [f"- {reason}"]),
        f"- `{smp.file}` loads with `strict=True` into `{smp.call}`",
        f"- `{MODEL_FILE}` has encoder and decoder for `{whole_model_call(config.network, described)}`; load it with "
        "`strict=False`: the segmentation head alone is missing",
        "- `load.py` loads the encoder and computes features",
        "- `config.yaml` is the pretraining's whole configuration",
    ]


def _input(scale: dict[str, Any]) -> list[str]:
    rows = zip(scale["bands"], scale["low"], scale["high"], strict=True)
    return [
        "Each band: `(clip((value - low) / (high - low), 0, 1) - mean) / deviation` with mean "
        f"{scale['mean']:g} and deviation {scale['deviation']:g}; bands in this order.",
        "",
        "| band | low | high |",
        "|---|---|---|",
        *(f"| {_cell(name)} | {low:g} | {high:g} |" for name, low, high in rows),
    ]


def _scores(scores: Sequence[Score]) -> list[str]:
    if not scores:
        return ["None has finished yet."]
    return [
        "| experiment | arm | seed | protocol | labels | mIoU |",
        "|---|---|---|---|---|---|",
        *(
            f"| {_cell(each.experiment)} | {_cell(each.arm)} | {each.seed} | {each.protocol.replace('_', ' ')} | "
            f"{each.labels} | {100 * each.miou:.2f} |"
            for each in scores
        ),
    ]


def _licence(dataset: DatasetReference) -> str:
    match dataset.config.kind:
        case "synthetic":
            return "The scenes were rendered by PairLab and carry no rights of others."
        case "xbd":
            return "xBD is published under CC BY-NC-SA 4.0: check what that means for weights trained on it."
        case _:
            return "Check the licence of the images: PairLab does not know it."


def _table(rows: dict[str, object]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in rows.items())]


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _percent(share: float | None) -> str:
    return "not told" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "not told" if value is None else f"{value:.4g}"
