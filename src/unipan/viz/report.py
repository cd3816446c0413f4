"""An illustrated report of a run as one HTML page that needs nothing else: no network, no other file."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import NamedTuple

from jinja2 import StrictUndefined, Template
from PIL import Image

from unipan.files import replace_atomically
from unipan.viz.curves import Curve
from unipan.viz.panels import HEAT

JPEG_QUALITY = 88
MAX_SIDE_PX = 720
"""Larger images are reduced to this: a dozen examples stay under some 8 MB."""
MAX_TILES_IN_ROW = 6

COLUMNS = {
    "Image": "The held-out image as the network saw it.",
    "Truth": "The annotated segments: every pixel one class, every object its own shade; hatched grey is unlabelled.",
    "Detections": "Boxes from the detector. Bold ones entered the dynamic potential; thin dashed ones were too unsure.",
    "Answer": "The network's panoptic segments, with the score of each object; one that was found has its color in the truth.",
    "Affinity": "How likely, by the affinity, each pixel is of the crossed one's segment.",
}


@dataclass(frozen=True)
class ReportTable:
    """A table of ready-made text; the first column names the rows."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Example:
    """What the report shows of one held-out image, ready drawn."""

    name: str
    """The image's file name."""
    summary: str = ""
    """A few words on how it went, such as its PQ."""
    image: Image.Image
    truth: Image.Image
    detections: Image.Image
    answer: Image.Image
    affinity: Sequence[tuple[str, Image.Image]] = ()
    """For each marked pixel what it lies on ("car, left door"), and its affinities."""
    explorer: str = ""
    """Where its explorer page is, from the report's own folder; "" where there is none."""


@dataclass(frozen=True)
class Gallery:
    """Examples under a heading, with a sentence on how they were chosen."""

    heading: str
    sentence: str
    examples: Sequence[Example]


class Drawing(NamedTuple):
    """An image within the page."""

    title: str  # the column that it stands in
    caption: str
    uri: str
    size: tuple[int, int]  # width, height as drawn


def write_report(
    path: Path,
    *,
    title: str,
    source: str,
    facts: Sequence[tuple[str, str]],
    tables: Sequence[ReportTable],
    errors: Sequence[ReportTable] = (),
    reliability: Curve | None = None,
    confusions: Sequence[tuple[str, Image.Image]] = (),
    curves: Sequence[Curve] = (),
    galleries: Sequence[Gallery] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write the page. All text is escaped; of SVGs only what `unipan.viz.curves` draws is taken as it is.

    source: of what run, by which head and with which limits the answers are; it stands beside every drawing. facts: name and
    value of the headline numbers. errors, reliability: tables of what is wrong, and how far scores can be believed. confusions:
    what was confused with what, each with its caption. notes: paragraphs on how the run was made.
    """
    rows = max(1, ceil(len(facts) / MAX_TILES_IN_ROW))
    page = Template(files("unipan.viz").joinpath("report.html").read_text("utf-8"), autoescape=True, undefined=StrictUndefined)
    written = page.render(
        title=title,
        source=source,
        facts=facts,
        fact_columns=max(1, ceil(len(facts) / rows)),
        notes=notes,
        tables=tables,
        errors=errors,
        reliability=reliability,
        confusions=[Drawing("Confusion", caption, _png_uri(image), image.size) for caption, image in confusions],
        curves=curves,
        galleries=[(one.heading, one.sentence, [(own, _drawings(own)) for own in one.examples]) for one in galleries],
        columns=COLUMNS,
        heat=[f"rgb({red:.0f} {green:.0f} {blue:.0f})" for red, green, blue in HEAT.tolist()],
    )
    replace_atomically(path, lambda temporary: temporary.write_text(written, encoding="utf-8"))


def _drawings(example: Example) -> list[Drawing]:
    drawn = (example.image, example.truth, example.detections, example.answer)
    named = [(name, "", image) for name, image in zip(COLUMNS, drawn, strict=False)]
    named += [("Affinity", caption, image) for caption, image in example.affinity]
    return [Drawing(name, caption, _jpeg_uri(image), image.size) for name, caption, image in named]


def _png_uri(image: Image.Image) -> str:
    """At its own size and without loss, for images of text and plain colors."""
    written = BytesIO()
    image.save(written, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")


def _jpeg_uri(image: Image.Image) -> str:
    reduced = image.convert("RGB")
    reduced.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    written = BytesIO()
    reduced.save(written, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")
