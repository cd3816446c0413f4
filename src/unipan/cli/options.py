"""Options that several verbs share, and how they print."""

import json
from typing import Annotated, Any

from tyro.conf import arg

from unipan.config import Config

Settings = Annotated[Config, arg(name="")]
"""Settings bear their own names: --train.steps, not --config.train.steps."""
Run = Annotated[str, arg(metavar="RUN", help="Folder of a run, or hf:OWNER/NAME on the Hugging Face Hub.")]


def print_json(value: Any) -> None:
    """Print what a program reads."""
    print(json.dumps(value, indent=2))


def print_evaluation(evaluation: Any, *, as_json: bool) -> None:
    """Print it once, however many processes measured it together."""
    from unipan.console import results
    from unipan.engine.processes import this_process

    if not this_process().is_main:
        return
    if as_json:
        print_json(evaluation.to_json())
        return
    results.print(evaluation.answer.class_table())
    results.print(evaluation.answer.table())
    for table in evaluation.further_tables():
        results.print(table)
    for sentence in evaluation.sentences():
        results.print(sentence, soft_wrap=True)
