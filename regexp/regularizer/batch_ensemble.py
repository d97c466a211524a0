"""Members of one network that share its weights: BatchEnsemble and TabM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from regexp.regularizer.base import (
    Batch,
    Block,
    Choice,
    FeatureEmbedding,
    Memory,
    NotApplicable,
    PredictionView,
    Range,
    Regularizer,
    Step,
    blocks,
    unfit,
)
from regexp.regularizer.common import places


@dataclass(frozen=True)
class Members(
    Regularizer,
    kind="ensemble",
    neutral={"members": 1},
    provides=(
        *("averaged predictions", "a prediction of one pass"),
        *("rows of several members", "factors of either sign"),
    ),
    refuses=("averaged predictions",),
):
    """Abstract: a network whose i-th row belongs to member i modulo M.

    A batch has each of its rows M times, so that its loss is the mean of the members' losses, and
    not the loss of their mean. `build` gives the network what differs from member to member.

    Args:
        members: M, >= 1; 1 is the network itself.
    """

    members: Annotated[int, Range(1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        return batch.of_tensors(self.taken)

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        outputs = view.network(self.taken(view.inputs))
        return outputs.unflatten(0, (-1, self.members)).transpose(0, 1)

    def taken(self, inputs: Tensor) -> Tensor:
        """Each row once for every member: [rows, ...] -> [rows * members, ...]."""
        each = inputs.unsqueeze(1).expand(-1, self.members, *inputs.shape[1:])
        return each.flatten(0, 1)


@dataclass(frozen=True)
class BatchEnsemble(Members):
    """Train M members at once whose weights are W * (s r'), with s and r of each member's own.

    A hidden layer gives activation(norm(s * (W x + b))) * r, with s and r [features] of the member:
    s of this layer and r of the next. (The paper also has r of the first layer, s of the last and
    biases of each member.) They begin as random signs and are learned; as vectors they are left
    alone by penalties, decay and constraints. All members see every row: the batch has each row M
    times, the i-th row of the network belongs to member i modulo M, and the loss is the mean of the
    members' (as Gorishniy et al. do; the paper gives each member its own part of the batch). What
    is evaluated is the members' mean probability (in regression their mean output).

    List it first among techniques that change batches, so that each member gets draws of its own.

    Helps:
        Small networks on tables: much of what an ensemble of M networks gives, with little more
        parameters than one.

    Costs:
        M times the rows in training and evaluation.

    Args:
        members: M, >= 1; 1 is the network itself.

    Raises:
        ValueError: for a number below 1.
        NotApplicable: if the model has no hidden blocks.

    Reference:
        Y. Wen et al., BatchEnsemble: an alternative approach to efficient ensemble and lifelong
        learning, ICLR 2020, eq. 3-5. https://arxiv.org/abs/2002.06715; Y. Gorishniy et al., TabM,
        ICLR 2025, section 3. https://arxiv.org/abs/2410.24210
    """

    def build(self, model: nn.Module) -> nn.Module:
        if self.members == 1:
            return model
        for block in blocks(model).values():
            block.norm.insert(0, MemberScale(self.members, block))  # what is normalized
            block.dropout.append(MemberScale(self.members, block))
        return model


class MemberScale(nn.Module):
    """x * the factors of the member that each row belongs to: row i to member i modulo M.

    Args:
        members: M.
        block: gives the features and where they stand: last, or before height and width.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, members: int, block: Block) -> None:
        super().__init__()
        self.members = members
        self.dimensions = block.dimensions
        signs = torch.randint(2, (members * block.features,)) * 2.0 - 1
        self.factors = nn.Parameter(signs)  # flat: one dimension, as biases have

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[-2 - self.dimensions]
        member = torch.arange(rows, device=x.device) % self.members
        factors = self.factors.unflatten(-1, (self.members, -1)).index_select(-2, member)
        if self.dimensions == 1:  # [rows, time, features]
            factors = factors.unsqueeze(-2)
        elif self.dimensions == 2:  # [rows, channels, height, width]
            factors = factors[..., None, None]
        return x * factors


