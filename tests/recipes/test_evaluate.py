"""What an evaluation holds: each measure is of what its name says."""

import json
import os
import shutil
from dataclasses import replace
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Any, cast
from weakref import WeakSet

import pytest
import torch
import torch.nn.functional as F
from class_maps import class_map, confuse

from unipan.config import Config
from unipan.console import results
from unipan.data.dataset import PanopticDataset
from unipan.errors import InputError
from unipan.metrics import average_precision
from unipan.metrics.affinity import AffinityCounts
from unipan.metrics.confusion import mean_iou
from unipan.metrics.pq import count, quality
from unipan.models.decode import at_size, best_channel
from unipan.overrides import Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.evaluate import evaluate, evaluate_predictor, marked
from unipan.recipes.evaluation import image_scores
from unipan.recipes.evaluation.affinity import affinity_of, things_of_cells
from unipan.recipes.evaluation.result import Evaluation
from unipan.types import Size


@pytest.fixture(scope="module")
def evaluation(predictor: Predictor, scenes: PanopticDataset) -> Evaluation:
    return evaluate_predictor(predictor, scenes, "here")


def test_the_two_ious_are_of_the_answer_and_of_the_semantic_head(
    evaluation: Evaluation, predictor: Predictor, scenes: PanopticDataset
) -> None:
    answers, heads, truths = [], [], []
    for index in range(len(scenes)):
        sample = scenes[index]
        outputs = predictor.infer(sample.image).outputs
        answers.append(class_map(predictor(sample.image)))
        heads.append(best_channel(outputs.semantic[0], (64, 64), (64, 64)))
        truths.append(class_map(sample.truth))
    truth, num_classes = torch.cat(truths), len(predictor.classes)
    answer = mean_iou(confuse(torch.cat(answers), truth, num_classes), predictor.classes)
    head = mean_iou(confuse(torch.cat(heads), truth, num_classes), predictor.classes)
    assert evaluation.answer.final_answer_iou == pytest.approx(answer, nan_ok=True)
    assert evaluation.answer.semantic_head_iou == pytest.approx(head, nan_ok=True)
    assert answer.stuff != head.stuff


def test_json_has_the_promised_names(evaluation: Evaluation, predictor: Predictor) -> None:
    found = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    num_classes, groups = len(predictor.classes), {"all", "things", "stuff"}
    for name in ("final_answer_iou", "semantic_head_iou"):
        assert found["answer"][name].keys() == groups | {"per_class"}
        assert len(found["answer"][name]["per_class"]) == num_classes
    for size in ("small", "medium", "large"):
        assert found["answer"]["by_size"][size].keys() == groups | {"per_class"}
    for side in ("semantic_head", "final_answer"):
        shares = found["thing_stuff_confusion"][side]
        assert sum(shares[f"stuff_as_{kind}"] for kind in ("things", "stuff", "void")) == pytest.approx(1)
        assert list(found["class_confusion"][side]) == [info.name for info in predictor.classes.classes]
    pixels = sum(sum(row.values()) for row in found["class_confusion"]["final_answer"].values())
    assert pixels == sum(sum(row.values()) for row in found["class_confusion"]["semantic_head"].values()) > 0


def test_the_affinity_is_judged_with_the_truth_s_things(
    evaluation: Evaluation, predictor: Predictor, scenes: PanopticDataset
) -> None:
    """Cell by cell, at the middle pixel of each: scenes of 64 x 64 have 16 x 16 cells."""
    judged, right = 0, 0
    for index in range(len(scenes)):
        sample = scenes[index]
        q = predictor.infer(sample.image).outputs.affinity[0].flatten(1).T
        owner = sample.truth.ids[2::4, 2::4].flatten()
        things = {s.id: s.class_index for s in sample.truth.segments if s.is_thing and bool((owner == s.id).any())}
        means = {id_: q[owner == id_].mean(0) for id_ in things}
        for cell in range(len(q)):
            rivals = [i for i in things if things.get(int(owner[cell])) == things[i]]
            if len(rivals) > 1:
                judged += 1
                right += max(rivals, key=lambda i: float(q[cell] @ means[i])) == int(owner[cell])
    assert judged > 20
    assert evaluation.to_json()["affinity"]["told_apart"] == pytest.approx(right / judged, abs=1 / judged)  # but for ties


