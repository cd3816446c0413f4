"""References: the cases trained in one process and one pass."""

from collections.abc import Callable

import pytest
from process_cases import Case, Trained, train_case


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Trained]:
    """Train a case in one process and one pass, once in a session."""
    done: dict[Case, Trained] = {}
    folder = tmp_path_factory.mktemp("alone")

    def train(case: Case) -> Trained:
        if case not in done:
            done[case] = train_case(case, folder)
        return done[case]

    return train
