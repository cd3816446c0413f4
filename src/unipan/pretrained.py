"""A trained network as a folder that is given away: settings, classes, weights, scores and a model card; and to the Hub."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from torch import nn

from unipan.checkpoint import RunFolder, save_model, write_settings
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import warn
from unipan.errors import InputError
from unipan.files import make_folder, replace_atomically, write_json
from unipan.hub import hub
from unipan.model_card import TITLE, is_as_written, model_card
from unipan.settings_file import load_config

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
EVALUATIONS = ("metrics_*.json", "report*.html", "examples*.jpg", "explorer*")
"""What else `unipan evaluate` and `unipan report` write into a run's folder, of the network that is there."""


def save_pretrained(
    path: Path,
    network: nn.Module,
    classes: ClassTable,
    config: Config,
    *,
    metrics: Mapping[str, Any] | None,
    license: str,
    name: str | None = None,
) -> None:
    """Write a folder that `load` reads: config.json, classes.json, model.safetensors, metrics.json if known, and README.md.

    name: OWNER/NAME on the Hub, where it is known.
    Raises: InputError where a run, files that this did not write, or a card that was edited would be replaced, and where
    evaluations of another network would stay.
    """
    folder, card = RunFolder(path), path / CARD
    _check_free(folder, card)
    weights = sum(parameter.numel() for parameter in network.parameters())
    text = model_card(classes, config, weights=weights, metrics=metrics, license=license, name=name)
    make_folder(path)
    # The card comes first: it says whose the others are.
    replace_atomically(card, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    write_settings(folder, config, classes)
    save_model(folder.model, network)
    if metrics is None:
        folder.metrics.unlink(missing_ok=True)  # of the network that was here before
    else:
        write_json(folder.metrics, metrics)


def _check_free(folder: RunFolder, card: Path) -> None:
    """Refuse a folder in which more would be replaced than what `save_pretrained` wrote."""
    found = [path.name for path in (folder.checkpoints, folder.log) if path.exists()]
    if found:
        raise InputError(f"{folder.path} is a training's run, with {' and '.join(found)}; name another folder to give away.")
    found = [path.name for path in (card, folder.config, folder.classes, folder.model, folder.metrics) if path.exists()]
    if found and not _is_given(folder, card):
        names = " and ".join(found)
        raise InputError(f"{folder.path} holds {names}, which save_pretrained did not write and would replace; name another.")
    if card.exists() and not is_as_written(card.read_text(encoding="utf-8")):
        raise InputError(f"{card} would be replaced, but is not as it was written; move your notes, or name another folder.")
    found = sorted(path.name for pattern in EVALUATIONS for path in folder.path.glob(pattern))
    if found:
        names = " and ".join(found)
        raise InputError(f"{folder.path} holds {names}, of the network that is there now; remove them, or name another folder.")


def _is_given(folder: RunFolder, card: Path) -> bool:
    """Whether card and settings are such as `save_pretrained` writes."""
    try:
        if folder.config.exists():
            load_config(folder.config)
        return TITLE in card.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # InputError is one
        return False


def push_to_hub(name: str, write: Callable[[Path], None], *, private: bool | None) -> str:
    """Make the repository OWNER/NAME, unless it is there, and upload what `write` writes into a folder. Returns its address.

    A card there that was edited stays, with a warning; scores of the network that was there before do not.
    Raises: InputError where the Hub can't be reached, or refuses.
    """
    from huggingface_hub import HfApi

    with hub() as reached, TemporaryDirectory() as folder:
        if not reached:
            raise InputError(f"cannot upload to {name}: the Hugging Face Hub cannot be reached; save it in a folder meanwhile.")
        write(Path(folder))
        try:
            api = HfApi()
            address = api.create_repo(name, private=private, exist_ok=True)
            kept = _edited_card(api, name)
            api.upload_folder(
                repo_id=name,
                folder_path=folder,
                commit_message="Upload by unipan",
                ignore_patterns=[CARD] if kept else None,
                delete_patterns=[RunFolder(Path()).metrics.name],  # where none is uploaded
            )
        except (OSError, ValueError) as error:
            raise InputError(f"cannot upload to {name}: {error} Log in with `hf auth login`, and name OWNER/NAME.") from error
    if kept:
        warn(f"{CARD} stays:", f"that of {name} was edited, so it may tell of the network before; write into it what is new.")
    return str(address)


def _edited_card(api: "HfApi", name: str) -> bool:
    """Whether a repository has a card that is not as `save_pretrained` wrote it."""
    if not api.file_exists(name, CARD):
        return False
    return not is_as_written(Path(api.hf_hub_download(name, CARD)).read_text(encoding="utf-8", errors="replace"))
