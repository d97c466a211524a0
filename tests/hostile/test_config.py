"""Configurations of any values end in one message that names what is wrong, or are good."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.config.strays import without_strays
from regexp.config.validation import validate
from regexp.config.values import flat
from regexp.errors import ConfigError
from tests.hostile.support import refused, searching
from tests.hostile.values import values

ROOT = Path(__file__).parents[2]
OWN = ("model", "dataset", "optimizer", "scheduler", "regularizer")
CHOICES = {
    group: sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
    for group in (*OWN, "experiment")
}


@cache
def composed() -> DictConfig:
    """The configuration of a job."""
    return compose(parse([])[0]).config


@cache
def chosen(group: str, choice: str) -> Any:
    """What a YAML puts in its group."""
    node = OmegaConf.load(ROOT / "conf" / group / f"{choice}.yaml")
    if group == "dataset":
        return OmegaConf.merge(OmegaConf.load(ROOT / "conf" / "config.yaml").dataset, node)
    return {choice: node} if group == "regularizer" and choice != "none" else node


@st.composite
def configurations(draw: st.DrawFn) -> DictConfig:
    """A job's configuration, in which values were replaced, put in or taken out."""
    config = composed().copy()
    group = draw(st.sampled_from((*OWN, "regularizer", "")))
    if group:
        config[group] = chosen(group, draw(st.sampled_from(CHOICES[group])))
    leaves = [key for key, _ in flat(config) if not group or key.startswith(f"{group}.")]
    leaves = leaves or ["seeds"]
    above = {key.rpartition(".")[0] for key in leaves} - {""}
    places = sorted({*leaves, *above, *map(str, config)})
    with read_write(config), open_dict(config):
        for _ in range(draw(st.sampled_from((1, 1, 2)))):
            place = draw(
                st.sampled_from(leaves) | st.sampled_from(leaves) | st.sampled_from(places)
            )
            if draw(st.integers(0, 9)) == 0:
                place += draw(st.sampled_from((".x", "._args_", "._partial_", ".search")))
            parent, _, last = place.rpartition(".")
            try:
                node = OmegaConf.select(config, parent) if parent else config
                if isinstance(node, DictConfig) and draw(st.integers(0, 9)) == 0:
                    node.pop(last, None)
                else:
                    OmegaConf.update(config, place, draw(values), merge=False, force_add=True)
            except (OmegaConfBaseException, ValueError):  # Hydra refuses it before we see it
                pass
    return config


@searching()
@given(config=configurations())
def test_a_configuration_is_good_or_refused(nowhere: Path, config: DictConfig) -> None:
    with refused(nowhere, ConfigError), suppress(OmegaConfBaseException):  # `compose` explains it
        validate(without_strays(config))


KEYS = (
    "seeds", "stack", "trainer.epochs", "trainer.batch_size", "model.hidden", "model", "dataset",
    "optimizer", "optimizer.lr", "scheduler", "regularizer", "regularizer.l1.strength", "grid",
    "grid.optimizer.lr", "grid.regularizer.l1.strength", "experiment", "checkpoint.every",
    "nothing", "tracking.uri", "paths.mlruns", "paths.data", "debug", "dry_run", "lengths.steps",
    "hydra.job.x", "hydra.sweeper.params", "model._target_", "dataset.columns", "optimizer.betas",
    "a.b.c", "", "é", "hydra/launcher", "hydra/job_logging", "regularizer@x", "model@a.b:c.d",
    "package@", "/model",
)  # fmt: skip
PIECES = (
    "[", "]", "{", "}", "(", ")", ",", ":", "=", "+", "~", "\\", "'", '"', "$", "${", " ", "\t",
    "*", "l1", "dropout", "none", "digits", "1", "1e-3", "null", "true", "range(1,3)",
    "range(0,1,0)", "range(1,1000000000)", "choice(1,2)", "interval(0,1)", "glob(*)", "sort(3,1)",
    "shuffle(1,2)", "tag(a,choice(1))", "int(x)", "float(1)", "str(", "json_str({})",
    "extend_list(1)", "oc.env:HOME", "_target_", "9" * 5000, "[" * 400, "\ud800", "../x", "@", "?",
    "%", "\n", "a", "l1,l2",
)  # fmt: skip


@st.composite
def arguments(draw: st.DrawFn) -> list[str]:
    """A command line of overrides, hardly any of them right."""
    made = ["-m"] * draw(st.integers(0, 1))
    for _ in range(draw(st.integers(1, 3))):
        sign = draw(st.sampled_from(("", "", "", "+", "++", "~")))
        value = "".join(draw(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=4)))
        made.append(f"{sign}{draw(st.sampled_from(KEYS))}={value}")
    return made


@searching(0.2)
@given(arguments=arguments())
def test_a_command_is_composed_or_refused(nowhere: Path, arguments: list[str]) -> None:
    with refused(nowhere, ConfigError):
        compose(parse(arguments)[0])
