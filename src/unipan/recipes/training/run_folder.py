"""Where a training may start: a new folder, an empty one, or that of a run that was killed early; never among others' files."""

import json
from dataclasses import asdict

from unipan.checkpoint import RunFolder, read_classes
from unipan.config import Config
from unipan.console import warn
from unipan.data.dataset import SourceDataset
from unipan.errors import InputError, plural
from unipan.files import sweep, write_json
from unipan.recipes.training.checkpoints import saved_steps
from unipan.recipes.training.log import read_log
from unipan.settings_file import read_settings

DATA = "training_data.json"
"""What a run learns from: written when it begins."""


def start_folder(folder: RunFolder) -> None:
    """Refuse a folder that holds a run or a stranger's files, and clean one whose run was killed before its first checkpoint."""
    if saved_steps(folder) or folder.model.exists():
        raise InputError(f"{folder.path} holds a run already; add --resume to go on with it, or name another --out.")
    found = [path for path in (folder.config, folder.classes, folder.log, folder.path / DATA) if path.exists()]
    if found and not _is_runs(folder):
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder.path} holds {names}, which no training wrote and this one would replace; name another --out.")
    sweep(folder.path, folder.checkpoints)


def has_begun(folder: RunFolder) -> bool:
    """Whether there is a run to go on with. One that was killed before it had written its settings has not; that is said."""
    begun = (folder.config.is_file() and folder.classes.is_file()) or bool(saved_steps(folder)) or folder.model.exists()
    if not begun:
        warn("nothing to go on from:", f"{folder.path} holds no run yet; starting from the beginning.")
    return begun


def note_data(folder: RunFolder, dataset: SourceDataset, *, resume: bool) -> None:
    """Keep what a run's training data are, by their number and truth; say so where it goes on with others."""
    path, found = folder.path / DATA, {"images": len(dataset), "truth": dataset.truth_facts()}
    if not (resume and path.is_file()):
        write_json(path, found)
        return
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = None
    if known != found:
        warn(
            "other training data:",
            f"the run began with other images or another truth than now, {plural(len(dataset), 'image')} ({path} says what they "
            "were). What is done stays, but the end is not that of a run which was never stopped.",
        )


def _is_runs(folder: RunFolder) -> bool:
    """Whether the settings, and what else is there of classes and log, are a run's: it begins with settings of all sections."""
    try:
        sections = read_settings(folder.config).keys()
        if folder.classes.exists():
            read_classes(folder.classes)
        read_log(folder.log)
    except InputError:
        return False
    return sections >= asdict(Config()).keys()
