"""This process's share of an optimiser step, in one or several passes, so that the step is the same however it is shared.

A term's normaliser is that of the whole step: its counts (valid pixels, sampled regions, Lovasz groups) are summed over passes
and processes before anything is divided.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from unipan.engine.processes import Processes
from unipan.engine.runtime import Runtime
from unipan.terms import Losses, Term
from unipan.types import Batch


class Terms(Protocol):
    """What `fit` needs of a criterion (`losses.criterion.Criterion`)."""

    @property
    def names(self) -> Sequence[str]:
        """Every term that may come, in an order that all processes share."""
        ...

    def weigh(self, terms: Mapping[str, Term]) -> Losses:
        """Divide each term by its count and multiply it by its weight."""
        ...


class Accumulation:
    """The images that this process has of one step, in `passes` passes of as many images each."""

    def __init__(self, batch: Batch, compute: Callable[[Batch], dict[str, Term]], *, passes: int) -> None:
        """compute: forward pass and criterion of some images, on the CPU as they come."""
        self.batch = batch
        self.compute = compute
        self.passes = passes
        self._parts: list[dict[str, Term]] = []

    def forward(self, names: Sequence[str], processes: Processes) -> dict[str, Term]:
        """The terms of the whole step, of all passes and processes: detached, float64, on the CPU.

        With several passes no gradient is kept: some counts follow from what the network predicts, so all must be known before
        the first gradient is. `backward` computes them again.
        """
        with torch.set_grad_enabled(self.passes == 1):
            self._parts = [self.compute(part) for part in micro_batches(self.batch, self.passes)]
        return step_terms(self._parts, names, processes)

    def backward(self, criterion: Terms, step: Mapping[str, Term], runtime: Runtime) -> None:
        """Compute the gradients of this share, divided by the counts of the whole step."""
        if self.passes == 1:
            runtime.backward(self._loss(criterion, self._parts[0], step))
        else:
            for part in micro_batches(self.batch, self.passes):
                runtime.backward(self._loss(criterion, self.compute(part), step))

    @staticmethod
    def _loss(criterion: Terms, own: Mapping[str, Term], step: Mapping[str, Term]) -> Tensor:
        return criterion.weigh(
            {name: Term(term.sum, term.sum.new_full((), float(step[name].count))) for name, term in own.items()}
        ).total


def micro_batches(batch: Batch, count: int) -> Iterator[Batch]:
    """Cut a batch into `count` runs of as many images each."""
    size, rest = divmod(len(batch.sizes), count)
    assert rest == 0, f"{len(batch.sizes)} images do not make {count} equal parts"
    for start in range(0, len(batch.sizes), size):
        part = slice(start, start + size)
        yield Batch(images=batch.images[part], sizes=batch.sizes[part], targets=batch.targets[part], names=batch.names[part])


def step_terms(parts: Sequence[Mapping[str, Term]], names: Sequence[str], processes: Processes) -> dict[str, Term]:
    """Sum each term over this process's passes and over the processes, detached, in float64 on the CPU.

    `names` may hold terms that this process lacks or all do; what goes over is a table of fixed size, so that none waits in vain.
    """
    table = torch.zeros(len(names), 3, dtype=torch.float64)  # sum, count, in how many passes of all processes
    for part in parts:
        present = [name for name in names if name in part]
        assert len(present) == len(part), f"terms {sorted(part.keys() - set(names))} are not among {names}"
        if present:
            values = torch.stack([torch.stack([part[name].sum.detach(), part[name].count]) for name in present])  # one copy
            rows = [names.index(name) for name in present]
            table[rows, :2] += values.cpu().double()
            table[rows, 2] += 1
    total = processes.all_reduce(table)
    return {name: Term(row[0], row[1]) for name, row in zip(names, total, strict=True) if row[2] > 0}
