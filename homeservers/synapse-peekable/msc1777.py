"""MSC1777: the `peekable` join rule, and the rule by which server pseudousers (`@:server`) join.

Emissary's build copies this file into Synapse; the rest of what it changes there are calls of these functions. All of it
holds only in rooms whose version has the rule.
"""

# SPDX-License-Identifier: AGPL-3.0-or-later

from typing import TYPE_CHECKING, Any, Optional, Union

from synapse.api.constants import EventTypes, Membership
from synapse.api.errors import AuthError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, RoomVersion
from synapse.types import JsonDict, StateKey, StateMap, get_domain_from_id

if TYPE_CHECKING:
    from synapse.events import EventBase
    from synapse.events.builder import EventBuilder
    from synapse.storage.controllers.state import StateStorageController
    from synapse.storage.databases.main import DataStore

PEEKABLE = "peekable"
VOUCHED_FOR_BY = "org.matrix.msc1777.vouched_for_by"
JOIN_RULES_KEY: StateKey = (EventTypes.JoinRules, "")
_VOUCHING_MEMBERSHIPS = (Membership.JOIN, Membership.INVITE)


# The authorization rules


def is_pseudouser(room_version: RoomVersion, user_id: str) -> bool:
    """Whether the rule for pseudousers decides about this user's join."""
    return room_version.msc1777_peekable_join_rule and _has_empty_localpart(user_id)


def is_peekable_rule(room_version: RoomVersion, join_rule: Any) -> bool:
    return room_version.msc1777_peekable_join_rule and join_rule == PEEKABLE


def check_pseudouser_may_join(event: "EventBase", auth_events: StateMap["EventBase"], join_rule: Any) -> None:
    """Lets a pseudouser in that was invited, into a peekable room, or where a user of its server vouches for it.

    Raises:
        AuthError where none of this is so.
    """
    member = auth_events.get((EventTypes.Member, event.state_key))
    if member is not None and member.membership in _VOUCHING_MEMBERSHIPS:
        return
    if join_rule == PEEKABLE:
        return
    voucher = event.content.get(VOUCHED_FOR_BY)
    if not _may_vouch_for(voucher, event.state_key):
        raise AuthError(403, "The room is not peekable, and the join names no user of its server that vouches for it.")
    member = auth_events.get((EventTypes.Member, voucher))
    if member is None or member.membership not in _VOUCHING_MEMBERSHIPS:
        raise AuthError(403, f"The room is not peekable, and {voucher} is neither in it nor invited.")


def voucher_auth_types(room_version: RoomVersion, event: Union["EventBase", "EventBuilder"]) -> set[StateKey]:
    """What a member event's auth events may have beyond those of its room version's parent."""
    if not room_version.msc1777_peekable_join_rule or event.content.get("membership") != Membership.JOIN:
        return set()
    voucher = event.content.get(VOUCHED_FOR_BY)
    return {(EventTypes.Member, voucher)} if _is_user_id(voucher) else set()


def _may_vouch_for(voucher: Any, pseudouser: str) -> bool:
    return (
        _is_user_id(voucher)
        and not _has_empty_localpart(voucher)
        and get_domain_from_id(voucher) == get_domain_from_id(pseudouser)
    )


def _is_user_id(value: Any) -> bool:
    # Not more: member events of users whose server has an odd name exist, and every server has to agree which count.
    return isinstance(value, str) and value.startswith("@") and ":" in value


def _has_empty_localpart(user_id: str) -> bool:
    return user_id.startswith("@:")


# Naming the voucher


async def name_voucher(store: "DataStore", state_ids: StateMap[str], pseudouser: str, content: JsonDict) -> None:
    """Writes into a join's content who vouches for it, if anybody does.

    Also where the join needs no voucher: then it stays allowed should state resolution put it after a change of the rule.
    Who has joined comes before who is invited, since an invitation is soon rejected; then the order of the IDs decides,
    so that every server names the same.
    """
    candidates = [
        event_id
        for (event_type, user_id), event_id in state_ids.items()
        if event_type == EventTypes.Member and _may_vouch_for(user_id, pseudouser)
    ]
    members = (await store.get_events(candidates)).values()
    for membership in _VOUCHING_MEMBERSHIPS:
        vouchers = [member.state_key for member in members if member.membership == membership]
        if vouchers:
            content[VOUCHED_FOR_BY] = min(vouchers)
            return


# Reading without being a member


def is_peekable(join_rules: Optional["EventBase"]) -> bool:
    """Whether a state in which this is the join rules event is readable to everybody."""
    return join_rules is not None and is_peekable_rule(join_rules.room_version, join_rules.content.get("join_rule"))


async def is_room_peekable(state: "StateStorageController", room_id: str) -> bool:
    """Whether the current state of a room is readable to everybody."""
    return is_peekable(await state.get_current_state_event(room_id, *JOIN_RULES_KEY))


async def peekable_rule_ids(store: "DataStore", states: dict[str, StateMap[str]]) -> set[str]:
    """Of the join rules events that are in these states, the peekable ones."""
    ids = {state_ids[JOIN_RULES_KEY] for state_ids in states.values() if JOIN_RULES_KEY in state_ids}
    return {event_id for event_id, event in (await store.get_events(ids)).items() if is_peekable(event)}


# The directory and the summaries


def is_peekable_room(room_version: str | None, join_rule: Any) -> bool:
    """For statistics of rooms, which have no events."""
    known = KNOWN_ROOM_VERSIONS.get(room_version or "")
    return known is not None and is_peekable_rule(known, join_rule)


PEEKABLE_ROOM_SQL = f"""
    (
        join_rules = '{PEEKABLE}'
        AND room_id IN (
            SELECT room_id FROM rooms WHERE room_version = 'org.matrix.msc1777.12'
        )
    )
"""
