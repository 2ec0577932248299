"""Which precision and memory format a device gains from."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """How a network runs on a device."""

    device: torch.device
    autocast: torch.dtype | None
    """Type of autocast; None computes in float32."""
    memory_format: torch.memory_format

    def context(self) -> torch.autocast:
        """Returns the autocast context of a forward pass."""
        return torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None)

    def __str__(self) -> str:
        name = "float32" if self.autocast is None else str(self.autocast).removeprefix("torch.")
        return f"{name}, {'channels last' if self.memory_format == torch.channels_last else 'contiguous'}"


def best_precision(device: torch.device) -> Precision:
    """Returns bfloat16 and channels-last where the hardware multiplies bfloat16, float32 elsewhere.

    On a CPU that is AVX512-BF16 or AMX (1.6–2 × float32; without them bfloat16 is emulated and slower), on CUDA compute
    capability 8 and later.
    """
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device)[0] >= 8
        return Precision(device, torch.bfloat16 if fast else None, torch.channels_last)
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return Precision(device, torch.bfloat16 if fast else None, torch.channels_last)
