"""What is begun from Python and from the command line alike: `train`, whose result is a `Run`, and what can be done with one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import logger
from unipan.engine.fit import Hook, hooks_of
from unipan.engine.processes import this_process
from unipan.errors import InputError, path_of, paths_of
from unipan.files import check_here, new_numbered_folder, remove_if_empty
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.presets import settings_of
from unipan.recipes.comparison import Comparison
from unipan.recipes.evaluation.result import Evaluation

RUNS = Path("runs")
"""Where a training goes that is given no folder."""


@dataclass(frozen=True)
class Run:
    """A trained network by its folder, or by OWNER/NAME on the Hugging Face Hub. Nothing is read before it is asked for."""

    path: str | Path

    def __post_init__(self) -> None:
        path_of("the run", self.path)

    @property
    def config(self) -> Config:
        """Every setting of the training."""
        return open_run(self.path)[1]

    @property
    def classes(self) -> ClassTable:
        return open_run(self.path)[2]

    def predictor(
        self, *, head: PanopticHead | None = None, device: str | int = "auto", overrides: Overrides = NO_OVERRIDES
    ) -> Predictor:
        """What makes answers of images; see `load`."""
        return load(self.path, head=head, device=device, overrides=overrides)

    def evaluate(
        self,
        *,
        root: str | None = None,
        val: str = "",
        images: str = "",
        head: PanopticHead | None = None,
        overrides: Overrides = NO_OVERRIDES,
        device: str = "auto",
    ) -> Evaluation:
        """Its score on held-out images, also written to metrics.json; see `recipes.evaluate.evaluate`."""
        from unipan.recipes.evaluate import evaluate

        return evaluate(str(self.path), root=root, val=val, images=images, head=head, overrides=overrides, device=device)

    def compare(
        self,
        images: str | Path | Sequence[str | Path] = (),
        *,
        out: str | Path,
        samples: int = 0,
        root: str | None = None,
        overrides: Overrides = NO_OVERRIDES,
        device: str = "auto",
    ) -> Comparison:
        """Its heads' answers side by side, drawn into `out`; see `recipes.compare.compare`."""
        from unipan.recipes.compare import compare

        files, folder = paths_of("images", images), path_of("out", out)
        return compare(str(self.path), files, folder, samples=samples, root=root, overrides=overrides, device=device)

    def report(
        self,
        *,
        root: str | None = None,
        val: str = "",
        images: str = "",
        head: PanopticHead | None = None,
        explore: bool = False,
        device: str = "auto",
    ) -> Path:
        """Evaluate and draw it as a page, whose path is returned; see `recipes.illustrate.report`."""
        from unipan.recipes.illustrate import report

        return report(str(self.path), root=root, val=val, images=images, head=head, explore=explore, device=device)


def train(
    settings: str | Config | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    resume: bool = False,
    hooks: Sequence[Hook] = (),
    **changes: Any,
) -> Run:
    """Train a network into the folder `out`, by default a new one runs/train-N, just as `unipan train` does.

    settings: a preset's name, settings, or a mapping of them (see `presets.settings_of`). changes: section by section, as in
    train={"steps": 20}, or by full names, as in **{"train.steps": 20}. resume: go on exactly where the run in `out` stopped.
    hooks: called before the log is written, which holds what they add to `step.fields`.
    Raises: InputError for what can't be used; `Stopped` after SIGTERM or Ctrl-C, when all is saved.
    """
    from unipan.recipes.train import train as recipe

    config, hooks = settings_of(settings, changes), hooks_of(hooks)
    if resume and out is None:
        raise InputError("to resume is to go on with a run that is there; name its folder, as --out or out=.")
    with _folder(out) as folder:
        resuming = "--resume" if out else f"--out {folder} --resume"
        recipe(config, folder, resume=resume, hooks=hooks, to_go_on=f"give the same command with {resuming}")
    return Run(folder)


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The folder to train into; a numbered one goes again if nothing came into it."""
    if out is not None:
        folder = path_of("out", out)
        check_here(folder)
        yield folder
        return
    processes = this_process()
    [folder] = processes.gather_objects([new_numbered_folder(RUNS, "train")] if processes.is_main else [])
    if processes.is_main:
        logger.info(f"Training into {folder}.")
    try:
        yield folder
    finally:
        remove_if_empty(folder)
