"""Evaluation in parts: what several machines count apart is, put together, what one finds, to the byte."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panoptic_strips import edit

from unipan.cli import main
from unipan.data.statistics import ImageStatistics
from unipan.errors import InputError
from unipan.metrics.average_precision import ImageInstances, Instances
from unipan.overrides import Overrides
from unipan.recipes.evaluate import evaluate
from unipan.recipes.evaluate_parts import Asked, evaluate_part, merge_evaluations
from unipan.recipes.evaluation.image_scores import ImageRecord
from unipan.recipes.evaluation.record_json import record_from_json, record_to_json
from unipan.recipes.parts import PartOf


@pytest.fixture
def run(learnt_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learnt_run, tmp_path / "run"))


def evaluated_parts(asked: Asked, count: int, folder: Path) -> list[Path]:
    files = [folder / f"{index}-of-{count}.json" for index in range(1, count + 1)]
    for index, file in enumerate(files, 1):
        evaluate_part(asked, PartOf(index, count), file)
    return files


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_of_an_evaluation_make_the_whole(run: Path, tmp_path: Path, count: int) -> None:
    """AP, limits and the worst images included. Five parts of four images: one is empty."""
    evaluate(str(run))
    whole = (run / "metrics.json").read_bytes()
    (run / "metrics.json").unlink()
    files = evaluated_parts(Asked(run=str(run)), count, tmp_path)
    for order in (files, files[::-1]):
        merge_evaluations(Asked(run=str(run)), order)
        assert (run / "metrics.json").read_bytes() == whole
        (run / "metrics.json").unlink()


def test_an_evaluation_unlike_the_run_s_own_comes_in_parts_too(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb = ["evaluate", str(run), "--head", "heuristic", "--threshold", "0.2", "--json"]
    main(verb)
    printed, [written] = capsys.readouterr().out, [*run.glob("metrics_*.json")]
    whole = written.read_bytes()
    written.unlink()
    for index in (1, 2):
        main([*verb, "--part", f"{index}/2", "--out", str(tmp_path / f"{index}.json")])
    capsys.readouterr()
    main([*verb, "--merge-parts", str(tmp_path / "2.json"), str(tmp_path / "1.json")])
    assert capsys.readouterr().out == printed
    assert written.read_bytes() == whole


def test_parts_of_another_evaluation_are_refused(run: Path, tmp_path: Path) -> None:
    asked, other = Asked(run=str(run)), Asked(run=str(run), overrides=Overrides(threshold=0.2))
    first, second = evaluated_parts(asked, 2, tmp_path)
    with pytest.raises(InputError, match=r"made with another overrides than this command: .*'threshold': None"):
        merge_evaluations(other, [first, second])
    edit(second, lambda content: content["records"].pop())
    for records in (1, 0):
        with pytest.raises(InputError, match=rf"2-of-2.json: it has {records} records of its 2 images"):
            merge_evaluations(asked, [first, second])
        edit(second, lambda content: content.update(records=5))
    edit(second, lambda content: content["made_of"].update(truth={"name": "other.json"}))
    with pytest.raises(InputError, match=r"made with another truth than .*1-of-2.json: {'name': 'other.json'}, not {'diff"):
        merge_evaluations(asked, [first, second])
    edit(second, lambda content: content["made_of"].update(weights="0"))
    with pytest.raises(InputError, match="made with another weights than this command"):
        merge_evaluations(asked, [first, second])


# --- what is kept of an image, as JSON ---

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def some_instances(draw: st.DrawFn) -> Instances:
    n = draw(st.integers(0, 3))
    lists = [draw(st.lists(kind, min_size=n, max_size=n)) for kind in (st.integers(0, 9), st.booleans(), NUMBERS)]
    boxes = draw(st.lists(NUMBERS, min_size=4 * n, max_size=4 * n))
    text = st.binary(max_size=4).map(lambda raw: bytes(48 + byte % 64 for byte in raw))
    masks = draw(st.none() | st.lists(text, min_size=n, max_size=n))
    classes, crowds, scores = lists
    return Instances(
        np.array(classes, np.int64), np.array(boxes).reshape(-1, 4), np.array(crowds, bool), np.array(scores, np.float64), masks
    )


@st.composite
def some_records(draw: st.DrawFn) -> ImageRecord:
    size, numbers = (draw(st.integers(1, 99)), draw(st.integers(1, 99))), st.lists(NUMBERS, max_size=3).map(tuple)
    sides = draw(st.none() | st.builds(ImageInstances, st.just(size), some_instances(), some_instances()))
    truth = ImageStatistics(size, draw(numbers), tuple(draw(st.lists(st.integers(0, 9), max_size=3))), draw(numbers))
    return ImageRecord(
        draw(st.text()), draw(NUMBERS | st.just(float("nan"))), sides, truth, draw(st.lists(st.text(), max_size=2))
    )


@given(some_records())
def test_records_pass_through_json(record: ImageRecord) -> None:
    again = record_from_json(json.loads(json.dumps(record_to_json(record), allow_nan=False)))
    assert repr(again) == repr(record)  # as text: types, every digit, and nan equal to nan
