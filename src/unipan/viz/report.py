"""An illustrated report of a run as one HTML page that needs nothing else: no network, no other file."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from io import BytesIO
from math import ceil
from pathlib import Path
from string import Template

from PIL import Image

JPEG_QUALITY = 88
MAX_SIDE_PX = 720
"""Larger images are reduced to this: a dozen examples stay under some 8 MB."""
MAX_TILES_IN_ROW = 6

COLUMNS = (
    ("Image", "The held-out image as the network saw it."),
    ("Truth", "The annotated segments: every pixel one class, every object its own shade; hatched grey is unlabelled."),
    ("Detections", "Boxes from the detector. Bold ones entered the dynamic potential; thin dashed ones were too unsure."),
    ("Answer", "The network's panoptic segments, in the colors of the truth, with the score of each object."),
    ("Affinity", "How strongly the network ties every pixel to the crossed one: bright belongs together, dark does not."),
)


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


def write_report(
    path: Path,
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    tables: Sequence[ReportTable],
    curves_svg: str,
    examples: Sequence[Example],
    confusions: Sequence[tuple[str, Image.Image]] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write the page.

    facts: name and value of the headline numbers. curves_svg: what `loss_curves` returned, or "" for none; it alone is not
    escaped. confusions: what was confused with what, each with its caption. notes: paragraphs on how the run was made.
    """
    parts = [_tiles(facts), *(f"<p>{escape(note)}</p>" for note in notes)]
    if tables:
        parts += ["<h2>Results</h2>", '<div class="tables">', *map(_table, tables), "</div>"]
    if confusions:
        figures = [_figure("", "Confusion", caption, _png_uri(image), image.size) for caption, image in confusions]
        parts += [
            "<h2>What is taken for what</h2>",
            '<p class="quiet">Percent of the pixels of each true class (its row); small shares are drawn darker than real.</p>',
            f'<div class="confusions card">{"".join(figures)}</div>',
        ]
    if curves_svg:
        parts += [
            "<h2>Training</h2>",
            '<p class="quiet">Loss terms over optimiser steps, weighted as trained: smoothed, the raw values faint behind.</p>',
            f'<div class="curves card">{curves_svg}</div>',
        ]
    if examples:
        parts += ["<h2>Held-out images</h2>", _key(), *map(_example, examples)]
    page = Template(files("unipan.viz").joinpath("report.html").read_text(encoding="utf-8"))
    path.write_text(page.substitute(title=escape(title), body="\n".join(parts)), encoding="utf-8")


def _tiles(facts: Sequence[tuple[str, str]]) -> str:
    tiles = (f'<div class="tile card"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>' for name, value in facts)
    rows = max(1, ceil(len(facts) / MAX_TILES_IN_ROW))
    return f'<dl class="tiles" style="--columns: {max(1, ceil(len(facts) / rows))}">{"".join(tiles)}</dl>'


def _table(table: ReportTable) -> str:
    def cells(tag: str, texts: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"

    rows = "".join(cells("td", row) for row in table.rows)
    head = f"<thead>{cells('th', table.header)}</thead>"
    return f'<div class="table card"><table><caption>{escape(table.caption)}</caption>{head}<tbody>{rows}</tbody></table></div>'


def _key() -> str:
    terms = "".join(f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in COLUMNS)
    return f'<dl class="key">{terms}</dl><p class="quiet">Click an image to enlarge it; the arrow keys lead on.</p>'


def _example(example: Example) -> str:
    drawn = (example.image, example.truth, example.detections, example.answer)
    named = [(name, "", image) for (name, _), image in zip(COLUMNS, drawn, strict=False)]
    named += [(COLUMNS[-1][0], caption, image) for caption, image in example.affinity]
    figures = [_figure(f"{example.name}. ", name, caption, _data_uri(image), image.size) for name, caption, image in named]
    header = f"<header><h3>{escape(example.name)}</h3><span>{escape(example.summary)}</span></header>"
    return f'<section class="example card">{header}<div class="images">{"".join(figures)}</div></section>'


def _figure(of: str, name: str, caption: str, uri: str, size: tuple[int, int]) -> str:
    words = f"{name}: {caption}" if caption else name
    shown = f"<b>{escape(name)}</b> {escape(caption)}"
    return (
        f'<figure><button type="button"><img src="{uri}" alt="{escape(of + words)}" '
        f'width="{size[0]}" height="{size[1]}"></button><figcaption>{shown}</figcaption></figure>'
    )


def _png_uri(image: Image.Image) -> str:
    """At its own size and without loss, for images of text and plain colors."""
    written = BytesIO()
    image.save(written, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")


def _data_uri(image: Image.Image) -> str:
    reduced = image.convert("RGB")
    reduced.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    written = BytesIO()
    reduced.save(written, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")
