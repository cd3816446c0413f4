"""The doctor from Python and from the command line: look at a data set, and perhaps write a mended copy of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unipan.console import Renderable
from unipan.errors import InputError, path_of, paths_of
from unipan.presets import for_own_data, preset_named
from unipan.tools.doctor import repair
from unipan.tools.doctor import report as doctor_report
from unipan.tools.doctor.examine import Diagnosis, examine
from unipan.tools.doctor.splits import find_splits


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found, and what was done."""

    diagnosis: Diagnosis
    unfit: list[str]
    """What training with the preset would lose of the data, a sentence each."""
    copy: Diagnosis | None
    """Of the mended copy, where one was written."""
    copied: list[str]
    """What is in the copy, in sentences."""

    @property
    def trainable(self) -> bool:
        """Whether nothing would break training, on the copy where there is one."""
        return (self.copy or self.diagnosis).trainable

    def report(self) -> Iterator[Renderable]:
        """Tables and sentences for people."""
        yield from doctor_report.report(self.diagnosis)
        yield from self.unfit
        yield from self.copied

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        fixed = {"fixed": doctor_report.to_json(self.copy)} if self.copy else {}
        return {**doctor_report.to_json(self.diagnosis), "settings": self.unfit, **fixed}


class NotMended(InputError):
    """The copy that was asked for can't be written, for the reason given. What was found is there all the same."""

    def __init__(self, reason: str, found: Examination) -> None:
        super().__init__(reason)
        self.found = found


def doctor(
    data: str | Path | Sequence[str | Path],
    *,
    images: str | Path | Sequence[str | Path] = (),
    masks: str | Path | Sequence[str | Path] = (),
    split: Sequence[str] = (),
    preset: str = "finetune",
    fix_into: str | Path | None = None,
) -> Examination:
    """Look for everything that is wrong with a data set.

    data: its folder, or panoptic JSONs, the training set first; images, masks: the JSONs' folders, one for all or one each.
    split: these alone. preset: whose settings the data are compared with. fix_into: a new folder for a mended copy of the labels.

    Raises: InputError for what can't be examined; NotMended, one too, with what was found, where the copy can't be written.
    """
    paths = paths_of("data", data)
    settings = preset_named(preset) if all(path.is_dir() for path in paths) else for_own_data(preset_named(preset))
    splits = find_splits(paths, images=paths_of("images", images), masks=paths_of("masks", masks), names=list(split))
    if fix_into is not None:
        repair.check_target(splits, path_of("fix_into", fix_into))
    diagnosis = examine(splits)
    unfit = [f"With the preset {preset}: {sentence}" for sentence in diagnosis.unfit(settings)]
    found = Examination(diagnosis=diagnosis, unfit=unfit, copy=None, copied=[])
    if fix_into is None:
        return found
    try:
        copies = repair.fix(diagnosis, Path(fix_into))
    except InputError as error:
        raise NotMended(str(error), found) from error
    copy = examine([one.split for one in copies])
    copied = [*repair.outcome(copies), f"The copy: {doctor_report.verdict(copy)}"]
    return replace(found, copy=copy, copied=copied)
