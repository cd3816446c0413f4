"""`unipan export`: what takes a trained network elsewhere."""

from pathlib import Path

from tyro.conf import Positional

from unipan.cli.options import AsJson, Overriding, Run, print_all, print_json
from unipan.overrides import NO_OVERRIDES


def export(
    run: Positional[Run],
    *,
    onnx: Path,
    int8: bool = False,
    overrides: Overriding = NO_OVERRIDES,
    as_json: AsJson = False,
) -> None:
    """Write a run as an ONNX file for images of any size, and check it against the run. Needs the extra `export`.

    What is exported is the unified head's answer. UPSNet's head and the heuristic merger have no graph, as they take one instance
    after another, however many there are; softmax propagation has none either.
    The exit status is 0 only where 99.99 % of the ids, over images of several sizes, are the run's.

    Args:
        run: The run.
        onnx: File to write.
        int8: Also write FILE_int8.onnx, with 8-bit layers, and say what that costs in PQ on held-out images.
    """
    from unipan.recipes.export import export as recipe

    found = recipe(run, onnx, overrides=overrides, int8=int8)
    if as_json:
        print_json(found.to_json())
    else:
        print_all(found.table(), *found.sentences())
    found.check_agreement()
