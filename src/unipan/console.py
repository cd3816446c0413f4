"""Messages go through the logger "unipan"; on the command line they and progress are shown on stderr: stdout is for results.

The only file that imports rich, so that names and paths, which may hold square brackets, are nowhere read as markup: consoles
and progress bars have it switched off, and tables hold their texts as they are, whatever console prints them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any, TypeVar

import rich.table
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.console import RenderableType as Renderable
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from unipan.table_layout import Column, as_blocks, widths_within

__all__ = [
    "Renderable",
    "Table",
    "Text",
    "console",
    "counted",
    "logger",
    "quiet_unless",
    "results",
    "shown_on_terminal",
    "training_progress",
    "warn",
]


class PlainConsole(Console):
    """Shows texts as they are; a pipe that nobody reads any more is an error like any other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        raise


console = PlainConsole(stderr=True)
results = PlainConsole()

logger = logging.getLogger("unipan")
"""What is to be said meanwhile: sentences, and tables, which as text are drawn with spaces."""

WIDTH_AS_TEXT = 120
"""Characters of a line of a table in a log."""

LINE_EVERY_S = 60
"""Where there is no terminal to draw a bar on."""

T = TypeVar("T")


class Table(rich.table.Table):
    """A table whose title, heads and cells are shown as they are written, and whole: narrow columns fold their texts.

    It has no borders, so that ten columns of numbers fit a terminal's 80. Numbers are not folded: where they don't fit, each
    row is a block of lines.
    """

    def __init__(self, title: str, *columns: str, words: int = 1, **options: Any) -> None:
        """columns: their heads. words: the first so many hold words and stand left, all others numbers, which stand right."""
        super().__init__(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, **options)
        self.heading = title
        for position, head in enumerate(columns):
            self.add_column(head, justify="left" if position < words else "right")

    def __str__(self) -> str:
        drawn = StringIO()
        PlainConsole(file=drawn, width=WIDTH_AS_TEXT).print(self)
        return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.heading, style="table.title", overflow="fold")  # which may be wider than the table
        texts = [Column(str(c.header), list(map(str, c.cells)), c.justify == "right", c.no_wrap) for c in self.columns]
        widths = widths_within(options.max_width - 2 * len(texts) + 1, texts, cell_len)  # two spaces between columns
        if widths is None:
            yield Text("\n".join([as_blocks(texts, options.max_width), str(self.caption or "")]).rstrip(), overflow="fold")
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def add_column(self, header: Renderable = "", *more: Any, **options: Any) -> None:
        super().add_column(_plain(header), *more, overflow="fold", **options)

    def add_row(self, *cells: Renderable | None, **options: Any) -> None:
        super().add_row(*map(_plain, cells), **options)


def _plain(text: Any) -> Any:
    return Text(text) if isinstance(text, str) else text


class TerminalHandler(logging.Handler):
    """Shows messages on stderr as they are, and tables as wide as the terminal is."""

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, Table):
            console.print(record.msg)
        else:
            console.print(record.msg if isinstance(record.msg, Text) else record.getMessage(), soft_wrap=True)


@contextmanager
def shown_on_terminal() -> Iterator[None]:
    """Within, messages are shown on stderr, and bars where that is a terminal: for the command line, not for a library."""
    handler, level = TerminalHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _draws_bars() -> bool:
    return console.is_terminal and any(isinstance(handler, TerminalHandler) for handler in logger.handlers)


def quiet_unless(main: bool) -> None:
    """Let the main process print for all: the others' messages, bars and results are not shown. Errors are, in each."""
    console.quiet = results.quiet = not main
    if not main:
        logger.disabled = True


def warn(opening: str, rest: str) -> None:
    """A warning whose opening words, which say of what kind it is, are colored on a terminal."""
    logger.warning(Text.assemble((opening, "yellow"), " ", rest))


def counted(items: Iterable[T], what: str, total: int, *, transient: bool = False) -> Iterable[T]:
    """Show a bar while going through `items`; nothing but on a terminal. transient: the bar goes when it is done."""
    if not _draws_bars():
        return items
    return _tracked(items, what, total, transient=transient)


def _tracked(items: Iterable[T], what: str, total: int, *, transient: bool) -> Iterator[T]:
    with Progress(*_columns(), console=console, transient=transient) as progress:
        yield from progress.track(items, total=total, description=what)


def _columns() -> tuple[ProgressColumn, ...]:
    description = TextColumn("{task.description}", style="progress.description", markup=False)
    return description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()


@contextmanager
def training_progress(steps: int, done: int) -> Iterator[Callable[[int, float, float], None]]:
    """A bar for training on a terminal, else a message every minute.

    Call the result with the step, its loss and the images per second.
    """
    if not _draws_bars():
        yield _lines(steps, done)
        return
    numbers = TextColumn("{task.fields[numbers]}", markup=False)
    with Progress(*_columns(), numbers, console=console) as progress:
        task = progress.add_task("training", total=steps, completed=done, numbers="")  # there are none before a step
        yield lambda step, loss, speed: progress.update(task, completed=step, numbers=f"{speed:.3g} images/s, loss {loss:.3f}")


def _lines(steps: int, done: int) -> Callable[[int, float, float], None]:
    began = reported = time.monotonic()

    def tell(step: int, loss: float, speed: float) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported < LINE_EVERY_S and step < steps:
            return
        reported = now
        left = timedelta(seconds=round((steps - step) * (now - began) / (step - done)))
        logger.info(f"step {step} of {steps}: loss {loss:.3f}, {speed:.3g} images/s, {left} left")

    return tell
