"""What a benchmark measured, kept as benchmarks/results/NAME.json; the tables of docs/performance.md are made from there."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from growth import CURVES, figures, growth_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
MARKED = re.compile(r"(<!-- (bench_\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Measured = Mapping[str, Mapping[str, Sequence[float]]]
"""For each case the milliseconds of each way in every round; the others are compared with the first."""


def interleaved(ways: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = process_time) -> Any:
    """Milliseconds of each way, by turns, so that a busy moment of the machine hits all alike; a round before warms up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, work in ways.items():
            start = clock()
            work()
            times[name].append(1000 * (clock() - start))
    return {name: ms[1:] for name, ms in times.items()}


def record(name: str, measured: Measured, *, clock: str = "processor time", note: str = "", threads: int = 0) -> None:
    """Write the record, show it, and fill the page.

    clock: what was measured. note: what a reader must know of this run. threads: of each measurement; 0 for this process's.
    """
    summaries = {case: {way: _summary(ms) for way, ms in ways.items()} for case, ways in measured.items()}
    _write(name, {"threads": threads or torch.get_num_threads(), "clock": clock, "note": note, "ms": summaries})


def record_growth(name: str, axes: Mapping[str, Any], *, note: str) -> None:
    """The same for what `growth_table` shows, of measurements in one thread."""
    _write(name, {"threads": 1, "note": note, "growth": axes})


def record_parts(name: str, rounds: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """The same for the parts that a work consists of: for each work the milliseconds of its parts in every round."""
    every = {work: {part: _summary([ms[part] for ms in own]) for part in own[0]} for work, own in rounds.items()}
    _write(name, {"threads": 1, "note": "", "parts": every})


def commit() -> str:
    """What the code is here."""
    return _git("rev-parse", "--short", "HEAD") + (" with changes" if _git("status", "--porcelain", "--", "src") else "")


def provenance(threads: int = 0) -> dict[str, Any]:
    """Of which code a record is, and of which machine. threads: 0 for this process's."""
    return {"commit": commit(), "machine": _machine(), "threads": threads or torch.get_num_threads()}


def _write(name: str, found: Mapping[str, Any]) -> None:
    content = {"benchmark": name, "commit": commit(), "machine": _machine(), **found}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    print(table(content))
    PAGE.write_text(filled(PAGE.read_text()))


def table(content: Mapping[str, Any]) -> str:
    """A record as a page shows it."""
    machine, plural = content["machine"], "s" * (content["threads"] > 1)
    if "growth" in content:
        lines = _growth_lines(content["growth"])
    else:
        lines = _part_lines(content["parts"]) if "parts" in content else _lines(content)
    note = f" {content['note']}" if content["note"] else ""
    where = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f}, torch {machine['torch']}"
    return "\n".join([*lines, "", f"Commit {content['commit']}, {content['threads']} thread{plural}; {where}.{note}"]) + "\n"


def _growth_lines(axes: Mapping[str, Any]) -> list[str]:
    return [f"![Curves: time and memory of a prediction](images/{CURVES.name})", "", *growth_table(axes)]


def _part_lines(works: Mapping[str, Any]) -> list[str]:
    """A column for each work; the dearest part of the first work first."""
    totals = {work: sum(found["median"] for found in parts.values()) for work, parts in works.items()}
    names = list(dict.fromkeys(part for parts in works.values() for part in parts))
    first = next(iter(works.values()))
    names.sort(key=lambda part: -first[part]["median"] if part in first else 0)
    lines = ["| part | " + " | ".join(f"{work}, ms | share" for work in works) + " |", "|---|" + "---:|---:|" * len(works)]
    for name in names:
        cells = [
            f"{figures(parts[name]['median'])} | {parts[name]['median'] / totals[work]:.1%}" if name in parts else "- | -"
            for work, parts in works.items()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, "| all | " + " | ".join(f"{figures(total)} | " for total in totals.values()) + " |"]


def _lines(content: Mapping[str, Any]) -> list[str]:
    lines = [f"| case | way | {content['clock']}, ms | from, to | first / this |", "|---|---|---:|---:|---:|"]
    for case, ways in content["ms"].items():
        first = next(iter(ways.values()))["median"]
        for number, (way, found) in enumerate(ways.items()):
            ratio = f"{first / found['median']:.2g}" if number else ""
            spread = ", ".join(map(figures, found["spread"]))
            lines.append(f"| {case if not number else ''} | {way} | {figures(found['median'])} | {spread} | {ratio} |")
    return lines


def filled(page: str) -> str:
    """The page with each marked table as its record has it."""

    def shown(mark: re.Match[str]) -> str:
        path = RESULTS / f"{mark[2]}.json"
        return f"{mark[1]}\n{table(json.loads(path.read_text()))}\n{mark[3]}" if path.exists() else mark[0]

    return MARKED.sub(shown, page)


def _summary(ms: Sequence[float]) -> dict[str, Any]:
    return {"median": median(ms), "spread": [min(ms), max(ms)], "rounds": len(ms)}


def _machine() -> dict[str, Any]:
    """What a time depends on. load: of all programs, in the last minute."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", info.read_text()) if info.exists() else []
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
