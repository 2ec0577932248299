"""Which precision and memory format a device gains from."""

from dataclasses import dataclass
from typing import Literal

import torch

PrecisionName = Literal["float32", "bfloat16", "float16"]
_TYPES: dict[PrecisionName, torch.dtype | None] = {
    "float32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class PrecisionError(ValueError):
    """A precision that a device does not compute in; the message says what to take instead."""


@dataclass(frozen=True)
class Precision:
    """How a network runs on a device."""

    device: torch.device
    autocast: torch.dtype | None
    """Type of autocast; None computes in float32."""
    memory_format: torch.memory_format

    @property
    def name(self) -> PrecisionName:
        """The type that most of the network is computed in."""
        return next(name for name, dtype in _TYPES.items() if dtype == self.autocast)

    @property
    def scaled(self) -> bool:
        """Whether losses must be scaled up, or gradients would vanish: float16 ends at 6e-8, the others at 1e-38."""
        return self.autocast == torch.float16

    def context(self) -> torch.autocast:
        """Returns the autocast context of a forward pass."""
        return torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None)

    def __str__(self) -> str:
        return f"{self.name}, {'channels last' if self.memory_format == torch.channels_last else 'contiguous'}"


def best_precision(device: torch.device) -> Precision:
    """Returns bfloat16 and channels-last where the hardware multiplies bfloat16, float32 elsewhere.

    On a CPU that is AVX512-BF16 or AMX (1.6–2 × float32; without them bfloat16 is emulated and slower), on CUDA compute
    capability 8 and later.
    """
    if device.type == "cuda":
        return _precision(device, "bfloat16" if _capability(device) >= (8, 0) else "float32")
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return _precision(device, "bfloat16" if fast else "float32")


def chosen_precision(device: torch.device, wanted: Literal["auto"] | PrecisionName) -> Precision:
    """Returns the precision a run asks for; auto is `best_precision`, but float16 on a GPU without bfloat16.

    Raises:
        PrecisionError: the device does not compute in it.
    """
    best = best_precision(device)
    if wanted == "auto":
        return _precision(device, "float16") if device.type == "cuda" and best.autocast is None else best
    if reason := why_not(device, wanted):
        raise PrecisionError(f"precision: {wanted} {reason}; take auto, or {best.name}")
    return _precision(device, wanted)


def resumed_precision(
    device: torch.device, wanted: Literal["auto"] | PrecisionName, made_in: PrecisionName
) -> Precision:
    """Returns the precision of a run that goes on from a checkpoint: the checkpoint's own where the device has it.

    Raises:
        PrecisionError: as `chosen_precision`.
    """
    return chosen_precision(device, made_in if wanted == "auto" and why_not(device, made_in) is None else wanted)


def why_not(device: torch.device, name: PrecisionName) -> str | None:
    """Returns why a device does not compute in a precision, or None where it does, however slowly."""
    if name == "float16" and device.type != "cuda":
        return f"is for GPUs, and this run is on the {device.type}, which gains nothing from it"
    if name == "bfloat16" and device.type == "cuda" and _capability(device) < (8, 0):
        major, minor = _capability(device)
        return f"needs a GPU of compute capability 8.0 or later, and {device} has {major}.{minor}"
    return None


def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def _precision(device: torch.device, name: PrecisionName) -> Precision:
    return Precision(device, _TYPES[name], torch.channels_last)
