"""What makes two searches the same, and two of the same that were asked for more or less."""

from __future__ import annotations

import hashlib
import json

from omegaconf import OmegaConf

from regexp.config.values import plain
from regexp.search.sampler import require
from regexp.search.space import Space
from regexp.sweeps.identity import code
from regexp.sweeps.plan import plan

ENDS = ("trials", "budget", "finalists", "seeds", "folder", "workers")
"""Of `search.*`, what changes no batch: a search goes on where one with others of these ended."""


def key_of_search(space: Space) -> str:
    """What makes two searches the same: data, network, code, and all that batches follow from."""
    first = plan(space.config)[0]  # without a technique
    asked = {key: value for key, value in plain(space.config.search).items() if key not in ENDS}
    nodes = {name: one.node for name, one in space.techniques.items()}
    ranges = {d.key: d.text for one in space.techniques.values() for d in one.dimensions}
    chosen = {group: {name: OmegaConf.to_container(node) for name, node in there.items()}
              for group, there in space.searched.nodes.items()}  # fmt: skip
    called = code(first.config | {"regularizer": nodes, **chosen})
    called["optuna"] = str(require().__version__)
    content = [first.fingerprint, asked, nodes, ranges, chosen, called]
    text = json.dumps([*content, space.config.compare.metric])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def end_of_search(space: Space) -> str:
    """Where a search ended of which somebody was told what came of it: the tag `search.told`."""
    asked = plain(space.config.search)
    return json.dumps({name: asked[name] for name in ENDS if name != "workers"})
