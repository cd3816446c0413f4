"""Tables fit a terminal of 80 columns, with long names and large numbers, and no word of them is lost."""

from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from unipan.classes import ClassInfo, ClassTable
from unipan.config import Config
from unipan.console import Table
from unipan.data.statistics import SetStatistics
from unipan.metrics.average_precision import AveragePrecision, Precision
from unipan.metrics.calibration import NUM_BINS, ScoreBins
from unipan.metrics.confusion import Confusion
from unipan.metrics.pq import PQCounts
from unipan.metrics.pq_dagger import ImageIoU
from unipan.metrics.score import Score
from unipan.metrics.segment_errors import KINDS, SegmentErrors
from unipan.metrics.sizes import NUM_SIZES
from unipan.metrics.units import UNITS
from unipan.ops.segments import Label, panoptic_map
from unipan.presets import PRESETS
from unipan.recipes.evaluation.limits import Limits
from unipan.recipes.evaluation.result import Evaluation
from unipan.recipes.predict import segment_table
from unipan.recipes.training.setup import training_table
from unipan.tools.convert.report import SplitCounts, summary
from unipan.tools.doctor.balance import Balance
from unipan.tools.doctor.report import class_table

NAMES = (
    "wall-other-merged",
    "pavement, unlabelled or covered",
    "lane [left]",
    "an-unbroken-name-of-a-class-that-folds",
)
CLASSES = ClassTable(
    tuple(ClassInfo(name=name, is_thing=i > 1, dataset_id=i, color=(i, 0, 0), supercategory=name) for i, name in enumerate(NAMES))
)
TITLE = "panoptic_val2017_of_a_long_name.json, stuff under 4096 px trimmed"


def evaluation_tables() -> list[Table]:
    def counts(*shape: int) -> PQCounts:
        many = np.full(shape, 123_456)
        return PQCounts(many * UNITS, many, many, many)

    pixels = Confusion(np.full((4, 5), 10**9))
    stuff = ImageIoU(np.full(4, 5000 * UNITS), np.full(4, 5000))
    many = np.full((len(KINDS), 4), 123_456)
    errors = SegmentErrors(many, many, np.full((len(KINDS), NUM_SIZES), 123_456), counts(len(KINDS), 4))
    tens = np.full((NUM_BINS, 4), 123_456)
    scores = ScoreBins(tens, tens // 2, tens * (UNITS // 2))
    score = Score(5000, counts(4), counts(NUM_SIZES, 4), pixels, stuff, errors, scores)
    ap = AveragePrecision(ap=1.0, ap50=1.0, ap75=1.0, per_class=(1.0,) * 4)
    evaluation = Evaluation(
        answer=score.report(TITLE, CLASSES, semantic_head=pixels),
        precision=Precision(box=ap, mask=ap),
        semantic_head=pixels,
        final_answer=pixels,
        classes=CLASSES,
        head="unified",
        mask_free=False,
        limits=Limits(things={}, min_stuff_area_px=4096, truth=SetStatistics(()), reached={}),
        images=(),
        propagation=None,
    )
    return [
        evaluation.answer.class_table(),
        evaluation.answer.table(),
        *evaluation.further_tables(),
        *evaluation.answer.error_tables(),
    ]


def doctor_tables() -> list[Table]:
    categories = dict(enumerate(CLASSES.classes))
    of_each = Counter(dict.fromkeys(categories, 123_456))
    splits = [
        Balance(name, categories, pixels=of_each, segments=of_each, images_with=of_each)  # type: ignore[arg-type]
        for name in ("train2017", "val2017")
    ]
    return [class_table(splits)]


def other_tables() -> list[Table]:
    preset: Config = PRESETS["cityscapes_r50"]()
    ids = torch.arange(4, dtype=torch.int32).repeat_interleave(400).view(40, 40) + 1
    answer = panoptic_map(ids, [Label(id=index + 1, class_index=index) for index in range(4)], CLASSES)
    counts = SplitCounts("train2017", Path("train.json"), 118_287, 2_123_456, 123_456, 10**9, 123_456_789, 10**8)
    return [
        training_table(preset, nn.Linear(1, 1), CLASSES, num_images=118_287, device="cuda", processes=8),
        segment_table(Path("an_image_of_a_very_long_name_that_stands_in_the_title_of_the_table_with_more_than_80.jpg"), answer),
        summary([counts]),
    ]


@pytest.mark.parametrize("tables", [evaluation_tables, doctor_tables, other_tables], ids=lambda make: make.__name__)
def test_80_columns_hold_every_word(tables) -> None:
    for table in tables():
        narrow, wide = (Console(file=StringIO(), width=width) for width in (80, 1000))
        narrow.print(table)
        wide.print(table)
        text = narrow.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, text.splitlines())) <= 80
        assert Counter("".join(text.split()).replace("─", "")) == Counter(
            "".join(wide.file.getvalue().split()).replace("─", "")  # type: ignore[attr-defined]
        )


@pytest.mark.parametrize("width", [70, 60, 50, 40, 30])
@pytest.mark.parametrize("tables", [evaluation_tables, doctor_tables, other_tables], ids=lambda make: make.__name__)
def test_no_terminal_is_so_narrow_that_a_number_is_cut(tables, width: int) -> None:
    for table in tables():
        console = Console(file=StringIO(), width=width)
        console.print(table)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        words = {word.rstrip(",") for word in text.split()}
        whole = [str(cell) for column in table.columns for cell in column.cells if column.justify == "right"]
        assert {number for cell in whole for number in cell.split()} <= words
        assert max(map(len, text.splitlines())) <= width
        assert all(str(name)[:8].split()[0] in text for name in table.columns[0].cells if str(name))


def test_where_the_numbers_do_not_fit_a_row_is_a_block() -> None:
    table = Table("of the set", "class", "", "PQ", "IoU\nhead", "matched", words=2)
    table.add_row("a car", "th", "100.0", "-", "123")
    table.caption = "one of many"
    console = Console(file=StringIO(), width=20)
    console.print(table)
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert shown == ["of the set", "a car", "  th, PQ 100.0,", "  IoU head -,", "  matched 123", "one of many"]


def test_a_training_that_is_all_warm_up_tells_no_course_behind_it() -> None:
    preset: Config = PRESETS["demo"]()
    for steps, told in (
        (20, "20, all within the warm-up of 50: the full rate is not reached"),
        (60, "60, of them 50 warm-up; rate "),
    ):
        config = replace(preset, train=replace(preset.train, steps=steps))
        assert told in str(training_table(config, nn.Linear(1, 1), CLASSES, num_images=8, device="cpu", processes=1))
