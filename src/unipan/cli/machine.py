"""`unipan env` and `unipan benchmark`: what this machine is, and how quick a run is on it."""

from typing import Annotated

from tyro.conf import Positional

from unipan.choices import PanopticHead
from unipan.cli.options import AsJson, DeviceName, Overriding, Root, Run, Unset, print_all, print_json
from unipan.overrides import NO_OVERRIDES


def env(*, as_json: AsJson = False) -> None:
    """Show versions, devices, threads, and which extras are missing. Send it along with a bug report."""
    from unipan.recipes.environment import environment

    found = environment()
    if as_json:
        print_json(found.to_json())
    else:
        print_all(found.table())


def benchmark(
    run: Positional[Run],
    *,
    samples: int = 20,
    size: Annotated[tuple[int, int] | None, Unset] = None,
    root: Root = None,
    head: PanopticHead | None = None,
    overrides: Overriding = NO_OVERRIDES,
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a run's speed on this machine, part by part, and its peak memory. Nothing is written.

    Args:
        samples: On so many of its held-out images, or of noise.
        size: Noise of this height and width instead, in which there is next to nothing to find: masks cost less than usual.
        root: The data set's folder, where it is not the one that the run was trained on.
        head: The way to the answer, where it is not the one trained for.
    """
    from unipan.recipes.benchmark import benchmark as recipe

    measured = recipe(run, samples=samples, size=size, root=root, head=head, overrides=overrides, device=device)
    if as_json:
        print_json(measured.to_json())
    else:
        print_all(measured.table(), *measured.sentences())