@dataclass(frozen=True)
class TabM(Members):
    """Train M members at once that share the weight matrices of all linear layers but the last.

    Of each shared layer, member m has its own adapters r_m and s_m and its own bias b_m:

        y = s_m * (W (r_m * x)) + b_m

    and the last layer of the model, the head, is M layers. Every r and s begins as ones, and the r
    of the first layer at random, which is all that makes the members differ but for their heads;
    the biases of a layer begin equal. All members see every row: the batch has each row M times,
    the i-th row of the network belongs to member i modulo M, and the loss is the mean of the
    members' losses. What is evaluated is their mean probability (in regression their mean output).

    Layers are taken in the order of the model's modules; those of other kinds (convolutions) are
    shared as they are. Weights and biases that are frozen stay so, and their layers' adapters are
    trained. Adapters are vectors, which penalties, decay and constraints leave alone. A
    normalization sees the rows of all members together, where the authors' package has one for each
    member. `batch_ensemble` is the smaller relative: factors at hidden layers alone, and one head.

    List it before what parametrizes weights (`weight_norm`), and first among techniques that change
    batches, so that each member gets draws of its own.

    Helps: networks on tables, of all sizes, where it was the best of many networks in the authors'
    comparison, with embeddings (`model=mlp_ple`) more than without.

    Costs: M times the rows in training and evaluation.

    Args:
        members: M, >= 1; 1 is the network itself.
        first: what the r of the first layer begins as, `signs` (-1 or 1) or `normal` (standard
            normal), the authors' choice with embeddings. All of what an embedding makes of a
            feature begins with the same number.

    Raises:
        ValueError: for a number below 1, or another word.
        NotApplicable: if the model has fewer than two linear layers, one whose weight is
            parametrized, one that does not get the rows of the batch on its first axis, or a last
            one that is frozen or shares its weight.

    Reference:
        Y. Gorishniy, A. Kotelnikov, A. Babenko, TabM: advancing tabular deep learning with
        parameter-efficient ensembling, ICLR 2025, section 3.3. https://arxiv.org/abs/2410.24210
    """

    first: Annotated[str, Choice("signs", "normal")]

    def build(self, model: nn.Module) -> nn.Module:
        if self.members == 1:
            return model
        layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
        if named := [name for name, m in layers.items() if parametrize.is_parametrized(m)]:
            raise NotApplicable(
                f"the weight of {named[0]} is parametrized already",
                key="regularizer.tabm",
                cure="list tabm first",
            )
        # a subclass may be used in another way than by its forward, as attention uses its output
        found = [layer for layer in layers.values() if type(layer) is nn.Linear]
        if len(found) < 2:
            raise NotApplicable(
                f"{type(model).__name__} has fewer than two plain nn.Linear, so none to share",
                key="regularizer.tabm",
                cure="use a network such as model=mlp",
            )
        if reason := next(filter(None, map(unfit, found)), ""):
            raise NotApplicable(f"{type(model).__name__}: {reason}", key="regularizer.tabm")
        *shared, head = found
        if places(model, head.weight) > 1 or not head.weight.requires_grad:
            raise NotApplicable(
                f"the last layer of {type(model).__name__} is frozen or shares its weight, and "
                "each member would get another of its own",
                key="regularizer.tabm",
                cure="use regularizer=batch_ensemble, which shares the last layer",
            )
        layers_of_members = [MemberLinear(layer, self.members) for layer in shared]
        widths = [m.width for m in model.modules() if isinstance(m, FeatureEmbedding)]
        layers_of_members[0].begin_at_random(self.first, (1, *widths)[-1])
        own: dict[nn.Module, nn.Module] = dict(zip(shared, layers_of_members, strict=True))
        own[head] = MemberHead(head, self.members)
        for name, module in list(model.named_modules(remove_duplicate=False)):
            if module in own:
                model.set_submodule(name, own[module])
        return model


