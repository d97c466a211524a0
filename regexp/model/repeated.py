"""Noise of techniques in modules that a network calls several times in a pass.

Each call has its own. What counts is how often the module that a layer serves is called, such as
its `Block`: a recurrent layer that goes through its states with one mask for all times is called
once. The first call's noise is the buffer `noise`, the others' are `noise1`, `noise2` and so on.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import nn

from regexp.errors import ConfigError
from regexp.model.noise import Noise, owner_of


class Repeated:
    """The noise layers of a network that are called several times in a pass.

    Args:
        networks: equal in names: of one run, and perhaps the same lifted.
        wrappers: kinds of modules whose calls do not count, since they call what they wrap.
    """

    def __init__(
        self, networks: Sequence[nn.Module], wrappers: tuple[type[nn.Module], ...] = ()
    ) -> None:
        self._layers: dict[int, tuple[str, Noise]] = {}
        self._owners: dict[int, tuple[str, nn.Module]] = {}
        for network in networks:
            for name, layer in network.named_modules():
                if isinstance(layer, Noise) and layer.further:
                    path = owner_of(name, networks[0])
                    owner = network.get_submodule(path)
                    self._layers[id(layer)] = path, layer
                    if not isinstance(owner, wrappers):
                        self._owners[id(owner)] = path, owner

    def __bool__(self) -> bool:
        return bool(self._layers)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """One pass, in which every call of an owner gets the noise of its number."""
        calls: Counter[str] = Counter()
        with contextlib.ExitStack() as stack:
            for name, layer in self._layers.values():
                stack.enter_context(replaced(layer, partial(_choose, calls, name, layer)))
            for name, owner in self._owners.values():
                stack.enter_context(replaced(owner, partial(_count, calls, name)))
            yield

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """A backward pass, in which a layer that is called cannot know the number of its call."""
        with contextlib.ExitStack() as stack:
            for name, layer in self._layers.values():
                stack.enter_context(replaced(layer, partial(_refuse, name)))
            yield


@contextlib.contextmanager
def replaced(module: nn.Module, call: Callable[..., Any]) -> Iterator[None]:
    """For a while have a module's forward be `call(its forward, *inputs)`.

    Not by a hook of torch's: modules that have one take other paths.
    """
    attributes = vars(module)
    before = attributes.get("forward")
    attributes["forward"] = partial(call, module.forward)
    try:
        yield
    finally:
        del attributes["forward"]
        if before is not None:
            attributes["forward"] = before


def _count(
    calls: Counter[str], name: str, forward: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    calls[name] += 1
    return forward(*args, **kwargs)


def _refuse(name: str, *_: Any, **__: Any) -> Any:
    raise ConfigError(
        f"the backward pass of the network calls {name or 'it'} again, with other noise than the "
        "forward pass, so that its gradients would be wrong",
        key="model",
        cure="torch.utils.checkpoint does so: leave it out, or the technique that adds the noise",
    )


def _choose(
    calls: Counter[str],
    name: str,
    layer: Noise,
    forward: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call a layer's forward with the noise of this call of its owner."""
    index = calls[name] - 1
    if index == 0:
        return forward(*args, **kwargs)
    if index > len(layer.further):
        raise ConfigError(
            f"its forward calls {name or 'a layer'} {index + 1} times, more often than when it was "
            "tried",
            key="model",
            cure="call modules that have noise equally often in every pass",
        )
    buffers, own = layer._buffers, layer.noise_buffers[index]
    buffers["noise"], buffers[own] = buffers[own], buffers["noise"]
    try:
        return forward(*args, **kwargs)
    finally:
        buffers["noise"], buffers[own] = buffers[own], buffers["noise"]
