"""What the doctor found, as tables for people and as JSON for programs."""

from collections.abc import Iterator
from typing import Any

from unipan.console import Renderable, Table, Text
from unipan.errors import plural
from unipan.tools.doctor.balance import Balance
from unipan.tools.doctor.examine import Diagnosis
from unipan.tools.doctor.findings import Finding
from unipan.tools.doctor.repair import of_cityscapes, why_no_copy
from unipan.tools.doctor.severity import Severity

SHOWN_CLASSES = 24
"""Of longer class tables only the ends are shown, half of this each."""


def report(diagnosis: Diagnosis) -> Iterator[Renderable]:
    """Everything for people, in the order in which it is read."""
    yield overview_table(diagnosis)
    yield class_table(diagnosis.balances)
    if diagnosis.findings:
        yield findings_table(diagnosis)
    yield verdict(diagnosis)


def overview_table(diagnosis: Diagnosis) -> Table:
    """What there is."""
    table = Table("Data set", "split", "images", "labelled", "things", "in parts", "crowds", "void", "classes")
    for balance in diagnosis.balances:
        table.add_row(
            balance.name,
            str(balance.listed),
            str(balance.images),
            str(balance.things),
            f"{balance.things_in_parts / max(1, balance.things):.0%}",
            str(balance.crowds.total()),
            f"{balance.void_share:.1%}",
            f"{sum(balance.segments[id] > 0 for id in balance.categories)}/{len(balance.categories)}",
        )
    return table


def findings_table(diagnosis: Diagnosis) -> Table:
    """Each finding: how bad, how many, what, the first offenders, and the remedy. Reads well at any width."""
    table = Table("Findings", show_lines=True)
    table.add_column("")
    table.add_column("count", justify="right")
    table.add_column("what, where, and what to do")
    for finding in diagnosis.findings:
        color = "red" if finding.kind.severity is Severity.ERROR else "yellow"
        text = Text(f"{finding.kind.title} ({finding.split})", style="bold")
        for where in finding.first:
            text.append(f"\n  {where}", style="not bold")
        if finding.count > len(finding.first):
            text.append(f"\n  and {finding.count - len(finding.first)} more", style="not bold")
        text.append(f"\n{finding.kind.remedy}", style="not bold italic")
        if mended := _fix_of(finding, diagnosis):
            text.append(f" --fix: {mended}.", style="not bold italic")
        table.add_row(Text(finding.kind.severity.value, style=color), str(finding.count), text)
    return table


def _fix_of(finding: Finding, diagnosis: Diagnosis) -> str:
    """What `--fix` does about it; empty where it can do nothing."""
    return "" if of_cityscapes(diagnosis.splits) else finding.kind.fix


def class_table(balances: list[Balance]) -> Table:
    """Class balance: share of labelled pixels, segments and images with one; most pixels of the first split first."""
    order = sorted(balances[0].categories, key=lambda id: -balances[0].pixels[id])
    shown = order
    columns = [head for balance in balances for head in (f"{balance.name}\npixels", "segments\nin images")]
    table = Table("Class balance", "class", "kind", *columns, words=2)
    if len(order) > SHOWN_CLASSES:
        seen = [id for id in order if balances[0].segments[id]]
        half = SHOWN_CLASSES // 2
        shown = seen[:half] + seen[half:][-half:]
        table.caption = f"the {half} largest and smallest of {len(order)} classes; all with --json"
    for id in shown:
        category = balances[0].categories[id]
        cells = [cell for balance in balances for cell in _class_cells(balance, category.name)]
        table.add_row(category.name, "thing" if category.is_thing else "stuff", *cells)
    return table


def _class_cells(balance: Balance, name: str) -> tuple[str, str]:
    """By name, because splits may number the same classes differently."""
    id = next((id for id, category in balance.categories.items() if category.name == name), None)
    if id is None or not balance.segments[id]:
        return "-", "-"
    share = balance.pixels[id] / balance.pixels.total()
    return f"{share:.2%}" if share >= 1e-4 else "< 0.01%", f"{balance.segments[id]} in {balance.images_with[id]}"


def verdict(diagnosis: Diagnosis) -> str:
    """How it stands, and whether `--fix` can mend it."""
    errors, warnings = diagnosis.count(Severity.ERROR), diagnosis.count(Severity.WARNING)
    also = plural(warnings, "warning")
    if errors:
        fix = why_no_copy(diagnosis) or "--fix --out DIR writes a mended copy."
        return f"{plural(errors, 'error')} would break training, {also}; {fix}"
    if warnings:
        return f"Nothing would break training; {also}."
    return "Nothing is wrong."


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "errors": diagnosis.count(Severity.ERROR),
        "warnings": diagnosis.count(Severity.WARNING),
        "findings": [
            {
                "kind": finding.kind.slug,
                "severity": finding.kind.severity.value,
                "split": finding.split,
                "count": finding.count,
                "first": finding.first,
                "what": finding.kind.title,
                "remedy": finding.kind.remedy,
                "fix": _fix_of(finding, diagnosis),
            }
            for finding in diagnosis.findings
        ],
        "splits": [_split_json(balance) for balance in diagnosis.balances],
    }


def _split_json(balance: Balance) -> dict[str, Any]:
    return {
        "name": balance.name,
        "images": balance.listed,
        "labels_read": balance.images,
        "void_share": balance.void_share,
        "things": balance.things,
        "things_in_parts": balance.things_in_parts,
        "crowds": balance.crowds.total(),
        "classes": [
            {
                "id": id,
                "name": category.name,
                "isthing": int(category.is_thing),
                "pixels": balance.pixels[id],
                "segments": balance.segments[id],
                "images": balance.images_with[id],
            }
            for id, category in balance.categories.items()
        ],
    }
