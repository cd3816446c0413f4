"""The training loop. Nothing here knows about data sets, heads or metrics."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import nan
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import nn

from unipan.engine.accumulate import Accumulation, Terms
from unipan.engine.guards import GRADIENT, Guard
from unipan.engine.optimize import set_learning_rate
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.ops.unit_floats import unit_floats
from unipan.terms import Losses, Term
from unipan.types import Admission, Batch, Outputs, Target


class Criterion(Terms, Protocol):
    """From outputs to weighted losses (`losses.criterion.Criterion`)."""

    def terms(self, outputs: Outputs, targets: Sequence[Target]) -> dict[str, Term]:
        """Terms that add over images, not yet weighted or divided."""
        ...


@dataclass(kw_only=True)
class Step:
    """What one optimiser step was like. Hooks see it in their order; they may add to `fields`, set `should_stop` or `stop`."""

    index: int
    """From 1."""
    losses: dict[str, float]
    """ "loss" is the total, "loss/NAME" the weighted terms."""
    learning_rate: float
    gradient_norm: float = nan
    """Before clipping; nan where it was not computed."""
    broken: tuple[str, ...] = ()
    """What was not finite; then the step was left out."""
    data_seconds: float = field(default=0.0, compare=False)
    """Waiting for the batch."""
    seconds: float = field(default=0.0, compare=False)
    """From the batch's arrival to the new weights."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What hooks found of this step, by name, for those after them: the log writes it down."""
    should_stop: bool = False
    """Ends the training once every hook has seen this step: it is saved, and what follows the last step is done."""
    stop: Exception | None = None
    """Ends the training likewise, saved to go on from, and is raised."""


class Hook:
    """Called around each step and at the end. A hook overrides what it needs; each process must have the same ones."""

    def before_step(self, index: int, batch: Batch) -> None:
        """The batch of step `index` has come."""

    def after_step(self, step: Step) -> None:
        """The weights are those after this step."""

    def at_end(self) -> None:
        """The last step is done; not called where an error, or `Step.stop`, ended the training."""

    def close(self) -> None:
        """The training has ended, whatever it ended by. Called once, in the reverse order."""


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Takes optimiser steps."""

    network: nn.Module
    criterion: Criterion
    optimizer: torch.optim.Optimizer
    runtime: Runtime
    rate: Callable[[int], float]
    """The learning rate of each step."""
    seed: int
    """All randomness of a step follows from (seed, index), so a run that goes on needs no saved random state."""
    clip_norm: float
    admission: Admission
    passes: int
    """How many forward and backward passes a process takes its share of a step in."""
    guard: Guard
    """Sees every loss before it reaches the weights."""

    def step(self, index: int, batch: Batch) -> Step:
        """One optimiser step. batch: this process's share of it.

        Neither the number of processes nor that of passes changes what a step does, rounding apart.
        """
        runtime, criterion, parameters = self.runtime, self.criterion, list(self.network.parameters())
        set_learning_rate(self.optimizer, self.rate(index))
        share = Accumulation(batch, lambda part: self._terms(index, part), passes=self.passes)
        terms = share.forward(criterion.names, runtime.processes)
        step = Step(index=index, losses=loss_values(criterion.weigh(terms)), learning_rate=self.rate(index))
        step.broken = self.guard.broken(step.losses, index, batch)
        if not step.broken:
            share.backward(criterion, terms, runtime)
            runtime.add_gradients(parameters)
            step.gradient_norm = float(runtime.clip(self.optimizer, parameters, self.clip_norm))
            if not runtime.scaler_state:  # fp16's scaler leaves out steps that overflowed by itself
                step.broken = self.guard.broken({GRADIENT: step.gradient_norm}, index, batch)
        if not step.broken:
            runtime.step(self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        return step

    def _terms(self, index: int, batch: Batch) -> dict[str, Term]:
        torch.manual_seed((self.seed * 1_000_003 + index) % 2**63)
        batch = batch.to(self.runtime.device)
        outputs = self.network(unit_floats(batch.images), batch.sizes, batch.targets, admission=self.admission)
        return self.criterion.terms(outputs, batch.targets)


def hooks_of(value: object) -> list[Hook]:
    """Several hooks, as a caller gives them. Raises: InputError for what is none."""
    given: list[Any] = [*value] if isinstance(value, Iterable) else [value]
    hooks = [one for one in given if isinstance(one, Hook)]
    if len(hooks) < len(given) or not isinstance(value, Iterable):
        strange = next((one for one in given if not isinstance(one, Hook)), value)
        raise InputError(f"hooks came as or with {strange!r}; give a list of objects whose classes derive from unipan.Hook.")
    return hooks


def fit(trainer: Trainer, batches: Iterable[Batch], hooks: Sequence[Hook], *, first_step: int) -> None:
    """One optimiser step for each batch, counted from `first_step`. At each moment the hooks are called in their order."""
    trainer.network.train()
    with ExitStack() as at_exit:
        for hook in hooks:
            at_exit.callback(hook.close)
        asked = perf_counter()
        for index, batch in enumerate(batches, start=first_step):
            arrived = perf_counter()
            for hook in hooks:
                hook.before_step(index, batch)
            step = trainer.step(index, batch)
            step.data_seconds, step.seconds = arrived - asked, perf_counter() - arrived
            for hook in hooks:
                hook.after_step(step)
            if step.stop:
                raise step.stop
            if step.should_stop:
                break
            asked = perf_counter()
        for hook in hooks:
            hook.at_end()


def loss_values(losses: Losses) -> dict[str, float]:
    """The losses of a step as numbers, the total first."""
    values = {name: float(value) for name, value in losses}
    return {"loss": sum(values.values()), **{f"loss/{name}": value for name, value in values.items()}}
