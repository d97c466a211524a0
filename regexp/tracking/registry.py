"""What stands of leases in MLflow's registry of models: see `regexp.tracking.lease`."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from regexp.tracking import process

PREFIX = "regexp-lease"
_OWNER = "owner"  # tag of a model: JSON of `process.tags`, its nonce, and the first of its chain
_PAGE = 1000


@dataclass(frozen=True)
class Seen:
    """A model that stands in the registry.

    Attributes:
        chain: names of the models from that by which the lease is found to this one; of one that
            was found by a search, its own alone.
        owner: the process that created it.
        beat: milliseconds since 1970 of its last sign of life, by the store's clock.
    """

    chain: list[str]
    owner: dict[str, str]
    beat: int

    @classmethod
    def of(cls, model: Any, *before: str) -> "Seen":
        """Of MLflow's model, and those that it follows."""
        owner: dict[str, str] = {}
        with suppress(ValueError, TypeError, AttributeError):
            given = json.loads(model.tags[_OWNER]).items()
            owner = {str(key): str(value) for key, value in given}
        return cls([*before, model.name], owner, int(model.last_updated_timestamp or 0))

    @property
    def name(self) -> str:
        return self.chain[-1]

    @property
    def nonce(self) -> str:
        return self.owner.get("nonce", "")

    @property
    def first(self) -> str:
        """Name of the model by which its lease is found; "" of one by an older version."""
        return self.owner.get("first", "")

    @property
    def who(self) -> str:
        return f"process {self.owner.get('pid', '?')} on {self.owner.get('host', '?')}"


class Registry:
    """The models that are leases. Each call may fail as MLflow's client does.

    Args:
        client: MLflow's.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, chain: list[str], nonce: str) -> bool:
        """Create the last of a chain of models; False where another has."""
        from mlflow.exceptions import MlflowException

        owner = json.dumps(process.tags() | {"nonce": nonce, "first": chain[0]})
        try:
            self._client.create_registered_model(chain[-1], {_OWNER: owner}, _description())
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            there = self._find(chain[-1])  # it is ours where only the answer was lost
            return there is not None and Seen.of(there).nonce == nonce
        return True

    def touch(self, name: str) -> None:
        """Give a sign of life."""
        self._client.update_registered_model(name, _description())

    def delete(self, name: str) -> None:
        """Delete a model, if it is there."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.delete_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def look(self, first: str) -> Seen | None:
        """The last of the chain that begins with a model; None where there is none."""
        seen: Seen | None = None
        name = first
        while (model := self._find(name)) is not None:
            seen = Seen.of(model, *(seen.chain if seen else ()))
            name = successor(first, seen.nonce)
        return seen

    def all(self) -> Iterator[Seen]:
        """Every model, in no order."""
        token = None
        while True:
            page = self._client.search_registered_models(
                f"name LIKE '{PREFIX}-%'", max_results=_PAGE, page_token=token
            )
            yield from map(Seen.of, page)
            token = page.token
            if not token:
                return

    def _find(self, name: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def successor(first: str, nonce: str) -> str:
    """Name of the model that follows the one with a nonce."""
    return f"{first}-{nonce or 'nobody'}"


def _description() -> str:
    """What people see in the UI."""
    tags = process.tags()
    return (
        f"No model: regexp on {tags['host']} (process {tags['pid']}) is at work, and this goes "
        "when it has done. If it stays, nothing uses it, and it can be deleted."
    )
