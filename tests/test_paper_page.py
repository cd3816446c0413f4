"""docs/paper.md points at what exists; and what of the paper no other test holds: the decoder, and a stray pixel's price."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from unipan.classes import ClassInfo, ClassTable
from unipan.metrics.confusion import Confusion, mean_iou
from unipan.metrics.pq import count, quality
from unipan.metrics.segment_matching import match_maps
from unipan.models.feature_decoder import AffinityHead, DeformBlock, SemanticHead
from unipan.ops.segments import Label, panoptic_map

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "paper.md"
REFERENCE = re.compile(r"`((?:src|tests|docs|benchmarks)/[^`\s:]+)(?:::([\w.]+))?`")


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes and values of a Python file; those of a class as CLASS.NAME."""

    def collect(body: list[ast.stmt], prefix: str) -> set[str]:
        found: set[str] = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                found |= collect(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            found |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
        return found

    return frozenset(collect(ast.parse(path.read_text()).body, ""))


def missing(text: str) -> list[str]:
    """What a page names and the repository does not have."""
    return [
        f"{file}::{name}" if name else file
        for file, name in REFERENCE.findall(text)
        if not (ROOT / file).is_file() or (name and name not in names_in(ROOT / file))
    ]


def test_everything_that_the_page_names_exists() -> None:
    assert len(REFERENCE.findall(PAGE.read_text())) > 100
    assert missing(PAGE.read_text()) == []


def test_the_check_sees_what_is_missing() -> None:
    there = "`tests/test_paper_page.py::missing` `src/unipan/types.py::Detections.take` `docs/paper.md`"
    gone = "`src/unipan/gone.py` `src/unipan/types.py::Gone` `src/unipan/types.py::Detections.gone` `src/unipan/gone.py::gone`"
    assert missing(there) == []
    assert [f"`{name}`" for name in missing(f"{there} {gone}")] == gone.split()


def test_every_promise_for_later_is_said_plainly() -> None:
    """A row without a test says why: not yet, not measured, or not checkable by one."""
    rows = [line for line in PAGE.read_text().splitlines() if line.endswith("| - |")]
    excuses = ("**not yet**", "unmeasured", "no property of the code")
    assert [row for row in rows if not any(excuse in row for excuse in excuses)] == []


def test_a_block_is_deformable_convolution_group_norm_relu() -> None:
    """Beside torchvision's operator and PyTorch's functions, in the order of Fig. A."""
    torch.manual_seed(0)
    block, x = DeformBlock(8, 64), torch.randn(1, 8, 9, 11)
    torch.nn.init.normal_(block.offsets.weight, std=0.1)
    torch.nn.init.normal_(block.norm.weight)
    torch.nn.init.normal_(block.norm.bias)
    convolved = deform_conv2d(x, block.offsets(x), block.weight, padding=(1, 1))
    expected = F.group_norm(convolved, 32, block.norm.weight, block.norm.bias).relu()
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_the_levels_share_their_blocks() -> None:
    """Two equal levels give equal features; a coarser one is enlarged and stands behind them; then comes the classifier."""
    torch.manual_seed(0)
    head = SemanticHead(in_channels=8, channels=(16, 16), num_classes=3, checkpointing=False)
    fine, coarse = torch.randn(1, 8, 8, 12), torch.randn(1, 8, 4, 6)
    levels = head.decoder([fine, fine, coarse, coarse])
    assert torch.equal(levels[0], levels[1])
    assert torch.equal(levels[2], head.decoder.blocks(coarse))
    upsampled = [F.interpolate(level, (8, 12), mode="bilinear", align_corners=False) for level in levels]
    logits = head([fine, fine, coarse, coarse])
    joined = F.conv2d(torch.cat(upsampled, 1), head.classifier.weight, head.classifier.bias)
    torch.testing.assert_close(logits, joined)


def test_the_affinity_head_has_a_decoder_of_its_own() -> None:
    settings = dict(in_channels=8, channels=(16, 16), checkpointing=False)
    semantic, affinity = SemanticHead(num_classes=3, **settings), AffinityHead(affinity_dim=5, position=False, **settings)  # type: ignore[arg-type]
    shapes = [{name: value.shape for name, value in head.decoder.state_dict().items()} for head in (semantic, affinity)]
    assert shapes[0] == shapes[1]
    pairs = zip(semantic.decoder.blocks, affinity.decoder.blocks, strict=True)
    assert not any(torch.equal(one.weight, other.weight) for one, other in pairs)  # type: ignore[arg-type]
    assert affinity([torch.zeros(1, 8, 4, 4)] * 4).shape == (1, 5, 4, 4)


def test_one_stray_pixel_is_a_whole_false_positive() -> None:
    """Section C: it costs PQ a segment, and the IoU of its class apart, mean IoU next to nothing."""
    classes = ClassTable(
        tuple(ClassInfo(name=n, is_thing=False, dataset_id=i, color=(0, 0, 0), supercategory=n) for i, n in enumerate("abc"))
    )
    labels = [Label(id=index + 1, class_index=index) for index in range(3)]
    true = torch.ones(2, 40, 40, dtype=torch.int32)
    true[1] = 3  # of two images the second is all "c"
    predicted = true.clone()
    predicted[0, 0, 0] = 3
    maps = [[panoptic_map(ids, labels, classes) for ids in side] for side in (predicted, true)]
    counts = [count(p, t, 3) for p, t in zip(*maps, strict=True)]
    assert quality(counts[0] + counts[1], classes).per_class[2].rq == pytest.approx(1 / 1.5)
    confusion = [Confusion.of(match_maps(p, t), 3) for p, t in zip(*maps, strict=True)]
    assert mean_iou(confusion[0] + confusion[1], classes).per_class[2] > 0.999
