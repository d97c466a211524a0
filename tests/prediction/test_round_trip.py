"""Predictions on raw test rows, bit for bit against `test_outputs.npz`, which training wrote."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import regexp
from regexp.__main__ import run as command
from regexp.dataset.windows import sliding, sunspots
from regexp.metrics.evaluate import metrics
from tests.prediction.support import ids, one_of_each, recorded, same_bytes, train, write_table
from tests.sandbox import Sandbox

ENDS_EARLY = "[dropout,early_stopping]"
FEW_SWAG, FEW_MASKS = "regularizer.swag.samples=4", "regularizer.mc_dropout.samples=4"


class Attention(nn.Module):
    """A user's own network, which only `vmap` can lift."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(input_shape[0], 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.first(x))[:, None]
        return self.last(self.attention(hidden, hidden, hidden)[0][:, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("techniques", "seeds", "more"),
    [
        ("none,[dropout,mc_dropout],swag", 2, (FEW_SWAG, FEW_MASKS)),
        (f"snapshot,[batch_norm,ema],{ENDS_EARLY}", 3, ("regularizer.early_stopping.patience=1",)),
        ("[dropout,mc_dropout],batch_ensemble", 1, (FEW_MASKS,)),
        ("swa", 2, ("trainer.precision=bfloat16",)),
    ],
    ids=["stack", "ends early", "alone", "half"],
)
def test_images_through_a_cnn(
    sandbox: Sandbox, techniques: str, seeds: int, more: tuple[str, ...]
) -> None:
    """Convolutions of several runs round otherwise than those of one."""
    runs = train(
        sandbox, f"regularizer={techniques}", f"seeds={seeds}", "model=cnn", "model.channels=[8,8]",
        "dataset.train_size=128", "dataset.test_rest=false", *more,
    )  # fmt: skip
    digits = load_digits()
    for run_id in one_of_each(runs):
        test, model = recorded(sandbox, run_id), regexp.load(run_id, sandbox.store)
        assert same_bytes(model.outputs(digits.data[test.rows]), test.outputs)
        assert np.array_equal(test.targets, digits.target[test.rows])
    quick = regexp.load(run_id, sandbox.store, exact=False)  # the last
    near = quick.outputs(digits.data[test.rows])
    assert np.allclose(near, test.outputs, atol=0.05 if "bfloat16" in str(more) else 1e-4)


def test_windows_of_a_series_through_recurrent_networks(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = train(
        sandbox, "dataset=series", "model=lstm,gru", "seeds=2",
        "regularizer=none,[dropout,mc_dropout],zoneout", FEW_MASKS,
    )  # fmt: skip
    steps = sunspots()
    for run_id in one_of_each(runs):
        test, model = recorded(sandbox, run_id), regexp.load(run_id, sandbox.store)
        windows = sliding(steps, model.record.config["dataset"]["window"])
        assert same_bytes(model.outputs(windows[test.rows]), test.outputs)
        # in the series' own unit, the forecast after the last step among them
        forecast = model.predict(pd.DataFrame(steps, columns=["SUNACTIVITY"]))
        assert len(forecast) == len(windows)
        if "mc_dropout" not in model.record.config["regularizer"]:  # masks go by place
            assert np.allclose(forecast[test.rows], test.values[:, 0], atol=1e-3)
    pd.DataFrame(steps, columns=["SUNACTIVITY"]).to_csv("steps.csv", index=False)
    capsys.readouterr()
    assert command(["predict", run_id, "steps.csv", f"paths.mlruns={sandbox.store}"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert table["row"].iloc[-1] == len(steps) - 1  # after it, nothing is known
    assert len(table) == len(windows)


@pytest.mark.parametrize("seeds", [1, 3])
def test_rows_of_a_table_with_categories_gaps_and_codes(sandbox: Sandbox, seeds: int) -> None:
    whole = write_table(Path("table.csv"))
    runs = train(
        sandbox, "dataset=table", "dataset.path=table.csv", "dataset.target=kind", f"seeds={seeds}",
        "dataset.categorical=[code]", "regularizer=none,[dropout,mc_dropout]",
    )  # fmt: skip
    lines = Path("table.csv").read_text().splitlines(keepends=True)
    for run_id in ids(runs):
        test, model = recorded(sandbox, run_id), regexp.load(run_id, sandbox.store)
        assert same_bytes(model.outputs(whole.iloc[test.rows]), test.outputs)
        Path("part.csv").write_text(lines[0] + "".join(lines[row + 1] for row in test.rows))
        assert same_bytes(model.outputs("part.csv"), test.outputs)
        scores = metrics(torch.from_numpy(model.outputs("part.csv")),
                         torch.from_numpy(test.targets), test.task)  # fmt: skip
        row = runs.set_index("run_id").loc[run_id]
        assert float(scores["accuracy"]) == row["metrics.test/accuracy"]
        assert float(scores["loss"]) == row["metrics.test/loss"]


def test_networks_that_learned_from_the_training_rows(sandbox: Sandbox) -> None:
    """Those of the seeds of a stack differ, and new rows change nothing of what was learned."""
    runs = train(
        sandbox, "dataset=wine", "model=mlp_ple,mlp_plr,realmlp", "model.hidden=[8]", "seeds=2",
        "regularizer=none",
    )  # fmt: skip
    from sklearn.datasets import load_wine

    values = load_wine().data
    for run_id in ids(runs):
        test, model = recorded(sandbox, run_id), regexp.load(run_id, sandbox.store)
        assert same_bytes(model.outputs(values[test.rows]), test.outputs)
        near = model.outputs(values[test.rows][:1])
        assert np.allclose(near, test.outputs[:1], atol=1e-5)


class Tokens(nn.Module):
    """Attention between the numbers of a row."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(1, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.last = nn.Linear(16, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.first(x[..., None]))
        return self.last(self.attention(hidden, hidden, hidden)[0].mean(-2))


@pytest.mark.parametrize(("size", "together"), [(1, [[0]] * 3), (2, [[0, 1], [0, 1], [0]])])
def test_runs_of_a_stack_that_did_not_all_train_at_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, size: int, together: list[list[int]]
) -> None:
    """Torch's attention has a way of its own in a network that is not lifted."""
    own = f"{__name__}.Tokens"
    monkeypatch.setattr("regexp.sweeps.job.at_once", lambda *_: size)
    runs = train(
        sandbox, "dataset=wine", "~model.hidden", "~model.activation", "seeds=3",
        f"model._target_={own}", "regularizer=none",
    )  # fmt: skip
    from sklearn.datasets import load_wine

    values = load_wine().data
    for run_id, seed in zip(ids(runs), runs["seed"].astype(int), strict=True):
        test, model = recorded(sandbox, run_id), regexp.load(run_id, sandbox.store, allow=[own])
        assert model.record.together == together[seed]
        assert model.record.config["seed"] == seed
        assert same_bytes(model.outputs(values[test.rows]), test.outputs)


def test_a_network_of_a_users_own(sandbox: Sandbox) -> None:
    own = f"{__name__}.Attention"
    runs = train(
        sandbox, "dataset=wine", "~model.hidden", "~model.activation", "seeds=3",
        f"model._target_={own}", "regularizer=none,swag", FEW_SWAG,
    )  # fmt: skip
    from sklearn.datasets import load_wine

    values = load_wine().data
    for run_id in one_of_each(runs):
        with pytest.raises(ValueError, match=f"--allow {own}"):
            regexp.load(run_id, sandbox.store)
        test, model = recorded(sandbox, run_id), regexp.load(run_id, sandbox.store, allow=[own])
        assert same_bytes(model.outputs(values[test.rows]), test.outputs)
