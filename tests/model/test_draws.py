"""What networks draw themselves: torch's distributions, by the module, its call and the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.draws import Draws, NoDraws, probe
from regexp.random import Rng, global_states, moved
from regexp.stack.streams import StackedRng
from regexp.stack.vmapped import Vmapped

ROWS, FEATURES = 400, 50
ONES = torch.ones(ROWS, FEATURES)


def draw(network: nn.Module, x: Tensor, rng: Rng) -> Tensor:
    """A pass of a network in training mode, served from a stream."""
    with Draws(network.named_modules()).served(rng):
        return network.train()(x)


class Twice(nn.Module):
    """One dropout at two places, as in many networks of torch's; gives both masks."""

    def __init__(self, p: float = 0.5, between: int = 0) -> None:
        super().__init__()
        self.drop = nn.Dropout(p)
        self.other = nn.Dropout(p)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        first = self.drop(x)
        for _ in range(self.between):
            self.other(x)
        return torch.stack([first, self.drop(x)])


def test_a_module_that_is_called_twice_draws_twice() -> None:
    first, second = draw(Twice(), ONES, Rng(0, "step", 0))
    masks = torch.stack([first, second]).flatten(1) > 0
    correlation = torch.corrcoef(masks.float())[0, 1]
    assert abs(float(correlation)) < 5 / (ROWS * FEATURES) ** 0.5
    shares = masks.float().mean(1)
    assert torch.allclose(shares, torch.tensor(0.5), atol=5 * 0.5 / (ROWS * FEATURES) ** 0.5)


def test_passes_of_a_step_agree_and_others_differ() -> None:
    one, same, other, seed = (
        draw(Twice(), ONES, Rng(seed, "step", step))
        for seed, step in [(0, 0), (0, 0), (0, 1), (1, 0)]
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one, seed)


@pytest.mark.parametrize("between", [1, 3])
def test_the_calls_of_one_module_do_not_move_the_draws_of_another(between: int) -> None:
    rng = Rng(0, "step", 0)
    assert torch.equal(draw(Twice(), ONES, rng), draw(Twice(between=between), ONES, rng))


def test_nothing_is_drawn_from_the_global_state_and_nothing_is_left_behind() -> None:
    network, before = Twice(), global_states()
    draw(network, ONES, Rng(0, "step", 0))
    assert not moved(before)
    assert "forward" not in vars(network)
    network(ONES)  # without a stream it is torch's own
    assert moved(before) == ["torch"]


def test_a_forward_that_a_user_has_put_on_a_module_stays() -> None:
    network = nn.Dropout(0.5)
    own = network.forward
    network.forward = lambda x: own(x) + 1  # type: ignore[method-assign, assignment]
    given = vars(network)["forward"]
    assert draw(network, ONES, Rng(0, "step", 0)).unique().tolist() == [1, 3]
    assert vars(network)["forward"] is given


