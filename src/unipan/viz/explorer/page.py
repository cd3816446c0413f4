"""The explorer's page: one HTML file with its style, its scripts and all data inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Template
from markupsafe import Markup, escape

from unipan.errors import path_of
from unipan.files import check_here, make_folder, replace_atomically
from unipan.viz.explorer.content import Explored
from unipan.viz.panels import HEAT

SCRIPTS = (
    *("decode.js", "affinity.js", "paint.js", "borders.js", "stage.js", "marks.js", "panel.js", "lists.js", "save.js"),
    *("layers.js", "pins.js", "keyboard.js", "explorer.js"),  # the last starts all
)
FRAME_HEIGHT_PX = 760


@dataclass(frozen=True, repr=False)
class Page:
    """A page that needs no server and no network. In a notebook it shows itself."""

    html: str

    def __repr__(self) -> str:
        return f"Page({len(self.html) / 1e6:.1f} MB of HTML; save(path) writes it)"

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, whose path is returned.

        Raises: InputError where that fails.
        """
        path = path_of("the file to write", path)
        check_here(path)
        make_folder(path.parent)
        replace_atomically(path, lambda temporary: temporary.write_text(self.html, encoding="utf-8"))
        return path

    def _repr_html_(self) -> str:
        style = f"width: 100%; height: {FRAME_HEIGHT_PX}px; border: 0"
        return f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts allow-downloads" style="{style}"></iframe>'


def explorer_page(images: Sequence[Explored]) -> Page:
    """The page of one image or several, which it shows one at a time."""
    data = {"heat": HEAT.int().tolist(), "images": [image.to_json() for image in images]}
    names = images[0].name if len(images) == 1 else f"{images[0].name} and {len(images) - 1} more"
    page = Template(_text("page.html"), autoescape=True).render(
        title=f"unipan explorer: {names}",
        style=Markup(_text("explorer.css")),
        script=Markup("\n".join(map(_text, SCRIPTS))),
        data=data,
    )
    return Page(page)


def _text(name: str) -> str:
    return files("unipan.viz.explorer").joinpath(name).read_text(encoding="utf-8")
