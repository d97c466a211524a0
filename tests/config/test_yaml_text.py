"""YAML by libyaml: held against OmegaConf's own writer and PyYAML's reader."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from regexp.config.schema import conf_folder
from regexp.config.yaml_text import as_yaml

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=120
)  # fmt: skip
PLAIN = st.dictionaries(
    st.text("abc._", min_size=1),
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)


@pytest.mark.parametrize("path", sorted(conf_folder().rglob("*.yaml")), ids=lambda path: path.stem)
def test_our_configurations_are_written_as_omegaconf_writes_them(path):
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    config.pop("hydra", None)  # whose help has long lines, which are folded in other places
    assert as_yaml(OmegaConf.to_container(config)) == OmegaConf.to_yaml(config)


@pytest.mark.parametrize("text", ["1e-3", "1e5", "yes", "1_000", "nan", "null", "", " a", "a: b"])
def test_a_text_that_looks_like_something_else_stays_a_text(text):
    written = as_yaml({"key": text, "list": [text]})
    assert OmegaConf.to_container(OmegaConf.create(written)) == {"key": text, "list": [text]}
    assert yaml.safe_load(written) == {"key": text, "list": [text]}


@settings(max_examples=40)
@given(PLAIN)
def test_what_was_written_is_read(content):
    assert yaml.safe_load(as_yaml(content)) == content


def test_what_parts_share_is_written_out():
    shared = [1, 2]
    assert as_yaml({"a": shared, "b": shared}) == "a:\n- 1\n- 2\nb:\n- 1\n- 2\n"
