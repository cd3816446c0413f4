"""The training loop. Nothing here knows about data sets, heads or metrics."""

from collections.abc import Callable, Iterable, Sequence
from math import nan
from typing import NamedTuple, Protocol

import torch
from torch import nn

from unipan.engine.guards import GRADIENT, Guard
from unipan.engine.optimize import set_learning_rate
from unipan.engine.runtime import Runtime
from unipan.engine.share import Share, Terms
from unipan.types import Admission, Batch, Losses, Outputs, Target, Term


class Criterion(Terms, Protocol):
    """From outputs to weighted losses (`losses.criterion.Criterion`)."""

    def terms(self, outputs: Outputs, targets: Sequence[Target]) -> dict[str, Term]:
        """Terms that add over images, not yet weighted or divided."""
        ...


class Step(NamedTuple):
    """What one optimiser step tells."""

    number: int  # from 1
    losses: dict[str, float]  # "loss" is the total, "loss/NAME" the weighted terms
    learning_rate: float
    gradient_norm: float  # before clipping; nan where it was not computed
    broken: tuple[str, ...] = ()  # what was not finite; then the step was left out


def fit(
    network: nn.Module,
    criterion: Criterion,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    runtime: Runtime,
    *,
    first_step: int,
    rate: Callable[[int], float],
    seed: int,
    clip_norm: float,
    admission: Admission,
    passes: int,
    guard: Guard,
    on_step: Callable[[Step], None],
) -> None:
    """One optimiser step for each batch, numbered from `first_step`.

    batches: this process's share of each step. passes: how many forward and backward passes it is taken in. Neither the number of
    processes nor that of passes changes what a step does, rounding apart.
    All randomness of a step follows from (seed, step), so a run that goes on needs no saved random state.
    guard: sees every loss before it reaches the weights.
    """
    network.train()
    for number, batch in enumerate(batches, start=first_step):

        def terms(part: Batch, step: int = number) -> dict[str, Term]:
            torch.manual_seed(seed * 1_000_003 + step)
            part = part.to(runtime.device)
            outputs = network(part.images, part.sizes, part.targets, admission=admission)
            return criterion.terms(outputs, part.targets)

        set_learning_rate(optimizer, rate(number))
        share = Share(batch, terms, passes=passes)
        step_terms = share.forward(criterion.names, runtime.processes)
        values, norm = loss_values(criterion.weigh(step_terms)), nan
        broken = guard.broken(values, number, batch)
        if not broken:
            share.backward(criterion, step_terms, runtime)
            runtime.add_gradients(network.parameters())
            norm = float(runtime.clip(optimizer, network.parameters(), clip_norm))
            if not runtime.scaler_state:  # fp16's scaler leaves out steps that overflowed by itself
                broken = guard.broken({GRADIENT: norm}, number, batch)
        if not broken:
            runtime.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        on_step(Step(number, values, rate(number), norm, broken))


def loss_values(losses: Losses) -> dict[str, float]:
    """The losses of a step as numbers, the total first."""
    values = {name: float(value) for name, value in losses}
    return {"loss": sum(values.values()), **{f"loss/{name}": value for name, value in values.items()}}
