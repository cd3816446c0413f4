"""`unipan runs`: the runs below a folder, what tells them apart, and their scores."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from unipan.checkpoint import RunFolder, open_run
from unipan.config import Config
from unipan.console import Table
from unipan.errors import InputError, plural
from unipan.metrics.report import GROUPS
from unipan.recipes.training.checkpoints import FREE
from unipan.recipes.training.log import read_log
from unipan.settings import flat_settings

MAX_COLUMNS = 3
"""So many settings that differ get a column each; of more, a run shows those that are not as in most runs ..."""
MAX_SHOWN = 6
"""... at most so many."""
IN_NETWORK = ("model.masks", "model.variant", "model.panoptic", "model.detector.kind")
"""Settings that the column `network` tells."""
HIDDEN = IN_NETWORK + FREE
"""Those that have no column of their own: told already, or no result follows from them."""
SIGNS = ("config.json", "classes.json", "log.jsonl", "model.safetensors")
"""A folder with one of these is, or was to be, a run."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of the list."""

    name: str
    """Its path below the folder."""
    network: str
    """Its kind, in two or three words."""
    settings: dict[str, Any]
    """All, by full name."""
    step: int | None
    """The last of its log; None of a network that has none, as of a copy to give away."""
    steps: int
    finished: bool
    scores: dict[str, float | None]
    """PQ of all classes, things and stuff as `evaluate` measured it; {} where it has not."""
    date: datetime
    """When it last wrote its log or its model."""


@dataclass(frozen=True)
class RunList:
    """What lies below a folder."""

    folder: Path
    rows: list[RunRow]
    broken: dict[str, str]
    """Runs that can't be read, and why."""

    @property
    def differing(self) -> list[str]:
        """Names of the settings in which the runs differ."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.settings))
        return [name for name in names if any(row.settings[name] != self.rows[0].settings[name] for row in self.rows)]

    @property
    def usual(self) -> dict[str, Any]:
        """What most runs have, for each setting that differs and that a result may follow from."""
        values = {name: [row.settings[name] for row in self.rows] for name in self.differing if name not in HIDDEN}
        return {name: max(own, key=own.count) for name, own in values.items()}

    def table(self) -> Table:
        """A line for each run, the latest last; columns for what differs."""
        table, usual = Table(f"{plural(len(self.rows), 'run')} in {self.folder}"), self.usual
        short = self._short(usual)
        columns = short if len(usual) <= MAX_COLUMNS else {}
        table.add_column("run")
        table.add_column("network")
        for name in columns.values():
            table.add_column(name)
        in_words = bool(usual) and not columns
        if in_words:
            table.add_column("unlike most")
        for name in ("step", "PQ", "things", "stuff"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("date", no_wrap=True)
        for row in self.rows:
            unlike = [f"{word} {_shown(row.settings[name])}" for name, word in short.items() if row.settings[name] != usual[name]]
            further = [f"{len(unlike) - MAX_SHOWN} more"] if len(unlike) > MAX_SHOWN else []
            cells = [", ".join(unlike[:MAX_SHOWN] + further)] if in_words else [_shown(row.settings[name]) for name in columns]
            scores = [_percent(row.scores.get(group)) for group in GROUPS]
            state = "copy" if row.step is None else f"{row.step}" if row.finished else f"{row.step} of {row.steps}"
            table.add_row(row.name, row.network, *cells, state, *scores, f"{row.date:%d %b %H:%M}")
        return table

    def sentences(self) -> list[str]:
        """What the table leaves out."""
        usual = self.usual
        sentences = [f"{name} is no whole run: {reason}" for name, reason in self.broken.items()]
        if len(usual) > MAX_COLUMNS:
            values = [f"{word} {_shown(usual[name])}" for name, word in self._short(usual).items()]
            further = [f"and {len(values) - 2 * MAX_SHOWN} settings more"] if len(values) > 2 * MAX_SHOWN else []
            sentences.append(f"Most runs have {', '.join(values[: 2 * MAX_SHOWN] + further)}. --json tells all that differ.")
        unscored = [row.name for row in self.rows if row.finished and not row.scores]
        some = ", ".join(unscored[:MAX_SHOWN] + ["..."] * (len(unscored) > MAX_SHOWN))
        waits = f"{plural(len(unscored), 'finished run')} not evaluated yet ({some}): unipan evaluate RUN."
        return sentences + ([waits] if unscored else [])

    def _short(self, names: Iterable[str]) -> dict[str, str]:
        return _short(names, self.rows[0].settings) if self.rows else {}

    def to_json(self) -> dict[str, Any]:
        differing = self.differing
        rows = [
            {
                "run": row.name,
                "network": row.network,
                "settings": {name: row.settings[name] for name in differing},
                "step": row.step,
                "steps": row.steps,
                "finished": row.finished,
                "pq": row.scores,
                "date": row.date.isoformat(timespec="seconds"),
            }
            for row in self.rows
        ]
        return {"folder": str(self.folder), "runs": rows, "broken": self.broken}


def list_runs(folder: Path) -> RunList:
    """Every run below a folder, or the folder itself; one that can't be read is told with its reason."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one with runs in it, such as runs/.")
    paths = sorted({path.parent for sign in SIGNS for path in folder.rglob(sign)})
    rows, broken = [], {}
    for path in paths:
        name = str(path.relative_to(folder)) if path != folder else path.resolve().name
        try:
            rows.append(_row(name, path))
        except InputError as error:
            broken[name] = str(error)
    if not paths:
        raise InputError(f"there is no run in {folder}: no folder in it holds a {SIGNS[0]}, as `unipan train` writes one.")
    return RunList(folder, sorted(rows, key=lambda row: row.date), broken)


def _row(name: str, path: Path) -> RunRow:
    folder, config, _ = open_run(path)
    log = read_log(folder.log)
    step = max((line["step"] for line in log), default=0)
    is_copy = folder.is_finished and not folder.log.exists()
    written = [file.stat().st_mtime for file in (folder.log, folder.model, folder.config) if file.is_file()]
    return RunRow(
        name=name,
        network=_network(config),
        settings=flat_settings(config),
        step=None if is_copy else step,
        steps=config.train.steps,
        finished=folder.is_finished,
        scores=_scores(folder),
        date=datetime.fromtimestamp(max(written)),
    )


def _network(config: Config) -> str:
    """Such as `masks B` or `one-stage boxes A`."""
    model = config.model
    words = ["one-stage"] if model.detector.kind == "one_stage" else []
    return " ".join(
        [*words, "masks" if model.masks else "boxes", model.variant if model.panoptic == "unified" else model.panoptic]
    )


def _scores(folder: RunFolder) -> dict[str, float | None]:
    if not folder.metrics.is_file():
        return {}
    try:
        quality = json.loads(folder.metrics.read_text())["answer"]["quality"]
        return {group: quality[group]["pq"] for group in GROUPS}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"cannot read {folder.metrics} ({error!r}); write it anew with unipan evaluate.") from error


def _short(names: Iterable[str], among: Iterable[str]) -> dict[str, str]:
    """Full name -> its last word, where no other setting `among` all ends alike."""
    last = [name.rpartition(".")[2] for name in among]
    words = {name: name.rpartition(".")[2] for name in names}
    return {name: word if last.count(word) == 1 else name for name, word in words.items()}


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "-"
    return f"{value:g}" if isinstance(value, float) else str(value) or "-"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
