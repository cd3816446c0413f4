"""Where people are spoken to: messages and progress go to stderr, so that stdout stays for results."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn, track

console = Console(stderr=True, highlight=False)
results = Console(highlight=False)

T = TypeVar("T")


def counted(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Show a bar while going through `items`."""
    return track(items, description=what, total=total, console=console)


@contextmanager
def training_progress(steps: int, done: int) -> Iterator[Callable[[int, float], None]]:
    """A bar for training; call the result with the step and its loss."""
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.3f}"), console=console) as progress:
        task = progress.add_task("training", total=steps, completed=done, loss=float("nan"))
        yield lambda step, loss: progress.update(task, completed=step, loss=loss)
