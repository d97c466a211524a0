"""A search over several models: which a recipe has is drawn, as its scheduler is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.errors import ConfigError
from regexp.search import verdict
from regexp.search.identity import key_of_search
from regexp.search.recipe import Recipe
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.search.written import as_experiment
from regexp.sweeps.plan import plan
from tests.search.composed import compose_named

FEW = ("search.techniques=[dropout]", "model.hidden=[8]", "search.seeds=2",
       "search.space.model.hidden='choice([8],[16])'")  # fmt: skip
BOTH = "search.models=[mlp_ple]"


@cache
def space(*overrides: str) -> Space:
    return read_space(compose_named([*FEW, *overrides]))


@pytest.mark.parametrize("data", ["dataset=iris", "dataset=digits"])
@pytest.mark.parametrize("own", [(), ("model=mlp",)])
def test_every_recipe_and_none_has_one_of_the_models_with_the_recipes_numbers(
    data: str, own: tuple[str, ...]
) -> None:
    of = space(data, *own, BOTH)
    [model] = (one for one in of.without_techniques().parameters([]) if one.key == "model")
    assert model.dimension.choices == ("mlp", "mlp_ple")
    assert model.structural, "a stack is of one network"
    assert of.default.shared["model"] == "mlp"
    other = Recipe({**of.default.shared, "model": "mlp_ple", "model.hidden": [16]}, {})
    config = of.configured(other, {})
    assert config.model.embedding._target_.endswith(".PiecewiseLinear")
    assert config.model.hidden == [16]
    assert of.configured(of.default, {}).model.get("embedding") is None
    assert of.searched.nodes["model"]["mlp_ple"].hidden == [8], "as the command has it"
    assert str(other).endswith(", hidden=[16], model=mlp_ple, scheduler=constant")
    assert key_of_search(of) != key_of_search(space(data, *own))


def test_the_written_recipe_has_the_model_that_was_chosen(tmp_path: Path) -> None:
    of = space("dataset=iris", BOTH)
    recipe = Recipe({**of.default.shared, "model": "mlp_ple"}, {"dropout": {"hidden": 0.1}})
    path = tmp_path / "experiment" / "recipe.yaml"
    path.parent.mkdir()
    path.write_text(as_experiment(of, recipe), encoding="utf-8")
    assert "override /model: mlp_ple" in path.read_text(encoding="utf-8")
    runs = verdict.planned_arms(of, recipe, of.default)["recipe"]
    seeds = [run.seed for run in runs]
    words = ["--config-dir", str(tmp_path), "experiment=recipe", "dataset=iris",
             "dataset.test_seed=0", f"seeds={seeds}"]  # fmt: skip
    [job] = compose(parse(words)[0]).jobs
    assert [one.fingerprint for one in plan(job.config)] == [one.fingerprint for one in runs]


def test_a_model_for_other_data_is_refused_and_a_technique_that_one_of_them_does_not_take() -> None:
    ranges = "search.space.model.hidden=null"
    with pytest.raises(ConfigError, match=r"model: cnn expects images"):
        space("dataset=iris", ranges, "search.models=[cnn]")
    words = ["dataset=iris", ranges, "model=resnet_mlp", "search.techniques=[shake_shake]"]
    assert "shake_shake" in read_space(compose_named(words)).techniques
    with pytest.raises(ConfigError, match=r"MLP has no .*Residual"):
        read_space(compose_named([*words, "search.models=[mlp]"]))


def test_a_model_without_a_number_that_is_searched_is_refused() -> None:
    said = r"search\.models: logistic has no hidden, which search\.space\.model\.hidden searches"
    with pytest.raises(ConfigError, match=said):
        read_space(compose_named(["dataset=iris", "search.models=[logistic]", FEW[0]]))
    with pytest.raises(ConfigError, match=r"search\.models=ml: there is none of this name"):
        space("dataset=iris", "search.models=[ml]")


def test_a_schedule_without_a_number_that_is_searched_is_refused() -> None:
    words = ["dataset=iris", "scheduler=step_lr", FEW[0],
             "search.space.scheduler.gamma='interval(0.1,0.9)'"]  # fmt: skip
    said = r"search\.schedulers: constant has no gamma, which search\.space\.scheduler\.gamma sea"
    with pytest.raises(ConfigError, match=said):
        read_space(compose_named(words))
    alone = read_space(compose_named([*words, "search.schedulers=null"]))
    assert "scheduler.gamma" in alone.default.shared


def test_a_model_that_does_not_take_what_is_searched_is_refused() -> None:
    """The layers of an MLP are a list, and of this a number: each of its recipes would fail."""
    told = r"search\.space\.model\.hidden=.*expected an integer.*search\.space\.model\.hidden=null"
    with pytest.raises(ConfigError, match=told):
        read_space(compose_named(["dataset=iris", "search.models=[resnet_mlp]", FEW[0]]))
    with pytest.raises(ConfigError, match=told):
        read_space(compose_named(["dataset=iris", "model=resnet_mlp", FEW[0]]))


def test_the_recipe_of_a_table_may_embed_its_numbers() -> None:
    config = compose_named(["experiment=recipe_wine", "search.techniques=[l1]"]).config
    assert OmegaConf.to_container(config.search.models) == ["mlp_ple"]
