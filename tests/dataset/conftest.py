"""Small files of data, a web server on the loopback interface, and the real data where they lie."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from regexp.dataset.base import Dataset

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "conf" / "dataset").glob("*.yaml"))

GALAXY_HEADER = (
    "OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,"
    "SPIRAL,ELLIPTICAL,UNCERTAIN"
)


def make(name: str, **overrides: Any) -> Any:
    """The dataset of `conf/dataset/<name>.yaml`, as Hydra makes it."""
    config = OmegaConf.load(ROOT / "conf" / "dataset" / f"{name}.yaml")
    try:
        return instantiate(config, **overrides)
    except InstantiationException as error:
        raise error.__cause__ or error from None  # what the dataset said


def galaxy_lines(rows: int = 120) -> list[str]:
    """A table of made-up galaxies: 1/4 spiral, 1/4 elliptical, 1/2 uncertain."""
    random = np.random.default_rng(0)
    lines = [GALAXY_HEADER]
    for row in range(rows):
        votes = random.dirichlet(np.ones(6))
        spirals = votes[1:4].sum()
        values = [*votes, spirals, votes[0], spirals]
        flags = ["1,0,0", "0,1,0", "0,0,1", "0,0,1"][row % 4]
        fractions = ",".join(f"{value:.3f}" for value in values)
        lines.append(f"{587727178986356823 + row},00:00:01.5,-10:22:25.7,40,{fractions},{flags}")
    return lines


def wine_lines(rows: int = 120) -> list[str]:
    """A table of made-up wines with the marks 5, 6 and 7."""
    random = np.random.default_rng(0)
    names = (
        '"fixed acidity";"volatile acidity";"citric acid";"residual sugar";"chlorides";'
        '"free sulfur dioxide";"total sulfur dioxide";"density";"pH";"sulphates";"alcohol";'
        '"quality"'
    )
    return [names] + [
        ";".join(f"{value:.3f}" for value in random.random(11)) + f";{5 + row % 3}"
        for row in range(rows)
    ]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def galaxies(tmp_path: Path) -> Callable[..., Dataset]:
    """Make the galaxies of a made-up table in `tmp_path`."""
    write(tmp_path / "galaxies.csv", galaxy_lines())
    return lambda **overrides: make(
        "galaxies", **{"file": "galaxies.csv", "sha256": None, **overrides}
    )


@pytest.fixture(params=NAMES)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Each dataset, over made-up files where it needs one; its folder is `tmp_path`."""
    write(tmp_path / "galaxies.csv", galaxy_lines())
    write(tmp_path / "wine_quality.csv", wine_lines())
    file = f"{request.param}.csv"
    if (tmp_path / file).exists():
        return make(request.param, file=file, sha256=None)
    return make(request.param)


@pytest.fixture
def real_data() -> Path:
    """The folder of the real files; the test skips where there is none."""
    folder = Path(os.environ.get("REGEXP_DATA") or ROOT.parent / "shared" / "data")
    for file in ("gz1_table2_subset_6185.csv", "winequality-red.csv"):
        if not (folder / file).is_file():
            pytest.skip(f"no {file} in {folder}; set REGEXP_DATA to the folder that has it")
    return folder


@dataclass
class Server:
    """A web server: `files` maps a path to what it answers."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: bool = False
    """Whether answers stop half-way."""
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on the loopback interface that any proxy setting is bypassed for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            body = state.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if state.cut else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.address = f"http://127.0.0.1:{httpd.server_port}"
        yield state
        httpd.shutdown()
        thread.join()