@pytest.mark.parametrize("size", [(64, 64), (90, 70)], ids=["as the network sees it", "larger"])
def test_pixels_told_apart_are_those_of_all_products(predictor: Predictor, scenes: PanopticDataset, size: Size) -> None:
    """Against every product of every cell, brought to pixels in full, at the scene's size and where it is shown larger."""
    judged, right = 0, 0
    found = AffinityCounts()
    for index in range(len(scenes)):
        sample = scenes[index]
        inference, truth = predictor.infer(sample.image), sample.truth
        if size != (64, 64):
            ids = F.interpolate(truth.ids[None, None].double(), size, mode="nearest")[0, 0].int()
            truth = replace(truth, ids=ids, segments=tuple(s for s in truth.segments if bool((ids == s.id).any())))
        found += affinity_of(inference, truth)
        q, network_size = inference.outputs.affinity[0], inference.network_size
        things, _ = things_of_cells(truth, (16, 16), network_size)
        segments = [s for s in truth.segments if s.is_thing]
        of_cell = {n: q.flatten(1)[:, things == n].mean(1) for n in things.unique().tolist() if n >= 0}
        products = torch.stack([torch.einsum("d,dhw->hw", mean, q) for mean in of_cell.values()])
        at_pixels = dict(zip(of_cell, at_size(products, network_size, size, inference.outputs.upsampling[0]), strict=True))
        for n in of_cell:
            rivals = [m for m in of_cell if segments[m].class_index == segments[n].class_index]
            if len(rivals) > 1:
                best = torch.stack([at_pixels[m] for m in rivals]).argmax(0)
                own = truth.ids == segments[n].id
                judged += int(own.sum())
                right += int((best[own] == rivals.index(n)).sum())
    assert found.rival_pixels == judged > 500
    assert found.distinguished_pixels == pytest.approx(right, abs=3)  # but for ties


def test_the_sentences_count_things(evaluation: Evaluation) -> None:
    things = [entry for entry in evaluation.answer.quality.per_class if entry.is_thing]
    counted = [sum(getattr(entry, name) for entry in things) for name in ("matched", "extra", "missed")]
    assert "Things: {} matched, {} false, {} missed.".format(*counted) in evaluation.sentences()


def test_sizes_hold_every_segment(evaluation: Evaluation) -> None:
    sizes = evaluation.answer.by_size
    assert sizes is not None
    for field in ("matched", "extra", "missed"):
        parts = [sum(getattr(entry, field) for entry in size.per_class) for size in (sizes.small, sizes.medium, sizes.large)]
        assert sum(parts) == sum(getattr(entry, field) for entry in evaluation.answer.quality.per_class)


def test_limits_say_what_they_keep_from_the_answer(learnt_run: Path, scenes: PanopticDataset) -> None:
    tight = Overrides(max_detections=1, min_stuff_area_px=64 * 64, threshold=0.0)
    limits = evaluate_predictor(load(learnt_run, overrides=tight), scenes, "tight").limits
    segments = [scenes[index].truth.segments for index in range(len(scenes))]
    things = [sum(segment.is_thing for segment in image) for image in segments]
    stuff = sum(len(image) for image in segments) - sum(things)
    assert max(things) > 1
    found = limits.to_json()
    assert (found["max_detections"], found["true_things"], found["true_stuff"]) == (1, sum(things), stuff)
    assert found["true_things_beyond"] == sum(number - 1 for number in things if number)
    assert found["true_stuff_removed"] == stuff
    messages = limits.sentences()
    assert any(f"min_stuff_area_px 4096 removes {stuff} of {stuff} true stuff segments; set --min-stuff" in s for s in messages)
    assert any(f"of {sum(things)} true things lie beyond max_detections 1" in sentence for sentence in messages)
    assert f"{len(scenes)} of {len(scenes)} images came up to --max-detections: a larger one may find more." in messages


