"""`unipan inspect`: the first samples of a training as a contact sheet, exactly as the network would get them."""

from functools import partial
from pathlib import Path

from PIL import Image

from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import counted, logger
from unipan.data.build import remarks, step_batches, training_dataset
from unipan.data.fitting import settled
from unipan.data.statistics import sampled_statistics
from unipan.data.training_item import TrainingItem
from unipan.errors import InputError, plural
from unipan.files import check_writable
from unipan.viz.canvas import as_pil, check_image_name, enlarge, readable_scale, save_image
from unipan.viz.samples import draw_target
from unipan.viz.sheet import contact_sheet

PAIRS_A_ROW = 2


def inspect_samples(config: Config, out: Path, *, samples: int, names: bool = True) -> str:
    """Draw the first `samples` samples that training with these settings sees, after augmentation, into the image file `out`.

    They come in the run's own random order; another `train.seed` gives others. Returns what was drawn, in a
    sentence. names: write classes where there is room.
    """
    if samples < 1:
        raise InputError(f"--samples is {samples}; it must be at least 1.")
    check_image_name(out)
    check_writable(out, new_folders=True)
    dataset = training_dataset(config.data, config.train.seed)
    config = settled(config, partial(sampled_statistics, dataset), None)
    for remark in remarks(dataset):
        logger.info(remark)
    batches = step_batches(config, dataset)
    items = [batches.item(index) for index in counted(range(samples), "drawing", samples)]
    save_image(_sheet(items, dataset.classes, names=names), out)
    things = sum(len(item.target.labels) for item in items)
    return (
        f"{plural(samples, 'sample')} with {plural(things, 'thing')}, as training with seed {config.train.seed} sees them: {out}"
    )


def _sheet(items: list[TrainingItem], classes: ClassTable, *, names: bool) -> Image.Image:
    cells = [_pair(item, classes, names=names) for item in items]
    cells += [(Image.new("RGB", (1, 1), "white"),) * 2] * (-len(cells) % PAIRS_A_ROW)
    starts = range(0, len(cells), PAIRS_A_ROW)
    rows = [[drawing for pair in cells[start : start + PAIRS_A_ROW] for drawing in pair] for start in starts]
    captions = [*map(_caption, items), *[""] * (len(cells) - len(items))]
    titles = [captions[start : start + PAIRS_A_ROW] for start in starts]
    return contact_sheet(
        rows, column_titles=["what the network sees", "what it is to learn (hatched: void)"] * PAIRS_A_ROW, row_titles=titles
    )


def _pair(item: TrainingItem, classes: ClassTable, *, names: bool) -> tuple[Image.Image, Image.Image]:
    scale = readable_scale(item.image.shape[2], item.image.shape[1])
    return enlarge(as_pil(item.image), scale), draw_target(item.image, item.target, classes, scale=scale, names=names)


def _caption(item: TrainingItem) -> str:
    height, width = item.image.shape[1:]
    return f"{item.name}, {width}x{height}, {plural(len(item.target.labels), 'thing')}"
