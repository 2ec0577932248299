"""The images of a step through a network in parts: one after another in bounded memory, or in several processes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pairlab.engine.shares import Shares
from pairlab.engine.statistics import RunningStatistics, passed
from pairlab.engine.team import Team


@dataclass
class _Call:
    """A call of the trained network whose gradients are to come."""

    number: int
    features: Tensor
    """Of the whole batch: a leaf, at which the loss's gradient arrives."""
    parts: list[Tensor]
    """Images of this process's parts."""
    kept: Tensor
    """Features of the last of them, with their graph."""


class Parts:
    """Passes in parts, each normalised by itself, with exact gradients of a loss of the whole batch.

    A first pass computes features part by part and keeps the graph of the last part alone. The loss's gradients at the
    features are then taken through the network by a second pass, part by part (GradCache: Gao et al., 2021, arXiv
    2101.06983). So the activations of one part are held at a time, for one more forward pass of all parts but one.

    In a team each process has the images of its own parts, and features are exchanged: with one part per process there
    is no second pass at all. Every process computes the loss of the whole batch, and gradients of the network are added
    up. Which process has a part changes nothing but the order of sums.

    Batch norms' running statistics move once in a call: to the mean of what each part makes of them.
    """

    def __init__(
        self,
        network: nn.Module,
        shares: Shares,
        team: Team,
        *,
        heads: nn.Module,
        context: Callable[[], AbstractContextManager[object]],
        key: tuple[int, ...],
    ) -> None:
        """Prepares the passes of one step.

        Args:
            network: images (images, bands, height, width) → features (images, channels, height, width); trained.
            shares: the step's pairs in parts; as many processes as the team has.
            team: the processes of the run.
            heads: what else the loss trains; its gradients are the same everywhere but for rounding.
            context: the autocast that the objective runs in, for the second pass.
            key: seeds what layers draw (dropout), with the call and the part; of the run and its step.
        """
        self._network, self._heads = network, heads
        self._shares, self._team = shares, team
        self._context, self._key = context, key
        self._own = shares.parts_of(team.rank)
        self._sizes = [_length(shares.pairs_of_part(part)) for part in range(shares.parts)]
        self._calls: list[_Call] = []
        self._count = 0

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the trained network's features of the whole batch: a leaf, if gradients are on."""
        number, parts = self._next_call(), self._in_parts(images)
        statistics, made = RunningStatistics(self._network), list[Tensor]()
        learning = torch.is_grad_enabled()
        for part, each in zip(self._own, parts, strict=True):
            with torch.set_grad_enabled(learning and part == self._own[-1]), self._drawing(number, part):
                made.append(statistics.passed(each))
        torch.clear_autocast_cache()  # weights that were cast without gradients must not serve a pass with them
        statistics.write(self._team)
        features = self._in_order(made)
        if learning:
            features.requires_grad_()
            self._calls.append(_Call(number, features, parts, made[-1]))
        return features

    @torch.no_grad()
    def frozen(self, module: nn.Module, images: Tensor, *, groups: int | None = None) -> Tensor:
        """Returns what another network makes of the whole batch's images."""
        number, parts = self._next_call(), self._in_parts(images)
        statistics = RunningStatistics(module)
        if groups is None:
            made = []
            for part, each in zip(self._own, parts, strict=True):
                with self._drawing(number, part):
                    made.append(statistics.passed(each))
            statistics.write(self._team)
            return self._in_order(made)
        return self._in_groups(statistics, self._in_order(parts), groups, number)

    def backward(self, loss: Tensor) -> None:
        """Adds the loss's gradients to all trained parameters, which have none yet."""
        torch.autograd.backward(loss)
        for call in self._calls:
            if call.features.grad is None:
                continue
            gradients = self._of_parts(call.features.grad)
            torch.autograd.backward(call.kept, gradients.pop())
            for part, images, gradient in zip(self._own, call.parts, gradients, strict=False):
                with self._context(), self._drawing(call.number, part):
                    features, _ = passed(self._network, images)
                torch.autograd.backward(features, gradient)
        self._calls.clear()
        self._team.add_up(_gradients(self._network))
        self._team.add_up(_gradients(self._heads), mean=True)

    def _in_groups(self, statistics: RunningStatistics, images: Tensor, wanted: int, number: int) -> Tensor:
        """Returns features of the batch's images, group g of them being every G-th from the g-th on.

        So each group has images of every part, where MoCo shuffles them between devices (He et al., 2020, section 3.3).
        """
        total = self._shares.groups(wanted, images=len(images))
        each = total // self._team.size
        rows = [torch.arange(group, len(images), total, device=images.device) for group in range(total)]
        made = []
        for group in range(self._team.rank * each, (self._team.rank + 1) * each):
            with self._drawing(number, group):
                made.append(statistics.passed(images[rows[group]]))
        statistics.write(self._team)
        sizes = [sum(map(len, rows[rank * each : (rank + 1) * each])) for rank in range(self._team.size)]
        features = self._joined(torch.cat(made), sizes)
        order = torch.cat(rows)
        return torch.empty_like(features).index_copy_(0, order, features)

    def _in_parts(self, images: Tensor) -> list[Tensor]:
        """Returns the images of this process's parts, block by block."""
        sizes = self._sizes[self._own.start : self._own.stop]
        blocks, rest = divmod(len(images), sum(sizes))
        if rest or not blocks:
            raise ValueError(
                f"images go through a network in whole blocks of this process's {sum(sizes)} pairs, found {len(images)}"
            )
        return _transposed([each.split_with_sizes(sizes) for each in images.chunk(blocks)])

    def _in_order(self, parts: Sequence[Tensor]) -> Tensor:
        """Returns what all processes have of their parts, in the order of the batch, without gradients."""
        blocks = len(parts[0]) // self._sizes[self._own.start]
        counts = [blocks * size for size in self._sizes]
        sizes = [sum(counts[own.start : own.stop]) for own in map(self._shares.parts_of, range(self._shares.processes))]
        everyone = self._joined(torch.cat([part.detach() for part in parts]), sizes).split_with_sizes(counts)
        return torch.cat(_transposed([part.chunk(blocks) for part in everyone]))

    def _of_parts(self, gradient: Tensor) -> list[Tensor]:
        """Returns the gradients of this process's parts from those of the whole batch."""
        every = _transposed(
            [block.split_with_sizes(self._sizes) for block in gradient.chunk(len(gradient) // self._shares.pairs)]
        )
        return every[self._own.start : self._own.stop]

    def _joined(self, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        """Returns the rows of all processes, in the memory format they have here."""
        lasting = rows.ndim == 4 and rows.is_contiguous(memory_format=torch.channels_last)
        joined = self._team.joined(rows, sizes)
        return joined.contiguous(memory_format=torch.channels_last) if lasting else joined

    def _next_call(self) -> int:
        self._count += 1
        return self._count

    @contextmanager
    def _drawing(self, call: int, part: int) -> Iterator[None]:
        """Seeds what layers draw by call and part: the same in both passes, and in whichever process."""
        seed = np.random.SeedSequence([*self._key, call, part]).generate_state(1)
        devices = [self._team.device] if self._team.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(seed[0]))
            yield


def _transposed(blocks: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Returns, from blocks that are each split into parts, the parts with their blocks joined."""
    return [torch.cat(list(each)) for each in zip(*blocks, strict=True)]


def _gradients(module: nn.Module) -> list[Tensor]:
    return [each.grad for each in module.parameters() if each.grad is not None]


def _length(pairs: slice) -> int:
    return int(pairs.stop - pairs.start)
