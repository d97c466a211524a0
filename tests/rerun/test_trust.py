"""What a recorded configuration may call; the oracle is regexp's own YAMLs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regexp.errors import ConfigError
from regexp.rerun import trust

EVIL = {"_target_": "os.system", "_args_": ["true"]}


def nested(inner: Any) -> st.SearchStrategy[Any]:
    """`inner` anywhere in mappings and lists."""
    return st.recursive(
        st.just(inner),
        lambda child: st.one_of(
            st.fixed_dictionaries({"_target_": st.just("torch.optim.Adam"), "key": child}),
            st.fixed_dictionaries({"_args_": st.lists(child, min_size=1, max_size=2)}),
            st.fixed_dictionaries({"a": st.integers(), "b": child}),
            st.lists(child, min_size=1, max_size=3),
        ),
        max_leaves=5,
    )


def test_what_the_yamls_name_is_trusted():
    assert {"torch.optim.Adam", "regexp.regularizer.l1.L1"} <= trust.known()
    trust.check_trusted([{"optimizer": {"_target_": "torch.optim.Adam", "_partial_": True}}])


@given(nested(EVIL))
def test_a_target_is_found_wherever_it_stands(node):
    with pytest.raises(ConfigError, match=r"calls os\.system"):
        trust.check_trusted([{"model": {"_target_": "regexp.model.mlp.MLP"}, "regularizer": node}])


@given(nested("${oc.env:HOME}"))
def test_nothing_is_looked_up(node):
    with pytest.raises(ConfigError, match="interpolation"):
        trust.check_trusted([{"model": node}])


def test_only_known_addresses_are_downloaded():
    known = "https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality/"
    trust.check_trusted(
        [{"dataset": {"url": f"{known}winequality-red.csv"}, "tracking": {"uri": "http://a"}}]
    )
    other = {"dataset": {"deep": [{"url": "http://169.254.169.254/latest"}]}}
    with pytest.raises(ConfigError, match=r"downloads .*--allow http://169\.254\.169\.254/latest"):
        trust.check_trusted([other])
    trust.check_trusted([other], ["http://169.254.169.254/latest"])


def test_an_interpolation_in_a_key_is_refused():
    with pytest.raises(ConfigError, match="interpolation"):
        trust.check_trusted([{"model": {"${oc.env:HOME}": {}}}])


def test_what_hydra_is_to_look_up_is_a_target_too():
    node = {"_target_": "hydra.utils.get_method", "path": "os.system"}
    with pytest.raises(ConfigError, match=r"calls os\.system"):
        trust.check_trusted([{"scheduler": {"lr_lambda": node}}], ["hydra.utils.get_method"])


@pytest.mark.parametrize("target", [None, 3, ["os.system"], {"_target_": "os.system"}])
def test_a_target_that_is_no_text_is_refused(target):
    with pytest.raises(ConfigError, match="expected the dotted path"):
        trust.check_trusted([{"model": {"_target_": target}}])


@pytest.mark.parametrize(
    ("allowed", "fine"),
    [
        (["mine.net.Net"], True),
        (["mine."], True),
        (["mine.net."], True),
        (["mine"], False),
        (["mine.net"], False),
        (["min"], False),
        (["."], False),
        ([""], False),
        (["Mine.net.Net"], False),
        (["other.", "mine.net.Net"], True),
    ],
)
def test_a_user_allows_by_the_exact_name_or_by_a_package(allowed, fine):
    config = {"model": {"_target_": "mine.net.Net"}}
    if fine:
        trust.check_trusted([config], allowed)
    else:
        with pytest.raises(ConfigError, match=r"--allow mine\.net\.Net"):
            trust.check_trusted([config], allowed)


def test_a_name_made_to_deceive_is_shown_as_it_is():
    with pytest.raises(ConfigError) as refused:
        trust.check_trusted([{"model": {"_target_": "torch\x1b[2Kok\n.Net"}}])
    assert str(refused.value).isprintable()
