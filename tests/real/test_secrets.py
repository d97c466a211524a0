"""A planted password is looked for in the database, the artifacts, files and all that is said."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults.test_secrets import contents
from tests.real.machines import Machine
from tests.real.servers import ADMIN, ADMIN_PASSWORD, Servers
from tests.sandbox import SMALL

pytestmark = pytest.mark.real

# Its parts: whole, quoted, or as HTTP has them.
BASIC = base64.b64encode(f"{ADMIN}:{ADMIN_PASSWORD}".encode()).decode()
PARTS = [part for part in re.split(r"\W+", ADMIN_PASSWORD) if len(part) > 4]
SECRET = re.compile("|".join([*PARTS, re.escape(BASIC)]).encode(), re.IGNORECASE)
SWEEP = ("-m", "regularizer=none,l1", *SMALL, "figures=true", "yardsticks=true",
         "tracking.experiment=secrets")  # fmt: skip


def places(servers: Servers, folder: Path, printed: str) -> Iterator[tuple[str, bytes]]:
    """All that there is of a team: (what it is, its bytes)."""
    yield from contents(folder)
    for key, stored in servers.s3.objects().items():
        yield f"S3: {key}", stored
    yield "PostgreSQL", servers.postgres.dump("mlflow")
    yield "printed", printed.encode()


def test_a_password_in_the_address_or_the_environment_stands_nowhere(
    servers: Servers, tmp_path: Path
) -> None:
    address = servers.mlflow.address.replace("//", f"//{ADMIN}:{quote(ADMIN_PASSWORD, safe='')}@")
    machine = Machine("here", tmp_path, servers)
    inside = Machine("here", tmp_path, servers, user="", password="")
    told = [inside.run(*SWEEP, f"tracking.uri={address}")]
    sweep_id = re.findall(r"regexp compare (\w+)", told[0])[0]
    ours = (f"tracking.uri={address}",)
    told.append(inside.run("export", sweep_id, "sweep.zip", *ours))
    told.append(inside.run("compare", sweep_id, "figures=false", *ours))
    told.append(inside.run("--cfg", "job", *SWEEP[2:], *ours))
    told.append(machine.run(*SWEEP, "trainer.epochs=3", "figures=false", "debug=true"))
    told.append(inside.run(*SWEEP, f"tracking.uri={address.replace('@', 'x@')}", code=2))
    assert "the server refuses the login (401); set MLFLOW_TRACKING_USERNAME" in told[-1]
    found = list(places(servers, tmp_path, "".join(told)))
    assert len([place for place, _ in found if place.startswith("S3: ")]) > 20
    assert sweep_id.encode() in dict(found)["PostgreSQL"]
    assert [place for place, content in found if SECRET.search(content)] == []
    planted = f"{tmp_path}/planted"
    Path(planted).write_text(f"http://{ADMIN}:{ADMIN_PASSWORD}@host")
    again = places(servers, tmp_path, "")
    assert [place for place, content in again if SECRET.search(content)] == [planted]
