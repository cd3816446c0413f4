"""`make results` reads docs/results.md as it stands, and tells a figure that differs from one that only varies."""

import pytest
from results import PAGE, cells_of, differences, section

from unipan.presets import scenes
from unipan.recipes.tables.make import Figure, FilledTable
from unipan.recipes.tables.paper_tables import LETTERS, Letter, paper_table


@pytest.mark.parametrize("letter", LETTERS)
def test_every_table_of_the_page_is_found_with_all_its_cells(letter: Letter) -> None:
    cells = cells_of(section(PAGE.read_text(), f"### {letter.upper()}: "))
    form = paper_table(letter, scenes())
    labels = [row.label for row in form.rows] + [label for label, *_ in form.differences]
    assert set(cells) == {(label, column) for label in labels for column in form.columns}


def table(**rows: tuple[float, ...]) -> str:
    """A table of one column, as `unipan tables` writes it."""
    figures = tuple((label, (Figure(seeds=seeds),)) for label, seeds in rows.items())
    filled = FilledTable(title="A title", columns=("PQ",), rows=figures, notes=("A note.",), seeds=(0, 1), settings=scenes())
    return filled.markdown()


@pytest.mark.parametrize(
    ("documented", "found", "differs"),
    [
        ((80.0, 82.0), (80.0, 82.0), False),
        ((80.0, 82.0), (82.0, 84.0), False),  # 81.0 ± 1.4 and 83.0 ± 1.4
        ((80.0, 82.0), (83.0, 84.0), True),  # 81.0 ± 1.4 and 83.5 ± 0.7: 2.5 apart, of which 2.2 may be chance
        ((80.0, 82.0), (60.0, 60.0), True),
        ((80.0,), (80.1,), False),
        ((80.0,), (80.3,), True),
        ((), (), False),
        ((80.0,), (), True),
    ],
)
def test_what_differs_is_told(documented: tuple[float, ...], found: tuple[float, ...], differs: bool) -> None:
    lines = list(differences(cells_of(table(ours=documented)), cells_of(table(ours=found))))
    assert bool(lines) == differs
    assert all(line.startswith("ours, PQ: ") for line in lines)


def test_a_row_that_only_one_side_has_is_told() -> None:
    lines = list(differences(cells_of(table(ours=(80.0,))), cells_of(table(ours=(80.0,), merger=(79.0,)))))
    assert lines == ["merger, PQ: nothing on the page, 79.0 now"]
