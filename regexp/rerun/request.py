"""What is asked of `regexp rerun` and `regexp diff`."""

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class Request:
    """What the arguments ask for.

    Attributes:
        words: ids of runs, or a file.
        sweep: id of a sweep; empty if none is asked for.
        allowed: targets that the user trusts.
        config: says where the store and the data are.
    """

    words: tuple[str, ...]
    sweep: str
    allowed: tuple[str, ...]
    config: DictConfig
