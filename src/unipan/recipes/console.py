"""Where people are spoken to: messages and progress go to stderr, so that stdout stays for results."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn, track

console = Console(stderr=True, highlight=False)
results = Console(highlight=False)

T = TypeVar("T")


def speak_if(main: bool) -> None:
    """Let the main process speak for all: the others' messages, bars and results are not shown. Errors are, in each."""
    console.quiet = results.quiet = not main


def counted(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Show a bar while going through `items`."""
    return track(items, description=what, total=total, console=console)


@contextmanager
def training_progress(steps: int, done: int) -> Iterator[Callable[[int, float, float], None]]:
    """A bar for training; call the result with the step, its loss and the images trained on in a second."""
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    numbers = TextColumn("{task.fields[speed]:.3g} images/s, loss {task.fields[loss]:.3f}")
    with Progress(*columns, TimeRemainingColumn(), numbers, console=console) as progress:
        task = progress.add_task("training", total=steps, completed=done, loss=float("nan"), speed=0.0)
        yield lambda step, loss, speed: progress.update(task, completed=step, loss=loss, speed=speed)
