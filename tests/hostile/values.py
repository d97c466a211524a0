"""Values that a configuration may be given, of every kind, and most of them wrong."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

WORDS = (
    "", " ", "a", "none", "null", "???", "auto", "cuda:99", "cuda:99999999999999999999", "nan",
    "inf", "1e3", "0x10", "1_000", "true", "10%", "5min", "0s", "${oc.env:HOME}",
    "${lengths.steps}", "${.x}", "${nothing}", "${", "${a:b,c}", "${seeds}", "\0", "\ud800", "\n",
    "x" * 1000, "../../etc", "/", ".", "~nobody/x", "a.b", "a..b", "=", "'", "é", "float32",
    "classification", "mean", "cos", "epoch",
)  # fmt: skip

# Nothing here does harm when it is called with no matter what.
TARGETS = (
    "", ".", "..", "a", "a..b", "json.dumps", "json", "os.nothing", "math.inf", "math.sqrt",
    "builtins.dict", "builtins.int", "builtins.object", "collections.OrderedDict",
    "torch.nn.Linear", "torch.optim.Adam", "torch.optim.LBFGS", "torch.optim.lr_scheduler.StepLR",
    "torch.nn.Identity", "regexp.model.mlp.MLP", "regexp.regularizer.l1.L1",
    "regexp.dataset.bundled.Iris", "x y", "é.é", "regexp.regularizer.base.Regularizer",
    "regexp.dataset.base.Dataset", "regexp", "builtins.None", "functools.partial", "abc.ABC",
    "typing.Any", "builtins.ValueError", ".relative",
)  # fmt: skip

NUMBERS = (
    0, 1, -1, 2, 3, 7, 64, 10**9, -(10**9), 2**31, 2**63, 2**64, 10**30, -(10**30), 10**400, True,
    False, 0.0, -0.0, 0.5, 1.0, 1.5, -0.1, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip

scalars: st.SearchStrategy[Any] = (
    st.sampled_from(NUMBERS)
    | st.sampled_from(WORDS)
    | st.none()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
keys: st.SearchStrategy[Any] = (
    st.sampled_from(("_target_", "_args_", "_partial_", "_recursive_", "_convert_"))
    | st.sampled_from(("search", "strength", "a", "", 1, None, True, 1.5))
    | st.text(max_size=4)
)
targets = st.sampled_from(TARGETS) | scalars


@st.composite
def nodes(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[Any, Any]:
    """A mapping, which often names a target."""
    made = draw(st.dictionaries(keys, inner, max_size=3))
    if draw(st.booleans()):
        made["_target_"] = draw(targets)
    return made


values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | nodes(inner), max_leaves=6
)
