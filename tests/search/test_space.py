"""The space of a search: what takes part, what a batch has alike, draws and recipes."""

from __future__ import annotations

from functools import cache

import pytest

from regexp.commands.arguments import parse
from regexp.config.searched import budget_of, compose_search
from regexp.errors import ConfigError
from regexp.search.recipe import Recipe
from regexp.search.space import Space, together
from regexp.search.taking_part import OF_ALL_MODELS, read_space

FEW = "search.techniques=[mixup,dropout,batch_norm,layer_norm,lookahead]"


@cache
def space(*overrides: str) -> Space:
    return read_space(compose_search(parse(["dataset=iris", *overrides])[0]))


def test_all_that_apply_take_part_but_of_some_kinds() -> None:
    every = space()
    assert {"dropout", "mixup", "l1", "sam"} <= {*every.switches}
    assert {"batch_norm", "skip_connection", "lookahead"} <= {*every.techniques} - {*every.switches}
    kinds = {one.kind for one in every.techniques.values()}
    assert not kinds & {"stopping", "ensemble", "control", "schedule", "calibration"}
    assert "images" in every.left_out["cutmix"]
    assert "early_stopping" in every.left_out
    assert {*every.left_out}.isdisjoint(every.techniques)


def test_techniques_that_are_named_are_in_their_order() -> None:
    assert [*space(FEW).techniques] == ["mixup", "dropout", "batch_norm", "layer_norm", "lookahead"]
    assert space(FEW).switches == ["mixup", "dropout"]


def test_of_a_model_only_what_it_has_is_searched_and_no_batch_is_larger_than_the_data() -> None:
    few = "search.techniques=[l1]"
    shared = {one.key: one for one in space(few, "dataset.train_size=70").shared}
    assert [*shared] == ["optimizer.lr", "trainer.batch_size", "model.hidden", "scheduler"]
    assert shared["trainer.batch_size"].choices == (32, 64)
    assert shared["scheduler"].choices == ("constant", "cosine_annealing_lr")
    plain = space(few, "model=logistic", "dataset.train_size=40", "trainer.batch_size=32",
                  "search.schedulers=null").shared  # fmt: skip
    assert [one.key for one in plain] == ["optimizer.lr"]


@pytest.mark.parametrize("key", ["hiden", "width"])
def test_a_number_that_the_model_lacks_is_refused_but_for_the_defaults(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"search\.space\.model\.{key}: the model has no {key}"):
        space(FEW, f'search.space.model.{key}="choice(8,16)"')
    default = compose_search(parse(["dataset=iris"])[0]).config
    assert {*default.search.space.model} == {*OF_ALL_MODELS}


def test_none_has_the_shared_space_alone() -> None:
    none = space(FEW).without_techniques()
    assert [one.key for one in none.parameters([])] == [one.key for one in none.shared]


def test_of_each_kind_of_structure_there_is_one_or_none() -> None:
    found = {one.key: one for one in space(FEW).parameters(["dropout"])}
    assert found["structure.normalization.name"].dimension.choices == ("batch_norm", "layer_norm")
    assert found["structure.averaging.name"].dimension.choices == ("lookahead",)
    assert found["structure.normalization.name"].when == ("structure.normalization", True)
    alike = {key for key, one in found.items() if one.structural}
    assert {"model.hidden", "trainer.batch_size", "scheduler", "regularizer.batch_norm.momentum",
            "regularizer.lookahead.k"} <= alike  # fmt: skip
    assert not {"optimizer.lr", "regularizer.dropout", "regularizer.dropout.hidden"} & alike
    assert not any(key.startswith("regularizer.mixup") for key in found)


def test_every_technique_that_is_named_can_be_drawn() -> None:
    names = "early_stopping,tabm,unit_norm,swag,dropout,batch_norm"
    named = space(f"search.techniques=[{names}]")
    parameters = named.parameters(named.switches)
    drawn = {name for one in parameters for name in one.switches}
    assert drawn == {*named.techniques} == {*names.split(",")}
    shared = named.default.shared
    for name, technique in named.techniques.items():
        alone = Recipe(shared, {name: technique.default()})
        assert named.recipe(named.draw(alone, named.switches)) == alone
    assert named.structures[:3] == ["normalization", "layer", "averaging"]


