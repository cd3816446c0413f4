"""`unipan runs`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from unipan.cli.options import print_json


def runs(folder: Positional[Path] = Path("runs"), *, as_json: Annotated[bool, arg(name="json")] = False) -> None:
    """List the runs below a folder: the settings in which they differ, how far they are, and their scores.

    Args:
        folder: Where to look.
        as_json: Print the list as JSON.
    """
    from unipan.console import results
    from unipan.recipes.runs import list_runs

    found = list_runs(folder)
    if as_json:
        print_json(found.to_json())
        return
    if found.rows:
        results.print(found.table())
    for sentence in found.sentences():
        results.print(sentence, soft_wrap=True)
