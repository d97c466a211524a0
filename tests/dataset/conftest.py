"""Each dataset over made-up files, and a web server on the loopback interface."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.made import NAMES, made_files, make


@pytest.fixture(params=NAMES)
def choice(request: pytest.FixtureRequest) -> str:
    """The name of each YAML of `conf/dataset`."""
    return request.param


@pytest.fixture
def dataset(choice: str, tmp_path: Path) -> Any:
    """Each dataset, over made-up files where it needs one; its folder is `tmp_path`."""
    return make(choice, **made_files(choice, tmp_path))


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
