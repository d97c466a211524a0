"""Hydra's access to the YAMLs, which reads a file once a command and parses it once a process."""

import pickle
from importlib import resources
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import (
    CachingConfigRepository,
    ConfigRepository,
    IConfigRepository,
)
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import GroupDefault
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig
from yaml import MarkedYAMLError, YAMLError

from regexp.errors import ConfigError, first_line

_PARSED: dict[tuple[str, str, str, bytes], bytes] = {}
"""(provider, folder, path in it, text) -> what Hydra makes of it, pickled: to unpickle it takes a
fifth of the time of a deep copy. By the text, for a file may change between two commands of one
process, and its time not tell."""


class RememberingRepository(ConfigRepository):
    """Hydra's access to the YAMLs and to its store, each of which is read once."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        super().initialize_sources(config_search_path)
        self._configs: dict[str, bytes] = {}
        self._found: dict[tuple[str, ObjectType | None], ConfigSource | None] = {}
        self._options: dict[tuple[str, ObjectType | None], list[str]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """As Hydra's; of its own, for composing changes what it composes."""
        if config_path not in self._configs:
            try:
                self._configs[config_path] = self._parsed(config_path)
            except (YAMLError, UnicodeDecodeError) as error:
                source = self._find_object_source(config_path, ObjectType.CONFIG)
                file = f"{source.path if source else ''}/{config_path.removesuffix('.yaml')}.yaml"
                raise ConfigError(f"it is no YAML ({_place(error)})", key=file) from error
        result: ConfigResult | None = pickle.loads(self._configs[config_path])
        return result

    def _parsed(self, config_path: str) -> bytes:
        """What Hydra makes of a file, or has in its store, pickled."""
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        text = None if source is None else _text(source, config_path)
        if source is None or text is None:
            return self._made(config_path)
        key = (source.provider, f"{source.scheme()}://{source.path}", config_path, text)
        if key not in _PARSED:
            _PARSED[key] = self._made(config_path)
        return _PARSED[key]

    def _made(self, config_path: str) -> bytes:
        return pickle.dumps(super().load_config(config_path), pickle.HIGHEST_PROTOCOL)

    def _find_object_source(
        self, config_path: str, object_type: ObjectType | None
    ) -> ConfigSource | None:
        key = (config_path, object_type)
        if key not in self._found:
            self._found[key] = super()._find_object_source(config_path, object_type)
        return self._found[key]

    def group_exists(self, config_path: str) -> bool:
        """Whether there is a folder of that name with YAMLs, or with folders, in it.

        Hydra takes any folder beside the YAMLs for a group, and `figures=false` for a choice of it.
        """
        return super().group_exists(config_path) and any(
            self.get_group_options(config_path, kind)
            for kind in (ObjectType.CONFIG, ObjectType.GROUP)
        )

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG
    ) -> list[str]:
        """As Hydra's, which lists a folder of a hundred files for every override of every job."""
        key = (group_name, results_filter)
        if key not in self._options:
            self._options[key] = super().get_group_options(group_name, results_filter)
        return list(self._options[key])

    def __getstate__(self) -> dict[str, Any]:
        # launchers send it to their workers, with every job
        return vars(self) | {"_configs": {}, "_found": {}, "_options": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> "RememberingRepository":
        return self  # Hydra copies its repository for every composition


def _text(source: ConfigSource, config_path: str) -> bytes | None:
    """The text of a configuration; None if it comes from no file."""
    folder: Any
    match source.scheme():  # not by class: Hydra imports those of its plugins a second time
        case "file":
            folder = Path(source.path)
        case "pkg":
            folder = resources.files(source.path)
        case _:
            return None
    text: bytes = folder.joinpath(source._normalize_file_name(config_path)).read_bytes()
    return text


class JobRepository(CachingConfigRepository):
    """The files of one composition, without what they say of Hydra itself.

    Attributes:
        of_hydra: the files that say something of it.
    """

    def __init__(self, delegate: IConfigRepository) -> None:
        super().__init__(delegate)
        self.of_hydra: set[str] = set()

    def load_config(self, config_path: str) -> ConfigResult | None:
        known = f"config_path={config_path}" in self.cache
        result = super().load_config(config_path)
        if result is None or known:
            return result
        if isinstance(result.config, DictConfig) and "hydra" in result.config:
            result.config.pop("hydra")
            self.of_hydra.add(config_path)
        result.defaults_list = [
            default
            for default in result.defaults_list or []
            if not (isinstance(default, GroupDefault) and is_of_hydra(default.group))
        ]
        return result


def is_of_hydra(path: str | None, separator: str = "/") -> bool:
    """Whether the path of a group, or of a package, lies in Hydra's own."""
    return (path or "").lstrip(separator).split(separator)[0] == "hydra"


def _place(error: YAMLError | UnicodeDecodeError) -> str:
    """What is wrong with a file, and where."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return first_line(error)
    return f"line {error.problem_mark.line + 1}: {error.problem}"
