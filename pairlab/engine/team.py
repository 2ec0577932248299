"""The processes that pretrain one network together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those that run one job; alone, where nothing else is said.

    A team of several speaks by torch.distributed's default process group: gloo between CPUs, nccl between GPUs. All of
    its processes ask the same of it in the same order.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Of this process alone."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and tells what happens."""
        return self.rank == 0

    def agreed(self, wish: bool) -> bool:
        """Returns True in every process as soon as one of them wishes it."""
        if self.size == 1:
            return wish
        wishes = torch.tensor(int(wish), device=self.device)
        distributed.all_reduce(wishes, op=distributed.ReduceOp.MAX)
        return bool(wishes.item())

    def joined(self, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        """Returns the rows of all processes, in the order of their ranks, without gradients.

        Args:
            rows: of this process, shape (sizes[rank], …); all but the first dimension are alike everywhere.
            sizes: rows of each process.
        """
        rows = rows.detach()
        if self.size == 1:
            return rows
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))  # gloo gathers equal shapes alone
        padded[: len(rows)] = rows
        everyone = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(everyone, padded)
        return torch.cat([each[:size] for each, size in zip(everyone, sizes, strict=True)])

    def add_up(self, tensors: Iterable[Tensor], *, mean: bool = False) -> None:
        """Replaces each tensor by its sum over all processes, or by its mean; of any shapes and types."""
        if self.size == 1:
            return
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault(tensor.dtype, []).append(tensor)
        for alike in kinds.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            distributed.all_reduce(flat)
            if mean:
                flat /= self.size
            for tensor, total in zip(alike, flat.split_with_sizes([tensor.numel() for tensor in alike]), strict=True):
                tensor.copy_(total.view(tensor.shape))


ALONE = Team()
