"""BatchEnsemble: members that share all weights but a factor a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from regexp.regularizer.base import (
    Batch,
    Block,
    Memory,
    PredictionView,
    Range,
    Regularizer,
    Step,
    blocks,
)


@dataclass(frozen=True)
class BatchEnsemble(
    Regularizer,
    kind="ensemble",
    neutral={"members": 1},
    provides=("averaged predictions", "rows of several members"),
    refuses=("averaged predictions",),
):
    """Train M members at once whose weights are W * (s r'), with s and r of each member's own.

    A hidden layer gives activation(s * (W x + b)) * r, with s and r [features] of the member: s of
    this layer and r of the next. (The paper also has r of the first layer, s of the last and biases
    of each member.) They begin as random signs and are learned; as vectors they are left
    alone by penalties, decay and constraints. All members see every row: the batch has each row
    M times, the i-th row of the network belongs to member i modulo M, and the loss is the mean of
    the members' (as Gorishniy et al. do; the paper gives each member its own part of the batch).
    What is evaluated is the members' mean probability (in regression their mean output).

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

    members: Annotated[int, Range(1)]

    def build(self, model: nn.Module) -> nn.Module:
        if self.members == 1:
            return model
        for block in blocks(model).values():
            block.norm.append(MemberScale(self.members, block))
            block.dropout.append(MemberScale(self.members, block))
        return model

    def batch(self, step: Step, batch: Batch) -> Batch:
        return batch.of_tensors(self._repeated)

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        outputs = view.network(self._repeated(view.inputs))
        return outputs.unflatten(0, (-1, self.members)).transpose(0, 1)

    def _repeated(self, values: Tensor) -> Tensor:
        """Each row once for every member: [rows, ...] -> [rows * members, ...]."""
        each = values.unsqueeze(1).expand(-1, self.members, *values.shape[1:])
        return each.flatten(0, 1)


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
