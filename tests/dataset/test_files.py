"""Files are found, downloaded and checked; each failure says what to do."""

from __future__ import annotations

import hashlib
import socket
import sys

import pooch
import pytest
import requests
from requests import exceptions

from regexp.addresses import withhold
from regexp.dataset.base import DataError
from tests.dataset.made import make, wine_lines, write

NAME = "winequality-red.csv"
CONTENT = "".join(f"{line}\n" for line in wine_lines()).encode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


def online(server, **overrides):
    """The wines, as if `server` were their publisher."""
    known = {NAME: SHA256}
    return make("wine_quality", url=f"{server.address}/data/{NAME}", known=known, **overrides)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_missing_file_is_downloaded_once(server, tmp_path, capfd):
    server.files[f"/data/{NAME}"] = CONTENT
    folder = tmp_path / "new" / "data"
    data = online(server).load(0, folder)
    assert data.checksum == SHA256
    assert data.source == f"{server.address}/data/{NAME}"
    assert (folder / NAME).read_bytes() == CONTENT
    assert names(folder) == [NAME]
    online(server).load(0, folder)
    assert len(server.requests) == 1
    assert "Downloading" not in capfd.readouterr().err


def test_download_shows_progress_in_a_terminal(server, tmp_path, monkeypatch, capsys):
    server.files[f"/data/{NAME}"] = CONTENT
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    online(server).load(0, tmp_path)
    assert "100%" in capsys.readouterr().err


def test_file_that_is_there_is_not_downloaded(server, tmp_path):
    write(tmp_path / NAME, wine_lines())
    assert online(server).load(0, tmp_path).checksum == SHA256
    assert server.requests == []


def test_download_with_a_wrong_checksum_is_not_kept(server, tmp_path):
    server.files[f"/data/{NAME}"] = CONTENT + b"\n"
    with pytest.raises(DataError) as caught:
        online(server).load(0, tmp_path)
    for part in (server.address, NAME, SHA256, "dataset.sha256"):
        assert part in str(caught.value)
    assert names(tmp_path) == []


def test_any_download_is_accepted_if_asked_for(server, tmp_path):
    server.files[f"/data/{NAME}"] = CONTENT + b"\n"
    data = online(server, sha256=None).load(0, tmp_path)
    assert data.checksum == hashlib.sha256(CONTENT + b"\n").hexdigest()
    assert data.source == str(tmp_path / NAME)  # not what the address is known to give


def test_an_address_with_a_token_gives_the_file_and_is_told_without_it(server, tmp_path):
    address = f"{server.address}/data/{NAME}"
    server.files[f"/data/{NAME}?token=secret"] = CONTENT
    url = withhold(f"{address}?token=secret")
    data = make("wine_quality", url=url, known={NAME: SHA256}).load(0, tmp_path)
    assert data.source == url == address
    assert names(tmp_path) == [NAME]
    server.files.clear()
    with pytest.raises(DataError, match="404") as caught:
        make("wine_quality", url=url, known={NAME: SHA256}).load(0, tmp_path / "other")
    assert "secret" not in str(caught.value)


def test_download_that_breaks_off_is_not_kept(server, tmp_path):
    server.files[f"/data/{NAME}"] = CONTENT
    server.cut = True
    with pytest.raises(DataError, match="could not be downloaded"):
        online(server).load(0, tmp_path)
    assert names(tmp_path) == []


def test_address_that_is_gone(server, tmp_path):
    with pytest.raises(DataError, match="404"):
        online(server).load(0, tmp_path)


@pytest.mark.parametrize("cut", [False, True])
def test_a_download_that_fails_leaves_no_connection_open(server, tmp_path, monkeypatch, cut):
    send, responses = requests.Session.send, []

    def noted(self, request, **options):
        responses.append(send(self, request, **options))
        return responses[-1]

    monkeypatch.setattr(requests.Session, "send", noted)
    server.files |= {f"/data/{NAME}": CONTENT} if cut else {}
    server.cut = cut
    with pytest.raises(DataError):
        online(server).load(0, tmp_path)
    assert [response.raw.closed for response in responses] == [True]


