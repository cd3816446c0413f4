"""The training loop. Nothing here knows about data sets, heads or metrics."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unipan.engine.optimize import set_learning_rate
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.types import Admission, Batch, Losses


class Step(NamedTuple):
    """What one optimiser step tells."""

    number: int  # from 1
    losses: dict[str, float]  # "loss" is the total, "loss/NAME" the weighted terms
    learning_rate: float
    gradient_norm: float  # before clipping


def fit(
    network: nn.Module,
    criterion: Callable[..., Losses],
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    runtime: Runtime,
    *,
    first_step: int,
    rate: Callable[[int], float],
    seed: int,
    clip_norm: float,
    admission: Admission,
    on_step: Callable[[Step], None],
) -> None:
    """One optimiser step for each batch, numbered from `first_step`.

    All randomness of a step follows from (seed, step), so a run that goes on needs no saved random state.
    """
    network.train()
    for number, batch in enumerate(batches, start=first_step):
        torch.manual_seed(seed * 1_000_003 + number)
        set_learning_rate(optimizer, rate(number))
        batch = batch.to(runtime.device)
        outputs = network(batch.images, batch.sizes, batch.targets, admission=admission)
        losses = criterion(outputs, batch.targets)
        values = finite_values(losses, number, batch.names)
        runtime.backward(losses.total)
        norm = runtime.clip(optimizer, network.parameters(), clip_norm)
        runtime.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        on_step(Step(number, values, rate(number), float(norm)))


def finite_values(losses: Losses, step: int, names: tuple[str, ...]) -> dict[str, float]:
    """The losses as numbers, in one copy from the device; a NaN or an infinity is an error that names its term."""
    named = dict(losses)
    values: Tensor = torch.stack([losses.total.detach(), *(value.detach() for value in named.values())]).cpu()
    broken = [name for name, value in zip(named, values[1:], strict=True) if not torch.isfinite(value)]
    if broken:
        raise InputError(
            f"step {step}: loss {', '.join(broken)} is not finite, on the images {', '.join(names)}. "
            "Lower --train.learning-rate or lengthen --train.warmup-steps; the last checkpoint is untouched."
        )
    return dict(zip(["loss", *(f"loss/{name}" for name in named)], values.tolist(), strict=True))
