"""`docs/predicting.md` from its first line to MLflow's answer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import regexp
from regexp.__main__ import run
from tests.sandbox import Sandbox
from tests.shown import ROOT, blocks, commands, write_files

PAGE = (ROOT / "docs" / "predicting.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_from_a_table_to_a_served_prediction(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_files(PAGE, sandbox.folder) == ["make_orders.py"]
    exec(Path("make_orders.py").read_text(), {})
    train, compare, predict, *exports = [command[1:] for command in commands(PAGE)]

    assert sandbox.run(*train, "trainer.epochs=5", "yardsticks=false") == 0
    [sweep_id] = sandbox.parents()
    store = f"paths.mlruns={sandbox.store}"
    assert (
        run([word.replace("SWEEP_ID", sweep_id) for word in compare] + ["figures=false", store])
        == 0
    )
    run_id = regexp.open_sweep(sweep_id, mlruns=sandbox.store).best

    def with_ids(text: str) -> str:
        return text.replace("SWEEP_ID", sweep_id).replace("RUN_ID", run_id)

    assert run([*map(with_ids, predict), store]) == 0
    predicted = pd.read_csv("predicted.csv")
    [script] = [block for block in blocks(PAGE, "python") if "regexp.load" in block]
    names: dict[str, object] = {}
    script = script.replace('"RUN_ID"', f'"{run_id}", {str(sandbox.store)!r}')
    exec(script, names)
    assert np.array_equal(predicted["prediction"], names["classes"])  # type: ignore[arg-type]
    written = predicted[["probability_no", "probability_yes"]].to_numpy()
    assert np.allclose(written, names["probabilities"], rtol=1e-15)  # type: ignore[arg-type]
    assert run([*map(with_ids, exports[0]), store]) == 0
    assert Path("model.pt2").is_file()

    shell = re.sub(r"\\\n", " ", "\n".join(blocks(PAGE, "sh")))
    [served] = [line for line in shell.splitlines() if line.startswith("mlflow models predict")]
    uri = f"sqlite:///{sandbox.store}/mlflow.db"
    done = subprocess.run(
        [sys.executable, "-m", *with_ids(served).split(), "-o", "out.json"],
        check=False, capture_output=True, text=True, env={**os.environ, "MLFLOW_TRACKING_URI": uri},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = pd.DataFrame(json.loads(Path("out.json").read_text())["predictions"])
    assert answers["prediction"].tolist() == predicted["prediction"].tolist()
    assert np.allclose(answers[["probability_no", "probability_yes"]], written, rtol=1e-12)
