"""A trained network as a folder that is given away: settings, classes, weights, scores and a model card; and to the Hub."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from unipan.checkpoint import RunFolder, save_model, write_settings
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.errors import InputError
from unipan.files import make_folder, replace_atomically, write_json
from unipan.hub import hub
from unipan.json_values import read_as
from unipan.settings_file import load_config

TITLE = "# Panoptic segmentation by unipan"
"""Of every card, which tells it from others'."""
PURPOSE = """\
This network knows the classes above, as they look in images like those that it learnt from, and no others; it has not been
examined for anything that a wrong answer would harm. Objects of other kinds become the nearest class, stuff or void. Scores are
not probabilities. What is smaller than the limits says is left out."""


@dataclass
class _Scores:
    pq: float | None
    sq: float | None
    rq: float | None


@dataclass
class _Quality:
    all: _Scores
    things: _Scores
    stuff: _Scores


@dataclass
class _Answer:
    quality: _Quality


@dataclass
class _Metrics:
    """What a model card tells of metrics.json."""

    answer: _Answer


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
    Raises: InputError where a run, or files that this did not write, would be replaced.
    """
    folder, card = RunFolder(path), path / "README.md"
    _check_free(folder, card)
    weights = sum(parameter.numel() for parameter in network.parameters())
    text = model_card(classes, config, weights=weights, metrics=metrics, license=license, name=name)
    make_folder(path)
    replace_atomically(
        card, lambda temporary: temporary.write_text(text, encoding="utf-8")
    )  # first: it says whose the others are
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
            api.upload_folder(repo_id=name, folder_path=folder, commit_message="Upload by unipan")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot upload to {name}: {error} Log in with `hf auth login`, and name OWNER/NAME.") from error
    return str(address)


def model_card(
    classes: ClassTable,
    config: Config,
    *,
    weights: int,
    metrics: Mapping[str, Any] | None,
    license: str,
    name: str | None,
) -> str:
    """The Hub's README.md: what the network is, learnt from, scored and can't do. No path of this machine is in it.

    name: OWNER/NAME on the Hub; without it the card says where it goes.
    """
    from huggingface_hub import ModelCardData

    model, inference = config.model, config.inference
    head = ModelCardData(
        license=license, library_name="unipan", pipeline_tag="image-segmentation", tags=["panoptic-segmentation", "unipan"]
    )
    masks = "with masks" if model.masks else "without masks"
    parts = {
        "Network": f"{model.backbone}, {model.detector.kind} detector {masks}, {model.panoptic} head; {weights:,} weights.",
        "Use": _use(name),
        "Classes": _classes(classes),
        "Training": _training(config),
        "Scores": _scores(metrics),
        "Limits": f"{PURPOSE}\n\nDetections enter an answer from a score of {inference.score_threshold:g} on, at most "
        f"{inference.max_admitted} of an image; stuff under {inference.min_stuff_area_px} pixels becomes void.",
        "Licence": f"Of the weights: {escape(license)}; the terms of the data that they were learnt from hold besides.",
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items())
    return f"---\n{head.to_yaml()}\n---\n\n{TITLE}\n\n{body}\n"


def _use(name: str | None) -> str:
    code = f'```python\nimport unipan\n\nanswer = unipan.load("{name or "OWNER/NAME"}")("image.jpg")\n```'
    unnamed = "OWNER/NAME is the repository that these files were uploaded to: write its name there. " if name is None else ""
    return f"{code}\n\n{unnamed}A copy of the files is loaded by the path of its folder."


def _classes(classes: ClassTable) -> str:
    names = {kind: [escape(info.name) for info in classes.classes if info.is_thing == kind] for kind in (True, False)}
    return f"Things: {', '.join(names[True]) or 'none'}.\n\nStuff: {', '.join(names[False]) or 'none'}."


def _training(config: Config) -> str:
    data, train = config.data, config.train
    named = [escape(PurePath(path).name) for path in (data.train or data.root, data.val) if path]
    files = f" ({', '.join(named)})" if named else ""
    start = "ImageNet's weights" if config.model.pretrained else "nothing"
    start = "another run" if train.init else "torchvision's detector" if train.warm_start else start
    return (
        f"Data: {data.source}{files}. {train.steps} steps of {train.batch_size} images from {start}, with {train.optimizer}, "
        f"learning rate {train.learning_rate:g} ({train.schedule}), seed {train.seed}; config.json has every setting."
    )


def _scores(metrics: Mapping[str, Any] | None) -> str:
    """A table of what metrics.json says."""
    read = read_as(_Metrics, metrics)
    if read is None:
        return "Not measured. `unipan evaluate RUN` measures them on held-out images."
    rows = ["| classes | PQ | SQ | RQ |", "|---|---:|---:|---:|"]
    for group, scores in vars(read.answer.quality).items():
        values = vars(scores).values()
        rows.append(f"| {group} | {' | '.join('-' if value is None else f'{100 * value:.1f}' for value in values)} |")
    return "On held-out images, by `unipan evaluate RUN` (metrics.json has more):\n\n" + "\n".join(rows)