class MemberLinear(nn.Linear):
    """s * (W (r * x)) + b, with r, s and b of the member that each row belongs to.

    Args:
        layer: that of one network, whose weight it takes over.
        members: M.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, layer: nn.Linear, members: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.members = members
        self.weight = layer.weight
        # flat: of one dimension, as biases are
        self.input_factors = nn.Parameter(layer.weight.new_ones(members * layer.in_features))
        self.output_factors = nn.Parameter(layer.weight.new_ones(members * layer.out_features))
        bias = layer.bias
        if bias is not None:  # a frozen one stays so
            bias = nn.Parameter(bias.detach().repeat(members), bias.requires_grad)
        self.register_parameter("bias", bias)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw weights and biases again, as those of one network: the members' begin equal."""
        drawn = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        self.weight.copy_(drawn.weight)
        if self.bias is not None:
            self.bias.copy_(drawn.bias.repeat(self.members))

    @torch.no_grad()
    def begin_at_random(self, distribution: str, width: int) -> None:
        """Draw the r, one for each `width` inputs in a row."""
        factors = torch.randn(self.input_factors.numel() // width)
        if distribution == "signs":
            factors = factors.sign()
        self.input_factors.copy_(factors.repeat_interleave(width))

    def forward(self, x: Tensor) -> Tensor:
        runs = x.shape[: self.weight.ndim - 2]
        parts = _parts(x, len(runs), self.members) * self._of_members(self.input_factors)
        y = parts.reshape(*runs, -1, self.in_features) @ self.weight.mT
        y = y.unflatten(-2, parts.shape[len(runs) : -1]) * self._of_members(self.output_factors)
        if self.bias is not None:
            y = y + self._of_members(self.bias)
        return _joined(y, x)

    def _of_members(self, vectors: Tensor) -> Tensor:
        """[..., M * features] -> [..., 1, M, 1, features]."""
        return vectors.unflatten(-1, (self.members, 1, -1)).unsqueeze(-4)


class MemberHead(nn.Module):
    """W x + b, with W and b of the member that each row belongs to.

    Args:
        layer: that of one network; only its sizes are used.
        members: M.
    """

    broadcasts: ClassVar[bool] = True
    bias: Tensor | None

    def __init__(self, layer: nn.Linear, members: int) -> None:
        super().__init__()
        self.members = members
        bias = layer.bias is not None
        each = nn.Linear(layer.in_features, members * layer.out_features, bias)
        self.weight = each.weight  # [M * outputs, inputs], a unit a row
        self.register_parameter("bias", each.bias)

    def forward(self, x: Tensor) -> Tensor:
        parts = _parts(x, self.weight.ndim - 2, self.members)
        y = torch.einsum(
            "...nmti,...moi->...nmto", parts, self.weight.unflatten(-2, (self.members, -1))
        )
        if self.bias is not None:
            y = y + self.bias.unflatten(-1, (self.members, 1, -1)).unsqueeze(-4)
        return _joined(y, x)


def _parts(x: Tensor, runs: int, members: int) -> Tensor:
    """[..., rows, *any, features] -> [..., rows / M, M, any, features], filled up with zeros.

    Args:
        x: one row after another of member 0, 1, ...
        runs: leading axes of runs.
        members: M.
    """
    leading, rows = x.shape[:runs], x.shape[runs]
    x = x.reshape(*leading, rows, -1, x.shape[-1])
    if missing := -rows % members:  # outside of training and of `predict`
        x = F.pad(x, (0, 0, 0, 0, 0, missing))
    return x.unflatten(runs, (-1, members))


def _joined(y: Tensor, x: Tensor) -> Tensor:
    """The inverse of `_parts`, for what was computed of `x`: [..., rows, *any, outputs]."""
    y = y.flatten(-4, -3)
    rows = x.shape[y.ndim - 3]
    return y.narrow(-3, 0, rows).reshape(*x.shape[:-1], y.shape[-1])
