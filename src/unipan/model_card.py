"""The model card of a network that is given away, README.md on the Hub, and whether it is still as it was written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import PurePath
from typing import Any

from unipan.classes import ClassTable
from unipan.config import Config
from unipan.errors import plural
from unipan.json_values import read_as

TITLE = "# Panoptic segmentation by unipan"
"""Of every card, which tells it from others'."""
_DIGEST = re.compile(r"^unipan_digest: (\w+)\n", re.MULTILINE)
"""The line of a card's header that has the digest of all other lines."""
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
    num_images: int
    title: str


@dataclass
class _Metrics:
    """What a model card tells of metrics.json."""

    answer: _Answer


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
    most = min(inference.max_admitted, model.detector.max_detections)
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
        f"{most} of an image; stuff under {inference.min_stuff_area_px} pixels becomes void.",
        "Licence": f"Of the weights: {escape(license)}; the terms of the data that they were learnt from hold besides.",
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items())
    text = f"---\n{head.to_yaml()}\n---\n\n{TITLE}\n\n{body}\n"
    return text.replace("---\n", f"---\nunipan_digest: {_digest(text)}\n", 1)


def is_as_written(card: str) -> bool:
    """Whether a card's text is as `model_card` made it, and nobody's since."""
    found = _DIGEST.search(card)
    return found is not None and found[1] == _digest(_DIGEST.sub("", card, count=1))


def _digest(text: str) -> str:
    return f"sha256_{sha256(text.encode()).hexdigest()}"  # with letters, or YAML might take it for a number


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
    images = f"{plural(read.answer.num_images, 'held-out image')} ({escape(PurePath(read.answer.title).name)})"
    return f"On {images}, by `unipan evaluate RUN` (metrics.json has more):\n\n" + "\n".join(rows)
