"""Where people are spoken to: messages and progress go to stderr, so that stdout stays for results."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn, track

console = Console(stderr=True, highlight=False)
results = Console(highlight=False)

LINE_EVERY_S = 60
"""Where there is no terminal to draw a bar on."""

T = TypeVar("T")


def speak_if(main: bool) -> None:
    """Let the main process speak for all: the others' messages, bars and results are not shown. Errors are, in each."""
    console.quiet = results.quiet = not main


def counted(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Show a bar while going through `items`; nothing where no one looks on."""
    return track(items, description=what, total=total, console=console) if console.is_terminal else items


@contextmanager
def training_progress(steps: int, done: int) -> Iterator[Callable[[int, float, float], None]]:
    """A bar for training, or a line every minute in a file; call the result with the step, its loss and the images per second."""
    if not console.is_terminal:
        yield _lines(steps, done)
        return
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    numbers = TextColumn("{task.fields[speed]:.3g} images/s, loss {task.fields[loss]:.3f}")
    with Progress(*columns, TimeRemainingColumn(), numbers, console=console) as progress:
        task = progress.add_task("training", total=steps, completed=done, loss=float("nan"), speed=0.0)
        yield lambda step, loss, speed: progress.update(task, completed=step, loss=loss, speed=speed)


def _lines(steps: int, done: int) -> Callable[[int, float, float], None]:
    began = told = time.monotonic()

    def tell(step: int, loss: float, speed: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < LINE_EVERY_S and step < steps:
            return
        told = now
        left = timedelta(seconds=round((steps - step) * (now - began) / (step - done)))
        console.print(f"step {step} of {steps}: loss {loss:.3f}, {speed:.3g} images/s, {left} left", soft_wrap=True)

    return tell
