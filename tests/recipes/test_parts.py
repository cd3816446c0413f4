"""Scoring in parts, and counts as JSON: what several machines count apart is, put together, what one finds, to the byte."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panoptic_strips import edit, write_predictions, write_truth

from unipan.cli import main
from unipan.errors import InputError
from unipan.metrics.counts_json import counts_from_json, counts_to_json
from unipan.metrics.score import Score
from unipan.recipes.evaluate_parts import Asked, evaluate_part
from unipan.recipes.evaluation.image_scores import Counts
from unipan.recipes.parts import PartOf, asked_part
from unipan.recipes.score import Sides, read_sides
from unipan.recipes.score_parts import merge_scores, score_part

# --- score ---


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return write_truth(tmp_path), write_predictions(tmp_path)


def scored_parts(sides: tuple[Path, Path], count: int, folder: Path) -> list[Path]:
    files = [folder / f"{index}-of-{count}.json" for index in range(1, count + 1)]
    for index, file in enumerate(files, 1):
        score_part(read_sides(*sides), PartOf(index, count), file)
    return files


@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_of_a_score_make_the_whole(
    sides: tuple[Path, Path], tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """As printed, in any order. Three parts of two images: one is empty."""
    verb, files = ["score", *map(str, sides)], [str(tmp_path / f"part {index}.json") for index in range(count)]
    for index, file in enumerate(files, 1):
        main([*verb, "--part", f"{index}/{count}", "--out", file])
        assert f"part {index}/{count}, {[[2], [1, 1], [1, 1, 0]][count - 1][index - 1]} image" in capsys.readouterr().out
    for form in ([], ["--json"]):
        main([*verb, *form])
        whole = capsys.readouterr().out
        assert "truth.json" in whole
        for order in permutations(files):
            main([*verb, *form, "--merge-parts", *order])
            assert capsys.readouterr().out == whole


def test_parts_that_make_no_whole_are_refused(sides: tuple[Path, Path], tmp_path: Path) -> None:
    first, second, third = scored_parts(sides, 3, tmp_path)
    half, _ = scored_parts(sides, 2, tmp_path)
    merged, spoilt, newer, gone = (tmp_path / f"{name}.json" for name in ("merged", "spoilt", "newer", "gone"))
    score_part(read_sides(*sides, merge="supercategory"), PartOf(1, 1), merged)
    spoilt.write_text(first.read_text().replace('"matched": [', '"matched": [0.5, ', 1))
    newer.write_text(first.read_text().replace('"form": 1', '"form": 2'))
    cases = {
        r"of 3 parts 1 is missing: 2/3": [first, third],
        r"1-of-3.json and .*1-of-3.json are both part 1/3": [first, first, second, third],
        r"1-of-3.json is part 1/3 of 2 images, but .* is part 1/2 of 2 images": [first, half],
        r"was made with another merge than this command: supercategory, not none": [merged],
        r"spoilt.json: counts.segments.matched are not whole numbers of the shape \(4,\)": [spoilt, second, third],
        r"newer.json is of another version": [newer, second, third],
        r"truth.json is no part; give files that `unipan score --part": [sides[0]],
        r"cannot read .*gone.json": [gone],
        "no part came to merge": [],
    }
    for message, files in cases.items():
        with pytest.raises(InputError, match=message):
            merge_scores(read_sides(*sides), files)
    edit(sides[1], lambda content: content["annotations"][0].update(note="written again"))
    with pytest.raises(InputError, match=r"1-of-3.json was made with another predictions than this command: {'name'"):
        merge_scores(read_sides(*sides), [first, second, third])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": float("inf")}, "is no part; give files"),
        ({"of": 10**30}, "is no part; give files"),
        ({"part": 1.5}, "is no part; give files"),
        ({"images": -1}, "is no part; give files"),
        ({"made_of": 3}, "is no part; give files"),
        ({"of": 10**12}, "of 1000000000000 parts 999999999999 are missing: 2/1000000000000, 3/.* and 999999999994 more"),
    ],
)
def test_a_file_with_impossible_numbers_is_no_part(
    sides: tuple[Path, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    [file] = scored_parts(sides, 1, tmp_path)
    edit(file, lambda content: content.update(change))
    with pytest.raises(InputError, match=message):
        merge_scores(read_sides(*sides), [file])


@pytest.mark.parametrize(("out", "message"), [("gone/p.json", "there is no folder .*gone"), (".", "it is a folder")])
def test_a_file_that_cannot_be_written_is_told_before_the_first_image(
    sides: tuple[Path, Path], tmp_path: Path, out: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sides, "pairs", lambda _: pytest.fail("the work has begun"))
    monkeypatch.setattr(Asked, "config", lambda _: pytest.fail("the work has begun"))
    for begun in (
        lambda: score_part(read_sides(*sides), PartOf(1, 1), tmp_path / out),
        lambda: evaluate_part(Asked(run="run"), PartOf(1, 1), tmp_path / out),
    ):
        with pytest.raises(InputError, match=f"cannot write .*: {message}"):
            begun()


def test_options_that_do_not_go_together_are_refused() -> None:
    file = Path("part.json")
    assert asked_part("2/3", file, []) == PartOf(2, 3)
    assert asked_part("", None, [file]) is None
    for part in ("0/3", "4/3", "2", "1/x", "-1/3", "1/3/4"):
        with pytest.raises(InputError, match=f"--part is {part}; give I/N"):
            asked_part(part, file, [])
    for part, out, files, message in (
        ("1/2", file, [file], "--part 1/2 and --merge-parts came"),
        ("1/2", None, [], "--part 1/2 came without --out"),
        ("", file, [], "--out part.json came without --part"),
    ):
        with pytest.raises(InputError, match=message):
            asked_part(part, out, files)


# --- the state as JSON ---

WHOLE = st.integers(0, 2**63 - 1)


def filled(zero: Any, draw: Any) -> Any:
    """Counts of the same form with numbers drawn anew."""
    if isinstance(zero, np.ndarray):
        return np.array(draw(st.lists(WHOLE, min_size=zero.size, max_size=zero.size)), dtype=np.int64).reshape(zero.shape)
    return type(zero)(*(filled(value, draw) for value in vars(zero).values())) if hasattr(zero, "__dict__") else draw(WHOLE)


@settings(max_examples=20)
@given(st.data())
def test_counts_pass_through_json(data: st.DataObject) -> None:
    zero = Counts.zero(1)
    counts = filled(zero, data.draw)
    text = json.dumps(counts_to_json(counts), allow_nan=False)
    again = counts_from_json(json.loads(text), zero)
    assert json.dumps(counts_to_json(again)) == text
    np.testing.assert_array_equal(again.answer.errors.repaired.matched, counts.answer.errors.repaired.matched)


def test_counts_of_other_classes_are_refused() -> None:
    content = counts_to_json(Score.zero(3))
    with pytest.raises(InputError, match=r"counts.segments.iou_units are not whole numbers of the shape \(2,\)"):
        counts_from_json(content, Score.zero(2))
    for value in (True, 1.0, "1", None, 2**63, [1]):
        with pytest.raises(InputError, match=r"counts\.num_images are not whole numbers"):
            counts_from_json(content | {"num_images": value}, Score.zero(3))
    with pytest.raises(InputError, match=r"counts are not of the fields num_images"):
        counts_from_json({"num_images": 1}, Score.zero(3))
