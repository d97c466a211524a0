"""Which techniques do not go together."""

from __future__ import annotations

from collections.abc import Mapping

from regexp.errors import ConfigError
from regexp.regularizer.base import Regularizer, overrides


def check_together(techniques: Mapping[str, Regularizer]) -> None:
    """Refuse what is no technique, and two that do not go together.

    Raises:
        ConfigError: naming them.
    """
    for name, technique in techniques.items():
        if not isinstance(technique, Regularizer):
            raise ConfigError(
                f"expected a regexp.regularizer.base.Regularizer, got {type(technique).__name__}",
                key=f"regularizer.{name}",
            )
    for name, technique in techniques.items():
        for other, brings in techniques.items():
            for word in technique.refuses:
                if other != name and word in brings.provides:
                    raise ConfigError(
                        f"does not go together with {other}, which brings {word}",
                        key=f"regularizer.{name}",
                        cure="leave one of the two out",
                    )
    several = [name for name, technique in techniques.items() if overrides(technique, "predict")]
    if len(several) > 1:
        raise ConfigError(
            f"{' and '.join(several)} both say what is predicted",
            key="regularizer",
            cure="leave one out",
        )
