"""A sweep in one zip file: all that another person needs to look at it and to run it again.

The same sweep gives the same bytes. A digest tells damage, not malice: it is no signature.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from regexp import __version__
from regexp.errors import ConfigError
from regexp.rerun.archive import encode, layout, schema
from regexp.rerun.archive.unpack import Members, refusing
from regexp.rerun.original import Original, OriginalSweep

Content = bytes | Path
"""Of a member: itself, or the file that holds it."""

# All members carry the first moment that zip files know.
_TIME = (1980, 1, 1, 0, 0, 0)
_COMPRESSED = (".pt", ".png", ".jpg", ".zip")  # already


def write_archive(
    sweep: OriginalSweep,
    files: Mapping[str, Content],
    path: Path,
    checkpoints: Mapping[str, Content] | None = None,
) -> None:
    """Write a sweep into a new archive; a reader sees the whole of it or nothing.

    Args:
        files: the sweep's tables and figures: relative name -> content.
        checkpoints: run id -> its `last.pt`.

    Raises:
        ConfigError: there is such a file already, it cannot be written, or the sweep holds what
            an archive cannot.
    """
    check_new(path)
    if not sweep.runs:
        raise ConfigError(f"the sweep {sweep.name} has no runs, so there is nothing to export")
    members = _members(sweep, files, checkpoints or {})
    digests = {name: _digest(content) for name, content in sorted(members.items())}
    manifest = {
        "format": schema.FORMAT,
        "written_by": f"regexp {__version__}",
        "sweep_id": sweep.sweep_id,
        "name": sweep.name,
        "runs": len(sweep.runs),
        "members": digests,
    }
    members[layout.MANIFEST] = encode.json_bytes(manifest)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(unfinished, "x") as archive:
            for name, content in sorted(members.items()):
                _add(archive, name, content)
        _proofread(unfinished, path)
        unfinished.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{path}: cannot be written ({reason}); choose a place that you may write and that "
            "has room"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def check_new(path: Path) -> None:
    """Make sure that nothing would be overwritten.

    Raises:
        ConfigError: there is such a file already.
    """
    if os.path.lexists(path):
        raise ConfigError(
            f"{path}: there is such a file already, and nothing is overwritten; remove it or "
            "choose another name"
        )


def read_archive(path: Path) -> OriginalSweep:
    """Read an archive that anybody may have written. Nothing is unpacked to disk.

    Checkpoints are read, and their digests compared, when they are asked for; until then the file
    must stay where it is.

    Raises:
        ConfigError: whatever is wrong with it, naming the file and the member.
    """
    with Members(path) as members:
        content = members.read(layout.MANIFEST, layout.DOCUMENT_BYTES)
        with refusing(path, layout.MANIFEST):
            if (version := schema.read_version(content)) != schema.FORMAT:
                raise ConfigError(
                    f"it is of version {version} of the format, and this regexp ({__version__}) "
                    f"reads version {schema.FORMAT}",
                    key=str(path),
                    cure="install another regexp",
                )
            manifest = schema.read_manifest(content)
        with refusing(path):
            layout.check_members(members.names, manifest.runs, manifest.members)
        digests = manifest.members
        for name in sorted(digests):
            if name.startswith(layout.ARTIFACTS) or name == layout.README:
                members.check(name, layout.ARTIFACT_BYTES, digests[name])

        def document(name: str, reader: Callable[[bytes], Any], limit: int) -> Any:
            weight = layout.YAML_WEIGHT if name.endswith(".yaml") else 1
            content = members.read(name, limit, digests[name], weight)
            with refusing(path, name):
                return reader(content)

        settings = document(layout.SETTINGS, schema.read_settings, layout.SETTINGS_BYTES)
        runs = []
        for number in range(1, manifest.runs + 1):
            folder = layout.folder(number)
            parts: dict[str, Any] = {
                name.partition(".")[0]: document(folder + name, reader, limit)
                for name, (reader, limit) in layout.RUN.items()
            }
            load: Callable[[], dict[str, Any] | None] = _nothing
            if folder + layout.LAST in digests:
                last = folder + layout.LAST
                load = partial(_load, path.absolute(), last, digests[last])
            runs.append(Original(**parts.pop("run"), **parts, load_last=load))
    return OriginalSweep(manifest.sweep_id, manifest.name, runs, settings, str(path))


def _members(
    sweep: OriginalSweep, files: Mapping[str, Content], checkpoints: Mapping[str, Content]
) -> dict[str, Content]:
    """Name -> content of everything but the manifest."""
    members: dict[str, Content] = {layout.README: layout.readme(sweep).encode()}
    try:
        members[layout.SETTINGS] = encode.yaml_bytes(sweep.settings)
        for number, run in enumerate(sweep.runs, start=1):
            documents = {
                "run.json": encode.json_bytes(
                    {name: getattr(run, name) for name in schema.RunFields.model_fields}
                ),
                "config.yaml": encode.yaml_bytes(run.config),
                "stack.json": encode.stack_bytes(run.stack),
                "environment.json": encode.json_bytes(run.environment),
                "metrics.json": encode.metrics_bytes(run.metrics),
            }
            members |= {
                layout.folder(number) + name: content for name, content in documents.items()
            }
            if run.run_id in checkpoints:
                members[layout.folder(number) + layout.LAST] = checkpoints[run.run_id]
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(f"{sweep.source}: its records cannot be exported ({error})") from error
    for name, content in files.items():
        members[layout.ARTIFACTS + name] = content
    return members


def _add(archive: zipfile.ZipFile, name: str, content: Content) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # Unix, wherever it is written
    info.external_attr = 0o100644 << 16
    stored = name.endswith(_COMPRESSED)
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    if isinstance(content, bytes):
        archive.writestr(info, content)
        return
    info.file_size = content.stat().st_size  # decides whether it needs the format for large files
    with content.open("rb") as source, archive.open(info, "w") as member:
        shutil.copyfileobj(source, member)


def _proofread(unfinished: Path, path: Path) -> None:
    """Make sure that what was written can be read.

    Raises:
        ConfigError: it cannot, because the sweep holds what an archive may not.
    """
    try:
        read_archive(unfinished)
    except ConfigError as error:
        place = error.key.replace(str(unfinished), str(path))
        raise ConfigError(
            f"not written, for nobody could read it: {error.problem}", key=place
        ) from error


def _digest(content: Content) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path, member: str, sha256: str) -> dict[str, Any]:
    """A checkpoint out of an archive; nothing in it is executed."""
    from regexp.training import checkpoint

    place = f"{path}: {member}"
    try:
        with tempfile.TemporaryDirectory() as folder, Members(path) as members:
            unpacked = Path(folder) / layout.LAST
            with unpacked.open("wb") as file:
                file.writelines(members.chunks(member, layout.CHECKPOINT_BYTES, sha256))
            try:
                return checkpoint.load(unpacked)
            except ConfigError as error:
                raise ConfigError(error.problem, key=place) from error
    except OSError as error:
        raise ConfigError(
            f"cannot be unpacked ({error.strerror}) into the temporary folder "
            f"{tempfile.gettempdir()}",
            key=place,
            cure="make room there, or name another folder in TMPDIR",
        ) from error


def _nothing() -> dict[str, Any] | None:
    """The checkpoint of an archive that was written without them."""
    return None
