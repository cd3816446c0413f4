"""`unipan score` over parts of the truth's images, on several machines."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unipan.errors import about
from unipan.files import check_writable, file_facts
from unipan.metrics.counts_json import counts_from_json, counts_to_json
from unipan.metrics.report import Report
from unipan.metrics.score import Score
from unipan.recipes.parts import PartOf, read_parts, write_part
from unipan.recipes.score import Sides


def score_part(sides: Sides, part: PartOf, out: Path) -> int:
    """Count every N-th image of the truth into a file. Returns how many these are."""
    check_writable(out)
    pairs = sides.pairs()
    own = [pairs[position] for position in part.positions(len(pairs))]
    total = sides.score(own)
    content = {"counts": counts_to_json(total)}
    write_part(out, "score", part, num_images=len(pairs), made_of=_made_of(sides), content=content)
    return len(own)


def merge_scores(sides: Sides, files: Sequence[Path]) -> Report:
    """The report of all images, just as of `score`, from the files of all parts."""
    total = Score.zero(len(sides.truth.classes))
    for part in read_parts(files, "score", _made_of(sides)):
        with about(part.path):
            total += counts_from_json(part.content.get("counts"), Score.zero(len(sides.truth.classes)))
    return sides.report(total)


def _made_of(sides: Sides) -> dict[str, Any]:
    return {
        "truth": file_facts(sides.truth.path),
        "predictions": file_facts(sides.predictions.path),
        "merge": sides.merge,
        "unipan": version("unipan"),
    }