def test_offline(tmp_path, monkeypatch):
    """The error names the address, the file name expected and the folder."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
        with pytest.raises(DataError) as caught:
            make("wine_quality", url=url).load(0, tmp_path / "new" / "data")
    path = tmp_path / "new" / "data" / NAME
    for part in (url, f"save it as {path}", "paths.data", "(connection refused)"):
        assert part in str(caught.value)
    assert names(tmp_path) == [], "folders that nothing was put into"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            exceptions.ConnectionError(
                "HTTPSConnectionPool(host='x', port=443): Max retries exceeded (Caused by "
                "NameResolutionError(\"Failed to resolve 'x' ([Errno -2])\"))"
            ),
            "no network: the host's name was not resolved",
        ),
        (exceptions.ConnectTimeout("HTTPSConnectionPool(...)"), "timed out"),
        (exceptions.ProxyError("HTTPSConnectionPool(...)"), "the proxy does not let it through"),
        (exceptions.SSLError("HTTPSConnectionPool(...)"), "the server's certificate"),
        (exceptions.ChunkedEncodingError("IncompleteRead(...)"), "the connection broke off"),
        (exceptions.ConnectionError("HTTPSConnectionPool(...)"), "the connection failed"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reason_of_a_failed_download_is_in_plain_words(tmp_path, monkeypatch, error, reason):
    def fails(*args, **kwargs):
        raise error

    monkeypatch.setattr(pooch, "retrieve", fails)
    with pytest.raises(DataError) as caught:
        make("wine_quality").load(0, tmp_path)
    assert reason in str(caught.value)
    assert "(...)" not in str(caught.value)


def test_local_file_with_a_wrong_checksum(tmp_path):
    write(tmp_path / NAME, wine_lines())
    with pytest.raises(DataError) as caught:
        make("wine_quality").load(0, tmp_path)
    expected = make("wine_quality").known[NAME]
    for part in (str(tmp_path / NAME), expected, f"dataset.sha256={SHA256}", "sha256=null"):
        assert part in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256.upper()])
def test_local_file_with_a_checksum_of_ones_own(tmp_path, sha256):
    write(tmp_path / NAME, wine_lines())
    assert make("wine_quality", sha256=sha256).load(0, tmp_path).checksum == SHA256


def test_file_of_ones_own_needs_a_checksum_of_its_own(tmp_path):
    path = write(tmp_path / "mine.csv", wine_lines())
    with pytest.raises(ValueError, match=r"dataset.sha256: no checksum is known for .* mine.csv"):
        make("wine_quality", file="mine.csv")
    with pytest.raises(DataError, match="expected"):
        make("wine_quality", file="mine.csv", sha256=OTHER).load(0, tmp_path)
    for file in ("mine.csv", str(path)):
        data = make("wine_quality", file=file, sha256=SHA256).load(0, tmp_path)
        assert data.checksum == SHA256
        assert data.source == str(path)


def test_file_of_ones_own_that_is_missing_is_not_downloaded(server, tmp_path):
    with pytest.raises(DataError, match=r"dataset.file: no file 'mine.csv' in .*paths.data"):
        online(server, file="mine.csv", sha256=None).load(0, tmp_path)
    assert server.requests == []


def test_known_files_are_looked_for_in_order(server, tmp_path):
    for file in ("second.csv", "first.csv"):
        write(tmp_path / file, wine_lines())
    known = {NAME: OTHER, "first.csv": SHA256, "second.csv": SHA256}
    dataset = make("wine_quality", url=f"{server.address}/{NAME}", known=known)
    assert dataset.load(0, tmp_path).source.endswith("first.csv")


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, 7])
def test_checksum_that_is_none(sha256):
    with pytest.raises(ValueError, match=r"dataset.sha256: expected 64 hexadecimal digits"):
        make("wine_quality", sha256=sha256)
    with pytest.raises(ValueError, match=rf"dataset.known.{NAME}: expected 64 hexadecimal"):
        make("wine_quality", known={NAME: sha256})
