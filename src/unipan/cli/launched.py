"""A command that a launcher started in several processes: which one speaks, and that they part.

Read from the environment, so that `--help` needs no torch.
"""

import os


def name() -> str:
    """How a message begins: "unipan", or with the process's rank among several, as the launcher counts."""
    return f"unipan (rank {_rank()} of {_count()})" if _count() > 1 else "unipan"


def is_main() -> bool:
    """Whether this process says what all have to say."""
    return _rank() == 0


def part() -> None:
    """Close the connections to the other processes, at the end of a command that went well."""
    if _count() > 1:
        from unipan.engine import processes

        processes.shutdown()


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
