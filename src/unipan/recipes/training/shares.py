"""Whether a step can be shared by the processes and passes that were asked for."""

from unipan.config import Config
from unipan.errors import InputError


def check_shares(config: Config, processes: int) -> None:
    """Refuse a batch that does not make equal shares, and Lovasz groups that would straddle two of them."""
    schedule = config.train
    shares = processes * schedule.accumulate
    where = f"{processes} processes x train.accumulate {schedule.accumulate}"
    size, rest = divmod(schedule.batch_size, shares)
    if rest:
        raise InputError(
            f"train.batch_size {schedule.batch_size} cannot be shared by {where}; it must be a multiple of {shares}."
        )
    group = config.loss.group
    if shares > 1 and config.loss.semantic_lovasz > 0 and size % group:
        raise InputError(
            f"train.batch_size {schedule.batch_size} over {where} gives shares of {size} images, but one Lovasz-softmax takes "
            f"loss.group {group}, which would straddle them; choose a batch that is a multiple of {shares * group}, or fewer "
            "shares, or a smaller --loss.group."
        )
