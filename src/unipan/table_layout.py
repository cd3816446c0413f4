"""How a table is drawn where the terminal is narrow: no number is cut, and a word only where it is long."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["Column", "as_blocks", "widths_within"]

LONG_WORD = 12
"""Characters of a word that may be folded, as a name without spaces or a path."""


class Column(NamedTuple):
    """The texts of a column. numbers: its cells' words stay whole. unbroken: its cells do."""

    head: str
    cells: list[str]
    numbers: bool
    unbroken: bool

    def natural(self, length: Callable[[str], int]) -> int:
        """The width that it would have. length: of a text on the terminal."""
        return max((length(line) for text in (self.head, *self.cells) for line in text.splitlines()), default=0)

    def least(self, length: Callable[[str], int]) -> int:
        """How narrow it may be."""
        parts = self.cells if self.unbroken else " ".join(self.cells).split()
        lengths = [length(part) if self.numbers or self.unbroken else min(length(part), LONG_WORD) for part in parts]
        return max([1, *lengths, *(min(length(word), LONG_WORD) for word in self.head.split())])


def widths_within(room: int, columns: Sequence[Column], length: Callable[[str], int]) -> list[int] | None:
    """Widths that have `room` characters together: the widest columns give way first. None where it does not suffice."""
    natural, least = [one.natural(length) for one in columns], [one.least(length) for one in columns]
    for limit in range(max(natural, default=0), 0, -1):
        widths = [max(low, min(wanted, limit)) for wanted, low in zip(natural, least, strict=True)]
        if sum(widths) <= room:
            return widths
    return None


def as_blocks(columns: Sequence[Column], width: int) -> str:
    """Each row as its first cell, and below it the others behind their heads, as many in a line as it has room for."""
    lines = []
    for name, *cells in zip(*(one.cells for one in columns), strict=True):
        lines.append(name)
        line = " "
        for one, cell in zip(columns[1:], cells, strict=True):
            pair = " ".join(f"{one.head} {cell}".split()) if cell else ""
            if pair and len(line) + 2 + len(pair) > width and line.strip():
                lines.append(line)
                line = " "
            line += f" {pair}," if pair else ""
        lines.append(line.rstrip(","))
    return "\n".join(line for line in lines if line.strip())
