"""Runs the test vectors of the room version against the Synapse that this Python imports.

    python vectors.py DIRECTORY

Prints a JSON array with one entry for every vector: file, name, what was expected and what Synapse said. What is neither
allowed nor refused but stumbled over says so.
"""

# SPDX-License-Identifier: AGPL-3.0-or-later

import json
import pathlib
import sys
from typing import Any

from synapse.api.errors import AuthError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.event_auth import auth_types_for_event, check_state_dependent_auth_rules
from synapse.events import EventBase, make_event_from_dict
from synapse.events.utils import prune_event
from synapse.visibility import _check_client_allowed_to_see_event
from synapse.types import RetentionPolicy

READER = "@reader:elsewhere.example"
SENDER = "@creator:home.example"


class Room:
    """Makes the events of one vector, with the IDs that the room version gives them."""

    def __init__(self, room_version: str, create: dict[str, Any] | None = None) -> None:
        self._version = KNOWN_ROOM_VERSIONS[room_version]
        self._made = 0
        create = create or {"sender": SENDER, "content": {"room_version": room_version}}
        self.create = self._make({"type": "m.room.create", "state_key": "", **create}, [])
        self._room_id = "!" + self.create.event_id[1:]

    def event(self, fields: dict[str, Any], is_first: bool = False) -> EventBase:
        previous = self.create.event_id if is_first else f"${'p' * 43}"
        return self._make({"room_id": self._room_id, **fields}, [previous])

    def _make(self, fields: dict[str, Any], previous: list[str]) -> EventBase:
        self._made += 1
        common = {"auth_events": [], "depth": self._made, "hashes": {}, "origin_server_ts": self._made, "signatures": {}}
        return make_event_from_dict({**common, "prev_events": previous, **fields}, self._version)


def membership(vector: dict[str, Any]) -> str:
    room = Room(vector["room_version"], vector["create"])
    auth_events = [room.create, *(room.event(state) for state in vector["state"])]
    event = room.event(vector["event"], vector.get("first", False))
    try:
        check_state_dependent_auth_rules(event, auth_events)
    except AuthError:
        return "reject"
    return "allow"


def auth_types(vector: dict[str, Any]) -> list[list[str]]:
    event = Room(vector["room_version"]).event(vector["event"])
    found = auth_types_for_event(event.room_version, event)
    # Synapse lists it in every version, and leaves it away later where events do not name it.
    return [list(key) for key in found if key != ("m.room.create", "")]


def redaction(vector: dict[str, Any]) -> Any:
    fields = {"type": vector["type"], "state_key": "", "sender": SENDER, "content": vector["content"]}
    return prune_event(Room(vector["room_version"]).event(fields)).get_dict()["content"]


def reading(vector: dict[str, Any]) -> str:
    room = Room(vector["room_version"])
    events = [room.event(state) for state in vector["state"]]
    message = room.event({"type": "m.room.message", "sender": SENDER, "content": {}})
    seen = _check_client_allowed_to_see_event(
        user_id=READER,
        event=message,
        clock=None,
        filter_send_to_client=False,
        is_peeking=True,
        always_include_ids=frozenset(),
        sender_ignored=False,
        retention_policy=RetentionPolicy(),
        state={(event.type, event.state_key): event for event in events},
        sender_erased=False,
    )
    return "hidden" if seen is None else "readable"


RUNNERS = {"auth-types": auth_types, "redaction": redaction, "reading": reading}


def run(file: pathlib.Path, vector: dict[str, Any]) -> dict[str, Any]:
    expect = vector["expect"]
    try:
        got = RUNNERS.get(file.stem, membership)(vector)
    except Exception as error:
        got = f"stumbled: {type(error).__name__}: {error}"
    if file.stem == "auth-types" and isinstance(got, list):
        expect, got = sorted(expect), sorted(got)
    return {"file": file.stem, "name": vector["name"], "expect": expect, "got": got}


def main() -> None:
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    json.dump([run(file, vector) for file in files for vector in json.loads(file.read_text("utf-8"))], sys.stdout)


main()
