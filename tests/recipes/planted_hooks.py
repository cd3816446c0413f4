"""Hooks that tests add to a training's own."""

import os
import signal

import pytest

from unipan.engine.fit import Hook, Step
from unipan.recipes import train as recipe


class At(Hook):
    """After one step: a signal to this process, or an error."""

    def __init__(self, step: int, event: signal.Signals | BaseException) -> None:
        self.step, self.event = step, event

    def after_step(self, step: Step) -> None:
        if step.index != self.step:
            return
        if isinstance(self.event, BaseException):
            raise self.event
        os.kill(os.getpid(), self.event)


def plant(patch: pytest.MonkeyPatch, hook: Hook, *, first: bool = False) -> None:
    """Let trainings have one hook more, after all others or before them."""
    own = recipe.training_hooks

    def with_one_more(*arguments, **options) -> list[Hook]:
        hooks = own(*arguments, **options)
        return [hook, *hooks] if first else [*hooks, hook]

    patch.setattr(recipe, "training_hooks", with_one_more)