class Calls(nn.Module):
    """A module that calls a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "dropout": (lambda x: F.dropout(x, 0.2), 1, 0.5),
    "bernoulli": (lambda x: torch.bernoulli(x * 0.3), 0.3, 0.21**0.5),
    "rand": (lambda x: torch.rand(x.shape), 0.5, 12**-0.5),
    "rand_like": (torch.rand_like, 0.5, 12**-0.5),
    "randn": (lambda x: torch.randn(x.shape), 0, 1),
    "randn_like": (torch.randn_like, 0, 1),
    "randint": (lambda x: torch.randint(3, x.shape).float(), 1, (2 / 3) ** 0.5),
    "randint from": (lambda x: torch.randint(2, 5, x.shape).float(), 3, (2 / 3) ** 0.5),
    "randint_like": (lambda x: torch.randint_like(x, 3), 1, (2 / 3) ** 0.5),
    "randint_like from": (lambda x: torch.randint_like(x, 2, 5), 3, (2 / 3) ** 0.5),
    "normal": (lambda x: torch.normal(x, 2.0), 1, 2),
    "poisson": (lambda x: torch.poisson(2 * x), 2, 2**0.5),
    "multinomial": (lambda x: torch.multinomial(x[:, :3], 1).float(), 1, (2 / 3) ** 0.5),
    "gamma": (lambda x: torch._standard_gamma(3 * x), 3, 3**0.5),
    "exponential": (lambda x: torch.empty_like(x).exponential_(2.0), 0.5, 0.5),
    "native dropout": (lambda x: torch.native_dropout(x, 0.2, True)[0], 1, 0.5),
    "leaky": (lambda x: F.rrelu(-x, 0.1, 0.3, True), -0.2, 0.2 * 12**-0.5),
    "transposed": (lambda x: F.dropout(x.T, 0.2).T, 1, 0.5),
}
"""Functions of ones, the mean and the standard deviation of what they give."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_torchs_functions_have_their_distributions_and_each_run_its_own(name: str) -> None:
    function, mean, deviation = FUNCTIONS[name]
    network, before = Calls(function), global_states()
    alone = [draw(network, ONES, Rng(seed, "step", 0)) for seed in (3, 4)]
    assert not moved(before)
    for values in alone:
        count = values.numel()
        assert float(values.mean()) == pytest.approx(mean, abs=5 * deviation / count**0.5)
        assert float(values.std()) == pytest.approx(deviation, rel=0.15)
    assert not torch.equal(*alone)
    if name == "leaky":
        return  # torch has no rule to vmap it; the layer is tried in a stack
    with Draws([("", network)]).served(StackedRng((3, 4), "step", 0)):
        stacked = Vmapped([network, network])(torch.stack([ONES, ONES]))
    assert torch.equal(stacked, torch.stack(alone))


def test_permutations_in_a_stack_are_those_of_the_runs() -> None:
    network = Calls(lambda x: x[torch.randperm(len(x))])
    rows = torch.arange(30.0)
    alone = [draw(network, rows, Rng(seed, "step", 0)) for seed in (3, 4, 5)]
    with Draws([("", network)]).served(StackedRng((3, 4, 5), "step", 0)):
        stacked = Vmapped([network] * 3)(torch.stack([rows] * 3))
    assert torch.equal(stacked, torch.stack(alone))
    assert torch.equal(stacked.sort().values, torch.stack([rows] * 3))
    assert len({tuple(one.tolist()) for one in alone}) == 3


def test_probe_names_the_modules_that_draw_in_training() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True)
            self.sure = nn.Dropout(0.0)
            self.norm = nn.BatchNorm1d(4)
            self.last = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3))

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(x)[:, None]
            return F.dropout(self.last(self.sure(self.attention(x, x, x)[0])), 0.1, self.training)

    network = Own()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert probe(network, torch.randn(1, 4), Rng(0)) == {"", "attention", "last.1"}
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])  # running statistics stay
    assert not probe(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.randn(1, 4), Rng(0))


def test_a_kernel_that_draws_inside_is_refused_by_name() -> None:
    library = torch.library.Library("regexp_test", "DEF")
    library.define("noise(Tensor x) -> Tensor", tags=(torch.Tag.nondeterministic_seeded,))
    library.impl("noise", lambda x: x + torch.rand_like(x), "CompositeExplicitAutograd")
    with pytest.raises(ConfigError, match=r"regexp_test\.noise.*inside a kernel"):
        draw(Calls(torch.ops.regexp_test.noise), ONES, Rng(0))


def test_draws_that_all_runs_would_share_are_refused() -> None:
    network = Calls(lambda x: x + torch.rand(7))
    with (
        Draws([("", network)]).served(StackedRng((3, 4), "step", 0)),
        pytest.raises(ConfigError, match="the same for all runs"),
    ):
        network(torch.ones(2, 7))  # as a module that says it broadcasts


def test_a_backward_pass_that_draws_again_is_refused() -> None:
    from torch.utils.checkpoint import checkpoint

    network = Calls(lambda x: checkpoint(lambda x: F.dropout(x.exp(), 0.5), x, use_reentrant=False))
    x = torch.ones(3, 4, requires_grad=True)
    outputs = draw(network, x, Rng(0)).sum()
    with pytest.raises(ConfigError, match=r"bernoulli_.*gradients would be wrong"), NoDraws():
        outputs.backward()
