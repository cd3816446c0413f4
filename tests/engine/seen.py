"""A hook that keeps what it sees."""

from unipan.engine.fit import Hook, Step


class Seen(Hook):
    """Every step, in the order in which they came."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def after_step(self, step: Step) -> None:
        self.steps.append(step)
