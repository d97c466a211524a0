"""What a network must not do, since its runs could not be made again.

It must not draw behind their back, nor remember what no state dict has.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from regexp.errors import ConfigError
from regexp.model.draws import Draws
from regexp.model.global_draws import no_global_draws
from regexp.model.modes import modes_kept, training_mode, without_fast_path
from regexp.model.noise import Noise
from regexp.random import Rng


def outputs_of(model: nn.Module, example: Tensor) -> Tensor:
    """The outputs of a copy of `model` in evaluation mode, after a pass in training mode too.

    Args:
        example: inputs [rows, *features].

    Raises:
        ConfigError: if it gives no tensor.
    """
    trial = copy.deepcopy(model).eval()
    with torch.no_grad(), without_fast_path():
        outputs = _tensor(trial(example), model)
        trial.train()(torch.cat([example, example]))
    return outputs


def checked_outputs(model: nn.Module, example: Tensor) -> Tensor:
    """As `outputs_of`, with a look at what the model draws.

    Args:
        example: inputs [rows, *features].

    Raises:
        ConfigError: if it draws from a global random state that is not torch's, in evaluation, or
            in training from a source that is not known; if it gives no tensor; if its layers
            have no sizes yet; if it writes into its inputs; if it moves a buffer that no state dict
            has; or if somebody put a part of it into evaluation mode.
    """
    kind = type(model).__name__
    training_mode(model)
    check_real(model)
    check_weights(model)
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise ConfigError(
            f"{kind} has layers of sizes that only a call tells, such as LazyLinear",
            key="model",
            cure="call it on a row in its __init__, or give the sizes",
        )
    cure = (
        "draw with functions of torch (nn.Dropout, torch.rand) in the forward, which get the run's "
        "own stream"
    )
    with (
        torch.no_grad(),
        no_global_draws(f"the forward of {kind} draws from {{}}", cure, key="model"),
    ):
        with modes_kept(model):
            outputs, drew = _pass(model.eval(), example)
        passes = [_pass(model, torch.cat([example, example]))[0] for _ in range(2)]
        if drew:
            raise ConfigError(
                f"the forward of {kind} draws in evaluation mode too",
                key="model",
                cure="draw where self.training holds, as in F.dropout(x, p, self.training)",
            )
    if not all(torch.equal(one.nan_to_num(), passes[0].nan_to_num()) for one in passes):
        raise ConfigError(
            f"the forward of {kind} gives other outputs each time for the same rows, so runs could "
            "not be made again",
            key="model",
            cure="draw with functions of torch, which get the run's own stream",
        )
    _check_remembered(model, example)
    return outputs


def check_width(model: nn.Module, outputs: Tensor, rows: int, width: int, of: str = "") -> None:
    """Check that a network gives a list of numbers for each row.

    Losses of other shapes are broadcast, and train something else without a word.

    Args:
        outputs: that it gave.
        rows: that it was given.
        width: how many numbers a row should have; 0 for any.
        of: what the rows are, for people.

    Raises:
        ConfigError: it gives others.
    """
    got = list(outputs.shape)
    if len(got) != 2 or got != [rows, width or got[1]]:
        shape = got[1:] if got[:1] == [rows] else got
        raise ConfigError(
            f"{type(model).__name__} gives outputs of shape {shape} for a row{of}; "
            f"expected [{width or 'outputs'}], one a class or target",
            key="model",
        )


def check_real(model: nn.Module) -> None:
    """Raise ConfigError for complex parameters and buffers, which a float type would make real."""
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_complex():
            raise ConfigError(
                f"{name} of {type(model).__name__} is complex, and would lose its imaginary part",
                key="model",
                cure="keep real and imaginary part as two, and make one number of them in the "
                "forward (torch.view_as_complex)",
            )


@torch.no_grad()
def _check_remembered(model: nn.Module, example: Tensor) -> None:
    """Check that buffers that the state dict leaves out do not hang on the batches before.

    They are of `persistent=False`, or None at first. Those that are made anew in each pass, such as
    a mask, may change.

    Args:
        model: in training mode.

    Raises:
        ConfigError: naming one that does.
    """
    left_out = _left_out(model)
    if not left_out:
        return
    trials = [copy.deepcopy(model) for _ in range(2)]
    rows = torch.cat([example, example])
    other = (rows == 0).to(rows.dtype)  # numbers of words too
    for trial, batches in zip(trials, ([rows], [rows, other, rows]), strict=True):
        for batch in batches:
            with Draws(trial.named_modules()).served(Rng(0, "probe", device=rows.device)):
                trial(batch)
    first, last = (dict(trial.named_buffers(remove_duplicate=False)) for trial in trials)
    for name in sorted(left_out & last.keys()):
        if name not in first or not torch.equal(last[name].nan_to_num(), first[name].nan_to_num()):
            raise ConfigError(
                f"the forward of {type(model).__name__} moves {name}, a buffer that no state dict "
                "has, so that it would be lost with checkpoints and recorded weights",
                key="model",
                cure="register it with a tensor, and persistent=True",
            )


def _left_out(model: nn.Module) -> set[str]:
    """The names of the buffers that its state dict leaves out, but for the noise of techniques."""
    return {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if not isinstance(module, Noise)
        for name, buffer in module._buffers.items()
        if buffer is None or name in module._non_persistent_buffers_set
    }


def check_weights(model: nn.Module) -> None:
    """Raise ConfigError for weights that torch computes by a hook, with which no copy can be made.

    They are those of `torch.nn.utils.weight_norm`, and of `spectral_norm` once it was called; torch
    has replaced both.
    """
    for name, module in model.named_modules():
        for hook in module._forward_pre_hooks.values():
            if not isinstance(hook, WeightNorm | SpectralNorm):
                continue
            if not getattr(module, hook.name).is_leaf:  # one of SpectralNorm is, until it is called
                kind = "weight_norm" if isinstance(hook, WeightNorm) else "spectral_norm"
                raise ConfigError(
                    f"{name or type(model).__name__} has its {hook.name} by torch.nn.utils.{kind}, "
                    "with which no copy of the network can be made",
                    key="model",
                    cure=f"take torch.nn.utils.parametrizations.{kind}",
                )


def _pass(model: nn.Module, rows: Tensor) -> tuple[Tensor, set[str]]:
    """The outputs of a copy, and the names of the modules that draw."""
    trial, given = copy.deepcopy(model), rows.clone()
    served_draws = Draws(trial.named_modules()).served(Rng(0, "probe", device=rows.device))
    with served_draws as served, without_fast_path():
        outputs = _tensor(trial(given), model)
    if not torch.equal(given.nan_to_num(), rows.nan_to_num()):
        raise ConfigError(
            f"the forward of {type(model).__name__} writes into its inputs, which would change the "
            "rows of the data themselves",
            key="model",
            cure="give it a result of its own, as x = x * 2 for x *= 2, or leave inplace=True out "
            "of its first layer",
        )
    return outputs, served.drew


def _tensor(outputs: object, model: nn.Module) -> Tensor:
    if not isinstance(outputs, Tensor):
        raise ConfigError(
            f"the forward of {type(model).__name__} gives a {type(outputs).__name__}",
            key="model",
            expected="a tensor [rows, outputs]",
        )
    return outputs