def test_limits_that_cost_nothing_say_nothing(learnt_run: Path, scenes: PanopticDataset) -> None:
    wide = Overrides(max_detections=500, max_admitted=500, min_stuff_area_px=0)
    limits = evaluate_predictor(load(learnt_run, overrides=wide), scenes, "wide").limits
    assert limits.sentences() == []
    assert limits.to_json()["images_at"] == {}


@pytest.mark.skipif(find_spec("faster_coco_eval") is None, reason="needs the extra coco")
def test_ap_is_of_all_detections_and_without_masks_of_boxes_alone(evaluation: Evaluation, predictor: Predictor) -> None:
    assert evaluation.mask_free
    assert evaluation.precision is not None
    assert evaluation.precision.mask is None
    assert 0 <= evaluation.precision.box.ap <= 1
    assert all(isnan(evaluation.precision.box.per_class[index]) for index in predictor.classes.stuff)


def test_without_the_extra_ap_is_left_out_and_that_is_said(
    predictor: Predictor, scenes: PanopticDataset, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(average_precision, "find_spec", lambda name: None)
    without = evaluate_predictor(predictor, scenes, "here")
    assert without.to_json() == evaluation.to_json() | {"average_precision": None}
    assert any("pip install 'unipan[coco]'" in sentence for sentence in without.sentences())
    assert not any("unipan[coco]" in sentence for sentence in evaluation.sentences())


@pytest.mark.parametrize("images_at_once", [1, 3])
def test_how_many_images_are_judged_at_once_changes_nothing(
    predictor: Predictor, scenes: PanopticDataset, evaluation: Evaluation, images_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(scenes) % 3, "the last batch is a smaller one"
    monkeypatch.setattr(image_scores, "BATCH_PX", images_at_once * scenes[0].truth.ids.numel())
    again = evaluate_predictor(predictor, scenes, "here")
    assert again.to_json() == evaluation.to_json()
    assert again.answer.num_images == len(scenes)


def test_nothing_of_a_judged_image_stays_while_the_next_is_predicted() -> None:
    class Image:
        pixels = image_scores.BATCH_PX // 2

    alive: WeakSet[Image] = WeakSet()

    def predicted(position: int) -> Image:
        assert len(alive) == position % 2
        image = Image()
        alive.add(image)
        return image

    counts = [len(batch) for batch in image_scores.judged_batches(cast(Any, map(predicted, range(5))))]
    assert counts == [2, 2, 1]


def test_images_stand_in_the_order_of_their_own_quality(
    evaluation: Evaluation, predictor: Predictor, scenes: PanopticDataset
) -> None:
    by_pq = evaluation.by_pq()
    assert sorted(image.position for image in by_pq) == list(range(len(scenes)))
    for image in by_pq:
        sample = scenes[image.position]
        own = quality(count(predictor(sample.image), sample.truth, len(predictor.classes)), predictor.classes)
        assert (image.name, image.pq) == (sample.file_name, pytest.approx(own.all.pq))
    assert [image.pq for image in by_pq] == sorted(image.pq for image in by_pq)
    named = evaluation.to_json()["images"]
    assert named["worst"] == named["best"][::-1] == [{"name": image.name, "pq": image.pq} for image in by_pq]


def test_tables_fit_eighty_columns(evaluation: Evaluation) -> None:
    answer = evaluation.answer
    tables = [answer.table(), answer.class_table(), *answer.error_tables(), *evaluation.further_tables()]
    for table in tables:
        assert results.measure(table).maximum <= 80, table.title


def test_a_file_of_figures_names_what_was_unlike_the_run(tiny_config: Config) -> None:
    overrides = Overrides(threshold=0.25, precision="bf16")
    assert marked(Path("metrics.json"), tiny_config, "upsnet", "v.json", overrides).name == (
        "metrics_v_upsnet_threshold-0.25_precision-bf16.json"
    )


def test_a_folder_that_takes_no_file_is_told_before_the_work(
    learnt_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(learnt_run, run)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != run)
    monkeypatch.setattr(image_scores, "predict_image", lambda *_: pytest.fail("the work has begun"))
    with pytest.raises(InputError, match=r"cannot write .*metrics\.json: no file can be written in .*run\. Check the rights"):
        evaluate(str(run), device="cpu")
