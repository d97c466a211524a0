"""What techniques refuse, held against what the docstrings say of their arguments and models."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from regexp.errors import ConfigError, NotApplicable
from regexp.model.mlp import MLP
from regexp.model.realmlp import RealMLP
from regexp.regularizer.base import Regularizer
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.ranges import Choice, Range, declared
from tests.support import NAMES, technique

DECLARED = {name: declared(type(technique(name))) for name in NAMES}  # type: ignore[arg-type]
FIELDS = {
    f"{name}.{field}": (name, field, *declaration)
    for name, fields in DECLARED.items()
    for field, declaration in fields.items()
    if declaration.allowed is not None
}
DEPENDENT = {"pruning": "end", "random_erasing": "smallest"}
"""The number of a technique whose range depends on another field."""

every_field = pytest.mark.parametrize(
    ("name", "field", "types", "allowed"), FIELDS.values(), ids=FIELDS
)


def test_every_number_has_a_range():
    numbers = {
        f"{name}.{field}"
        for name, fields in DECLARED.items()
        for field, (types, _) in fields.items()
        if {int, float} & set(types)
    }
    ranges = {key for key, (*_, allowed) in FIELDS.items() if isinstance(allowed, Range)}
    assert numbers - ranges == {f"{name}.{field}" for name, field in DEPENDENT.items()}


@every_field
def test_the_docstring_says_what_is_allowed(name, field, types, allowed):
    documentation = inspect.getdoc(type(technique(name))) or ""
    arguments = documentation.partition("\nArgs:\n")[2].partition("\n\n")[0]
    argument = re.search(rf"^    {field}: (.*(?:\n        .*)*)", arguments, re.MULTILINE)
    assert argument
    text = " ".join(argument[1].split())
    if isinstance(allowed, Choice):
        assert set(allowed.words) <= set(re.findall(r"`(\w+)`", text))
    elif allowed.high == math.inf:
        assert f"{'>' if allowed.open_low else '>='} {allowed.low:g}" in text
    else:
        low, high = "(" if allowed.open_low else "[", ")" if allowed.open_high else "]"
        assert f"in {low}{allowed.low:g}, {allowed.high:g}{high}" in text


def wrong(allowed: Range | Choice) -> Iterator[Any]:
    yield from (None, True, "other")
    if isinstance(allowed, Choice):
        return
    yield from (math.nan, -math.inf)
    yield allowed.low if allowed.open_low else allowed.low - 1e-9
    if allowed.high < math.inf:
        yield allowed.high if allowed.open_high else allowed.high + 1e-9


@every_field
def test_other_values_are_refused_by_name(name, field, types, allowed):
    made = technique(name)
    for value in wrong(allowed):
        if value is None and type(None) in types:
            assert getattr(replace(made, **{field: None}), field) is None
            continue
        with pytest.raises(ConfigError, match=f"^{field}: expected {re.escape(str(allowed))}, got"):
            replace(made, **{field: value})


@every_field
def test_closed_ends_are_allowed(name, field, types, allowed):
    if isinstance(allowed, Choice):
        ends: tuple[Any, ...] = allowed.words
    else:
        ends = (allowed.low,) * (not allowed.open_low) + (allowed.high,) * (not allowed.open_high)
    for end in ends:
        try:
            made = replace(technique(name), **{field: end})
        except ConfigError as error:
            if error.key != DEPENDENT[name]:
                raise
        else:
            assert getattr(made, field) == end


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pruning", {"start": 0.8, "end": 0.5}, "end: expected a number > 0.8 and <= 1, got 0.5"),
        ("pruning", {"end": 1.1}, "end: .*, got 1.1"),
        ("pruning", {"start": 0.0, "end": 0.0}, "end: .*, got 0.0"),
        ("random_erasing", {"smallest": 0.5, "largest": 0.4},
         "smallest: expected a number >= 0 and <= 0.4, got 0.5"),
        ("swag", {"rank": 1}, "rank: expected 0 or a number >= 2, got 1"),
    ],
)  # fmt: skip
def test_values_that_do_not_go_together_are_refused(name, changes, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        replace(technique(name), **changes)


@pytest.mark.parametrize("name", NAMES)
def test_those_that_need_hidden_blocks_say_so(name):
    documentation = inspect.getdoc(type(technique(name))) or ""
    if "NotApplicable: for a model without hidden blocks." in documentation:
        with pytest.raises(NotApplicable, match="Block"):
            technique(name).build(nn.Linear(3, 2))
    elif "NotApplicable" not in documentation:
        technique(name).build(nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [({"knd": "penalty"}, TypeError, "knd"), ({"kind": "punishment"}, ValueError, "punishment")],
)
def test_classes_with_a_wrong_keyword_are_refused(keywords, error, message):
    with pytest.raises(error, match=message):
        type("Wrong", (Regularizer,), {}, **keywords)


def test_a_hook_of_other_arguments_is_refused_where_its_class_is_made():
    with pytest.raises(
        TypeError, match=r"Old\.init: .*\(self, state, kinds\), got \(self, state\)"
    ):

        class Old(Regularizer, kind="averaging"):
            def init(self, state):  # type: ignore[override]
                return {}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        *(("self_distillation", one) for one in ("focal_loss", "generalized_cross_entropy")),
        ("self_distillation", "symmetric_cross_entropy"),  # takes away more than is there
        *(("fgsm", one) for one in ("generalized_cross_entropy", "logit_adjustment")),  # so here
        *(("pgd", one) for one in ("focal_loss", "self_distillation")),
        ("logit_adjustment", "class_balanced_loss"),  # both balance the classes
        ("reg_mixup", "manifold_mixup"),  # whose layers would mix its rows again
        ("non_negative", "tabm"),  # whose factors of members have either sign
        ("swa", "budget"),  # which ends before the tail that is averaged
        ("swag", "budget"),
        ("pruning", "budget"),
        *(("shrink_and_perturb", one) for one in ("lookahead", "schedule_free")),  # pulled back
        *((one, "layerwise_lr_decay") for one in ("proximal_l1", "group_lasso_proximal")),
    ],
)
def test_what_breaks_another_is_refused_in_either_order(name: str, other: str) -> None:
    for names in ((name, other), (other, name)):
        with pytest.raises(ConfigError, match=f"{name}: does not go together with {other}"):
            Cocktail({one: technique(one) for one in names})


def test_a_rate_for_each_layer_is_not_for_one_layer() -> None:
    cocktail = Cocktail({"layerwise_lr_decay": technique("layerwise_lr_decay")})
    cocktail.build(MLP([8], 3, [16], "relu"))
    with pytest.raises(NotApplicable, match="the model has one layer"):
        cocktail.build(MLP([8], 3, [], "relu"))


@pytest.mark.parametrize(
    "name", ["spectral_norm", "weight_standardization", "unit_norm", "orthogonal"]
)
def test_weights_of_a_fixed_size_are_not_for_layers_that_scale_them(name: str) -> None:
    """In neutral tangent parametrization they shrink what passes by the root of the inputs."""
    cocktail = Cocktail({name: technique(name)})
    cocktail.build(MLP([8], 3, [16, 16], "relu"))
    rows = torch.linspace(-1, 1, 240).view(30, 8)
    scaled = RealMLP([8], 3, [16, 16], "relu", 3.0, None, "normal", 6.0, 0.1, 0.1, rows)
    with pytest.raises(NotApplicable, match="the layers of this model divide by the root"):
        cocktail.build(scaled)
