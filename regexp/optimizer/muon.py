"""Muon for the hidden weight matrices and Adam for the rest, as one ordinary torch optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Muon, Optimizer


class MuonWithAdam(Optimizer):
    """Muon on every weight matrix but the last one, Adam on all other parameters.

    Muon moves a weight matrix by its orthogonalized momentum: with G = U S V^T the update is
    close to -lr * 0.2 * sqrt(max(rows, columns)) * U V^T, whose root mean square is that of an
    Adam update. It is made for hidden layers; biases, normalization parameters, embeddings,
    tokens, the output layer (the last matrix) and convolutions are Adam's. There is no weight
    decay.

    Both methods act on this optimizer's own parameter groups (0: Muon's, 1: Adam's) and state, so
    its state dict, its learning rates and schedulers are those of any torch optimizer.

    Args:
        params: parameters in the order of the layers, as from `model.parameters()`.
        lr: learning rate of both methods.
        momentum: of Muon.
        nesterov: whether Muon's momentum is Nesterov's.
        ns_steps: Newton-Schulz iterations of Muon's orthogonalization.
        betas: decay rates of Adam's moments.
        eps: added to Adam's denominator.
        kinds: of the parameters, in their order (`regexp.model.kinds.kinds_of`): Muon's are the
            matrices of the kind `weight`, but for the last where none is of the kind `output`.
            Without them every matrix counts as a weight, also that of an embedding or of a
            normalization over two axes.

    Class attributes:
        by_kind: whoever makes the optimizer passes `kinds`.

    Raises:
        ValueError: if the model has no hidden weight matrix.

    References:
        Jordan (2024), Muon: An optimizer for hidden layers,
        https://kellerjordan.github.io/posts/muon/; Liu et al. (2025), Muon is scalable for LLM
        training, section 2.2, https://arxiv.org/abs/2502.16982.
    """

    by_kind: ClassVar[bool] = True

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        kinds: Sequence[str] | None = None,
    ) -> None:
        parameters = list(params)
        of_kind = zip(parameters, kinds or ["weight"] * len(parameters), strict=True)
        matrices = [p for p, kind in of_kind if kind == "weight" and p.ndim == 2]
        if "output" not in (kinds or ()):
            matrices = matrices[:-1]
        if not matrices:
            raise ValueError(
                "optimizer=muon: the model has no hidden weight matrix (two dimensions, not the "
                "output layer's). Use a model with a hidden linear layer, or optimizer=adam."
            )
        hidden = {id(matrix) for matrix in matrices}
        rest = [parameter for parameter in parameters if id(parameter) not in hidden]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps},
            {"params": rest, "betas": tuple(betas), "eps": eps},
        ]
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self._share()

    def _share(self) -> None:
        """Make the two methods, both on this optimizer's groups and state."""
        matrices, rest = self.param_groups
        # Handed a dict, torch keeps that very dict as its group, and fills what it lacks.
        matrices.setdefault("adjust_lr_fn", "match_rms_adamw")
        rest.setdefault("fused", True)
        self._muon = Muon([matrices])
        self._adam = Adam([rest])
        assert self._muon.param_groups[0] is matrices
        assert self._adam.param_groups[0] is rest
        self._muon.state = self._adam.state = self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore after `load_state_dict`, copy or pickle, which put new groups and state."""
        super().__setstate__(state)
        self._share()

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], Tensor] | None = None
    ) -> Tensor | None:
        """Make one step; see `torch.optim.Optimizer.step`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._muon.step()
        self._adam.step()
        return loss
