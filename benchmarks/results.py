"""Makes the paper's tables on scenes anew, and says where docs/results.md differs: `python benchmarks/results.py --out DIR`.

Three seeds of six methods: hours on two cores. Finished trainings and evaluations below OUT are reused, stopped ones resumed.
Exit status 1 where a figure differs by more than both spreads together.
"""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from unipan.presets import scenes
from unipan.recipes.tables.make import make_table
from unipan.recipes.tables.paper_tables import LETTERS
from unipan.settings import with_values

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
CHANGES = {"train.steps": 400, "train.decay_steps": (300, 370), "inference.min_stuff_area_px": 64}
"""What the page's tables were measured with, beside the preset `scenes`."""
ROUNDING = 0.1
"""Of two figures with one decimal."""

Cells = dict[tuple[str, str], str]
"""What stands in a table, by row and column."""


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and the tables")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--letters", nargs="+", default=list(LETTERS), choices=LETTERS)
    given = parser.parse_args()
    page, base, differ = PAGE.read_text(), with_values(scenes(), CHANGES), 0
    for letter in given.letters:
        found = cells_of(make_table(letter, base, given.out, given.seeds).markdown())
        lines = list(differences(cells_of(section(page, f"### {letter.upper()}: ")), found))
        differ += len(lines)
        print(f"table {letter}: {len(lines)} of {len(found)} cells differ", *lines, sep="\n  ")
    return 1 if differ else 0


def section(page: str, heading: str) -> str:
    """The first table under the heading that starts so."""
    start = page.index(f"\n{heading}")
    return re.split(r"\n\n(?=[^|])", page[page.index("\n|", start) + 1 :], maxsplit=1)[0]


def cells_of(markdown: str) -> Cells:
    """The cells of a table, whose first column names the rows."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in markdown.splitlines() if line.startswith("| ")]
    header, *body = [[""] * (len(rows[1]) - len(rows[0])) + rows[0], *rows[1:]]
    return {(row[0], column): cell for row in body for column, cell in zip(header[1:], row[1:], strict=True)}


def differences(documented: Cells, found: Cells) -> Iterator[str]:
    """A line for each cell that is missing on one side, or differs by more than both spreads together, and a rounding."""
    for key in dict.fromkeys([*documented, *found]):
        here, there = documented.get(key), found.get(key)
        if here is None or there is None or not _agree(here, there):
            yield f"{key[0]}, {key[1]}: {here or 'nothing'} on the page, {there or 'nothing'} now"


def _agree(one: str, other: str) -> bool:
    if "-" in (one, other):
        return one == other
    (mean, spread), (other_mean, other_spread) = (_figure(cell) for cell in (one, other))
    return abs(mean - other_mean) <= spread + other_spread + ROUNDING + 1e-9


def _figure(cell: str) -> tuple[float, float]:
    """Mean and spread, which is 0 where none is given."""
    mean, _, spread = cell.partition(" ± ")
    return float(mean), float(spread or 0)


if __name__ == "__main__":
    sys.exit(main())