def test_sizes_of_batches_are_those_that_the_data_allow() -> None:
    few = "search.techniques=[l1]"
    wide = "search.space.trainer.batch_size='int(interval(16,512))'"
    [size] = [one for one in space(few, wide).shared if one.key == "trainer.batch_size"]
    assert (size.low, size.high) == (16, 90)


def test_other_choices_of_a_group_need_not_have_what_is_given_of_the_own_one() -> None:
    few = "search.techniques=[l1]"
    found = space(few, "scheduler=step_lr", "scheduler.gamma=0.5", "search.schedulers=[step_lr,"
                  "exponential_lr,constant]").searched.nodes["scheduler"]  # fmt: skip
    assert {name: node.get("gamma") for name, node in found.items()} == {
        "step_lr": 0.5, "exponential_lr": 0.5, "constant": None,
    }  # fmt: skip
    models = space(few, "model=mlp_ple", "model.embedding.bins=16", "model.hidden=[8]",
                   "search.models=[mlp]").searched.nodes["model"]  # fmt: skip
    assert models["mlp"].hidden == models["mlp_ple"].hidden == [8]


@pytest.mark.parametrize(
    "techniques",
    [{}, {"dropout": {"hidden": 0.3, "inputs": 0.1}}, {"batch_norm": {"momentum": 0.2}},
     {"mixup": {"alpha": 0.5}, "lookahead": {"k": 10, "alpha": 0.4}}],
)  # fmt: skip
def test_a_recipe_is_the_recipe_of_its_draw(techniques: dict[str, dict[str, float]]) -> None:
    of = space(FEW)
    one = Recipe(of.default.shared | {"optimizer.lr": 0.02}, techniques)
    assert of.recipe(of.draw(one, of.switches)) == one


def test_a_recipe_in_words() -> None:
    one = Recipe({"optimizer.lr": 0.02, "scheduler": "constant"},
                 {"dropout": {"hidden": 0.3}, "layer_norm": {}})  # fmt: skip
    assert str(one) == "dropout (hidden=0.3) + layer_norm; lr=0.02, scheduler=constant"
    assert str(Recipe({"optimizer.lr": 0.02}, {})) == "none; lr=0.02"


def test_what_a_cocktail_refuses_is_not_together() -> None:
    of = space("search.techniques=[focal_loss,generalized_cross_entropy,l1]")
    assert together(of, ["focal_loss", "l1"])
    assert not together(of, ["focal_loss", "generalized_cross_entropy"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("regularizer=l1", r"regularizer: .*search\.techniques=\[\.\.\.\]"),
        ("search.techniques=[l3]", r"search\.techniques=l3: .*there is none"),
        ("search.schedulers=[cosine]", r"search\.schedulers=cosine: there is none"),
        ("search.techniques=[cutmix]", "cutmix.*is for images"),
        ("search.budget=1d", r"search\.budget=1d: expected a time"),
        ("search.batch=1", r"search\.batch=1: expected an integer >= 2"),
        ("tune.budget=3", r"tune\.budget=3: regexp search searches by itself"),
        ("search.space.optimizer.rate='interval(0,1)'", r"search\.space\.optimizer\.rate: "),
        ("search.space.optimizer.lr='interval(-1,1)'", r"search\.space\.optimizer\.lr=interval"),
        ("search.space.optimizer.lr=interval(0,1)", "quotes inside quotes"),
        ("regularizer.l3.search.strength=null", r"regularizer\.l3: there is no technique l3"),
        ("search.portfolio=[{optimizer:{lrr:0.01}}]",
         r"optimizer\.lrr: search\.portfolio has it, and there is no such key.*optimizer\.lr"),
        ("search.trials=0", r"search\.trials=0: expected an integer >= 1"),
        ("compare.metric=test/rmse",
         r"compare\.metric=test/rmse: runs on iris have no such metric"),
        ("compare.metric=test/brier",
         r"compare\.metric=test/brier: a search chooses by the validation split, which has no such "
         r"metric; .*: regexp compare SWEEP_ID --metric test/brier"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space(override)


def test_a_budget_is_a_time() -> None:
    assert budget_of(space(FEW, "search.budget=2h").config) == 7200
    assert budget_of(space(FEW).config) is None
