"""`unipan tables`: one table of the paper's supplementary on any data and budget; mean and spread over seeds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from unipan.config import Config
from unipan.console import Table
from unipan.engine.processes import this_process
from unipan.errors import InputError, plural
from unipan.files import make_folder, replace_atomically, write_json
from unipan.metrics.report import one_decimal
from unipan.recipes.tables.methods import Method, method_config
from unipan.recipes.tables.paper_tables import Cell, Letter, Measured, PaperTable, paper_table
from unipan.recipes.tables.trials import measured, trained_run

Found = dict[tuple[Method, bool], list[dict[str, Any]]]
"""For each method, with trimming and without: what each seed's evaluation found, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One cell, in percent."""

    seeds: tuple[float, ...]
    """The value of each seed, in their order; nan where there is nothing to judge. Of the paper's own figures only one."""

    @property
    def mean(self) -> float:
        return mean(self.seeds) if self.seeds else nan

    @property
    def spread(self) -> float:
        """The seeds' standard deviation (with n - 1); nan for a single one."""
        return stdev(self.seeds) if len(self.seeds) > 1 and not any(map(isnan, self.seeds)) else nan

    def __str__(self) -> str:
        if isnan(self.mean):
            return "-"
        shown = one_decimal(self.mean)
        return shown if isnan(self.spread) else f"{shown} ± {self.spread:.1f}"

    def less(self, other: "Figure") -> "Figure":
        """The difference, seed by seed."""
        return Figure(seeds=tuple(own - its for own, its in zip(self.seeds, other.seeds, strict=True)))


@dataclass(frozen=True, kw_only=True)
class FilledTable:
    """A table with its figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Figure, ...]], ...]
    notes: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: Config

    def table(self) -> Table:
        """For the terminal: narrow, as people have 80 columns or 100."""
        table = Table(self.title, "", *(column.replace(", ", ",\n") for column in self.columns))
        for label, figures in self.rows:
            table.add_row(label, *(str(figure).replace(" ± ", "±") for figure in figures))
        return table

    def markdown(self) -> str:
        """For a page."""
        lines = [f"**{self.title}**", "", f"| | {' | '.join(self.columns)} |", f"|---|{'---:|' * len(self.columns)}"]
        lines += [f"| {label} | {' | '.join(map(str, figures))} |" for label, figures in self.rows]
        return "\n".join([*lines, "", *self.notes]) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Every seed's value, in percent; null where there is nothing to judge."""
        rows = {
            label: {
                column: {"mean": _known(f.mean), "spread": _known(f.spread), "seeds": [_known(value) for value in f.seeds]}
                for column, f in zip(self.columns, figures, strict=True)
            }
            for label, figures in self.rows
        }
        settings = asdict(self.settings)
        return {"title": self.title, "seeds": list(self.seeds), "rows": rows, "notes": list(self.notes), "settings": settings}


def make_table(letter: Letter, base: Config, out: Path, seeds: Sequence[int]) -> FilledTable:
    """Train what the table needs and is not below OUT yet, evaluate it, and write OUT/table_LETTER.md and .json.

    base: network, data, schedule and inference that the methods share; its seed is replaced.
    """
    _check(letter, base, seeds)
    form = paper_table(letter, base)
    cells = [cell for row in form.rows for cell in row.cells if isinstance(cell, Measured)]
    wanted: list[tuple[Method, bool]] = list(dict.fromkeys((cell.method, cell.trim) for cell in cells))
    make_folder(out)
    runs = {
        (method, seed): trained_run(method, method_config(method, base, seed=seed), out)
        for seed in seeds
        for method in _methods(wanted)
    }

    def evaluations(method: Method, trim: bool) -> list[dict[str, Any]]:
        return [measured(runs[method, seed], base, trim=trim) for seed in seeds]

    found: Found = {(method, trim): evaluations(method, trim) for method, trim in wanted}
    filled = _fill(form, found, tuple(seeds), base)
    if this_process().is_main:
        replace_atomically(out / f"table_{letter}.md", lambda path: path.write_text(filled.markdown()))
        write_json(out / f"table_{letter}.json", filled.to_json())
    return filled


def _methods(wanted: Sequence[tuple[Method, bool]]) -> list[Method]:
    return list(dict.fromkeys(method for method, _ in wanted))


def _check(letter: Letter, base: Config, seeds: Sequence[int]) -> None:
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise InputError(f"--seeds came as {list(seeds)}; give one or more different numbers from 0 on.")
    if base.model.panoptic != "unified":
        raise InputError(f"the tables vary one unified preset, but model.panoptic is {base.model.panoptic}; name its preset.")
    if letter == "d" and not base.inference.min_stuff_area_px:
        raise InputError(
            "table d compares stuff before and after trimming, but inference.min_stuff_area_px is 0, which trims nothing; "
            "set --inference.min-stuff-area-px (2048 for Cityscapes; 64 suits scenes of 128 x 160)."
        )


def _fill(form: PaperTable, found: Found, seeds: tuple[int, ...], base: Config) -> FilledTable:
    def figure(cell: Cell) -> Figure:
        match cell:
            case Measured():
                return Figure(seeds=tuple(_percent(evaluation, cell.path) for evaluation in found[cell.method, cell.trim]))
            case None:
                return Figure(seeds=())
            case published:
                return Figure(seeds=(published,))

    rows = [(row.label, tuple(map(figure, row.cells))) for row in form.rows]
    for label, first, second in form.differences:
        (_, figures), (_, others) = rows[first], rows[second]
        rows.append((label, tuple(one.less(two) for one, two in zip(figures, others, strict=True))))
    measured_first = sorted(rows, key=lambda row: row[0].startswith("paper"))
    return FilledTable(
        title=f"{form.title}; {plural(len(seeds), 'seed')}",
        columns=form.columns,
        rows=tuple(measured_first),
        notes=form.notes,
        seeds=seeds,
        settings=base,
    )


def _percent(evaluation: dict[str, Any], path: Sequence[str]) -> float:
    value: Any = evaluation
    for step in path:
        value = None if value is None else value[step]
    return nan if value is None else 100 * value


def _known(value: float) -> float | None:
    return None if isnan(value) else value
