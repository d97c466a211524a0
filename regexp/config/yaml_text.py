"""Plain containers as YAML, and back, by libyaml where PyYAML has it: a tenth of the time."""

from typing import Any

import yaml
from omegaconf._utils import OmegaConfDumper

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(DUMPER):
    """Quotes texts that OmegaConf would read as numbers, and writes out what its parts share."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(str, OmegaConfDumper.str_representer)


def as_yaml(content: object) -> str:
    """Plain containers as `OmegaConf.to_yaml` writes them; keys in their order, no aliases."""
    text: str = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text
