"""A contact sheet: rows of images under column titles, as one image."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from unipan.errors import InputError
from unipan.viz.canvas import INK, PAPER
from unipan.viz.fonts import font_of, shortened

TITLE_PX = 17
ROW_TITLE_PX = 14
GAP_PX = 12
QUIET = (96, 103, 115)


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    *,
    column_titles: Sequence[str],
    row_titles: Sequence[Sequence[str]] | None = None,
) -> Image.Image:
    """Lay images out in rows, each column as wide as its widest image.

    row_titles: of each row one or more, each above its share of the columns: one above the row, or one above each pair.
    """
    if any(len(row) != len(column_titles) for row in rows):
        raise InputError(
            f"a contact sheet with {len(column_titles)} column titles got rows of {[len(row) for row in rows]} images; "
            "give each row one image a column."
        )
    if row_titles is not None and len(row_titles) != len(rows):
        raise InputError(f"a contact sheet of {len(rows)} rows got {len(row_titles)} row titles; give one a row.")
    widths = [max((row[column].width for row in rows), default=TITLE_PX * 8) for column in range(len(column_titles))]
    heights = [max((image.height for image in row), default=0) for row in rows]
    header, caption = TITLE_PX * 2, ROW_TITLE_PX * 2 if row_titles is not None else 0
    size = (
        GAP_PX + sum(width + GAP_PX for width in widths),
        GAP_PX + header + sum(height + caption + GAP_PX for height in heights),
    )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    lefts = [GAP_PX + sum(widths[:column]) + GAP_PX * column for column in range(len(widths))]
    for left, width, title in zip(lefts, widths, column_titles, strict=True):
        _write(draw, title, (left, GAP_PX + header // 2), TITLE_PX, INK, width)
    top = GAP_PX + header
    for index, (row, height) in enumerate(zip(rows, heights, strict=True)):
        if row_titles is not None:
            share = len(widths) // len(row_titles[index])
            for first, title in zip(range(0, len(widths), share), row_titles[index], strict=True):
                width = sum(widths[first : first + share]) + GAP_PX * (share - 1)
                _write(draw, title, (lefts[first], top + caption // 2), ROW_TITLE_PX, QUIET, width)
        for left, image in zip(lefts, row, strict=True):
            sheet.paste(image, (left, top + caption))
        top += caption + height + GAP_PX
    return sheet


def _write(draw: ImageDraw.ImageDraw, text: str, position: tuple[int, int], size_px: int, color: tuple, width: int) -> None:
    """One line of text from the middle of its left edge, shortened where it would be too wide."""
    font = font_of(text, size_px)
    text = shortened(text, width, lambda shown: draw.textlength(shown, font))
    draw.text(position, text, fill=color, font=font, anchor="lm")
