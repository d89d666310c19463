"""What is inserted into Synapse's source, and where. The rules themselves are in msc1777.py, which becomes a module of Synapse.

Nothing of Synapse is deleted: every edit puts lines of ours between two pieces of its text.
"""

# SPDX-License-Identifier: AGPL-3.0-or-later

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """Puts `text` between `above` and `below`, which follow each other in exactly one place of the file."""

    file: str
    above: str
    text: str
    below: str


ROOM_VERSION = (
    Edit(
        "rust/src/room_versions.rs",
        "    msc4311_stripped_state: bool,\n",
        "    /// MSC1777: the `peekable` join rule, and the rule by which server pseudousers join.\n"
        "    pub msc1777_peekable_join_rule: bool,\n",
        "}\n",
    ),
    Edit(
        "rust/src/room_versions.rs",
        "        msc4311_stripped_state: false,\n",
        "        msc1777_peekable_join_rule: false,\n",
        "    };\n",
    ),
    Edit(
        "rust/src/room_versions.rs",
        "        ..Self::V11\n    };\n\n",
        '    /// MSC1777 (the `peekable` join rule) based on room version "12".\n'
        "    pub const MSC1777V12: RoomVersion = RoomVersion {\n"
        '        identifier: "org.matrix.msc1777.12",\n'
        "        disposition: RoomDisposition::UNSTABLE,\n"
        "        msc1777_peekable_join_rule: true,\n"
        "        ..Self::V12\n"
        "    };\n\n",
        "    pub const MSC4242V12: RoomVersion",
    ),
    Edit(
        "rust/src/room_versions.rs",
        '            "org.matrix.hydra.11" => Ok(&RoomVersion::HYDRA_V11),\n',
        '            "org.matrix.msc1777.12" => Ok(&RoomVersion::MSC1777V12),\n',
        '            "org.matrix.msc4242.12"',
    ),
    Edit(
        "rust/src/room_versions.rs",
        "        RoomVersion::HYDRA_V11,\n",
        "        RoomVersion::MSC1777V12,\n",
        "    ];\n",
    ),
)

REDACTION = (
    Edit(
        "rust/src/events/utils.rs",
        "                add_content_field(membership_field::JOIN_AUTHORISED_VIA_USERS_SERVER);\n            }\n",
        "            if room_version.msc1777_peekable_join_rule {\n"
        '                add_content_field("org.matrix.msc1777.vouched_for_by");\n'
        "            }\n",
        "            if room_version.updated_redaction_rules {\n",
    ),
)


def module(file: str) -> Edit:
    """The import of our module into one of Synapse's."""
    return Edit(file, "", "from synapse import msc1777\n", "from synapse.api.constants import ")


AUTHORIZATION = (
    module("synapse/event_auth.py"),
    Edit(
        "synapse/event_auth.py",
        '            raise AuthError(403, "You are banned from this room")\n',
        "        elif msc1777.is_pseudouser(room_version, target_user_id):\n"
        "            msc1777.check_pseudouser_may_join(event, auth_events, join_rule)\n"
        "        elif msc1777.is_peekable_rule(room_version, join_rule):\n"
        "            pass\n",
        "        elif join_rule == JoinRules.PUBLIC:\n",
    ),
    Edit(
        "synapse/event_auth.py",
        "                auth_types.add(key)\n",
        "\n        auth_types |= msc1777.voucher_auth_types(room_version, event)\n",
        "\n    return auth_types\n",
    ),
    # A voucher does instead of what the join rule asks for, so nobody looks for a server that authorises the join.
    module("synapse/handlers/event_auth.py"),
    Edit(
        "synapse/handlers/event_auth.py",
        "        if prev_membership in (Membership.JOIN, Membership.INVITE):\n            return\n",
        "\n        # MSC1777: the join rule does not decide about pseudousers, check_pseudouser_may_join does.\n"
        "        if msc1777.is_pseudouser(room_version, user_id):\n"
        "            return\n",
        "\n        # This is not a room with a restricted join rule",
    ),
)

NAMING_THE_VOUCHER = (
    module("synapse/handlers/federation.py"),
    Edit(
        "synapse/handlers/federation.py",
        "                        Membership.JOIN,\n                        Membership.INVITE,\n                    )\n\n",
        "                if msc1777.is_pseudouser(room_version, user_id):\n"
        "                    include_auth_user_id = False\n\n",
        "                if include_auth_user_id:\n",
    ),
    Edit(
        "synapse/handlers/federation.py",
        "                        room_id,\n                        state_ids,\n                    )\n",
        "\n            if msc1777.is_pseudouser(room_version, user_id):\n"
        "                await msc1777.name_voucher(\n"
        "                    self.store, state_ids, user_id, event_content\n"
        "                )\n",
        "\n        builder = self.event_builder_factory.for_room_version(\n",
    ),
    module("synapse/handlers/room_member.py"),
    Edit(
        "synapse/handlers/room_member.py",
        "        content.pop(EventContentFields.AUTHORISING_USER, None)\n",
        "        # The same for MSC1777's: who vouches is found by the server that makes the event.\n"
        "        content.pop(msc1777.VOUCHED_FOR_BY, None)\n",
        "\n",
    ),
    Edit(
        "synapse/handlers/room_member.py",
        "        room_version = await self.store.get_room_version(room_id)\n\n",
        "        if msc1777.is_pseudouser(room_version, user_id):\n"
        "            await msc1777.name_voucher(\n"
        "                self.store, partial_state_before_join, user_id, content\n"
        "            )\n"
        "            return False, []\n\n",
        "        # If restricted join rules are not being used, a local join can always\n",
    ),
)

READING = (
    module("synapse/visibility.py"),
    Edit(
        "synapse/visibility.py",
        "    types = [_HISTORY_VIS_KEY",
        ", msc1777.JOIN_RULES_KEY",
        ", (EventTypes.Member, user_id)]\n",
    ),
    Edit(
        "synapse/visibility.py",
        "store, event, context, StateFilter.from_types([_HISTORY_VIS_KEY",
        ", msc1777.JOIN_RULES_KEY",
        "])\n",
    ),
    Edit(
        "synapse/visibility.py",
        "    Handles missing and invalid history visibility events.\n    \"\"\"\n",
        "    # MSC1777: the peekable join rule does what world_readable does.\n"
        "    if msc1777.is_peekable(state.get(msc1777.JOIN_RULES_KEY)):\n"
        "        return HistoryVisibility.WORLD_READABLE\n\n",
        "    visibility_event = state.get(_HISTORY_VIS_KEY, None)\n",
    ),
    Edit(
        "synapse/visibility.py",
        "        state_filter=StateFilter.from_types(types=(_HISTORY_VIS_KEY,",
        " msc1777.JOIN_RULES_KEY",
        ")),\n",
    ),
    Edit(
        "synapse/visibility.py",
        "    vis_events = await storage.main.get_events(visibility_ids)\n",
        "    peekable_rules = await msc1777.peekable_rule_ids(storage.main, event_to_state_ids)\n",
        "\n    result: dict[str, str] = {}\n",
    ),
    Edit(
        "synapse/visibility.py",
        "            assert isinstance(vis, str)\n\n",
        "        if state_ids and state_ids.get(msc1777.JOIN_RULES_KEY) in peekable_rules:\n"
        "            vis = HistoryVisibility.WORLD_READABLE\n\n",
        "        result[event.event_id] = vis\n",
    ),
    module("synapse/handlers/message.py"),
    Edit(
        "synapse/handlers/message.py",
        "                    (EventTypes.Member, user_id),\n",
        "                    msc1777.JOIN_RULES_KEY,\n",
        '                    (EventTypes.RoomHistoryVisibility, ""),\n',
    ),
    module("synapse/api/auth/base.py"),
    Edit(
        "synapse/api/auth/base.py",
        "                return Membership.JOIN, None\n",
        "            if await msc1777.is_room_peekable(\n"
        "                self._storage_controllers.state, room_id\n"
        "            ):\n"
        "                return Membership.JOIN, None\n",
        "            raise AuthError(\n"
        "                403,\n"
        '                "User %r not in room %s, and room previews are disabled"\n',
    ),
    module("synapse/notifier.py"),
    Edit(
        "synapse/notifier.py",
        "    async def _is_world_readable(self, room_id: str) -> bool:\n",
        "        if await msc1777.is_room_peekable(self._storage_controllers.state, room_id):\n"
        "            return True\n",
        "        state = await self._storage_controllers.state.get_current_state_event(\n",
    ),
)

# Summaries, the space hierarchy, the room directory, the user directory: what knows `public` there, knows `peekable`.
LISTING = (
    module("synapse/handlers/room_summary.py"),
    Edit(
        "synapse/handlers/room_summary.py",
        '            join_rule = join_rules_event.content.get("join_rule")\n',
        "            if msc1777.is_peekable(join_rules_event):\n"
        "                return True\n",
        "            if (\n                join_rule == JoinRules.PUBLIC\n",
    ),
    Edit(
        "synapse/handlers/room_summary.py",
        "            in (JoinRules.PUBLIC, JoinRules.KNOCK, JoinRules.KNOCK_RESTRICTED",
        ", msc1777.PEEKABLE",
        ")\n            or room.get(",
    ),
    Edit(
        "synapse/handlers/room_summary.py",
        '                entry["join_rule"] = join_rule_content\n',
        "            if msc1777.is_peekable(join_event):\n"
        '                entry["world_readable"] = True\n',
        "\n        try:\n            room_version = await self._store.get_room_version(room_id)\n",
    ),
    module("synapse/handlers/room_list.py"),
    Edit(
        "synapse/handlers/room_list.py",
        '                "world_readable": room.history_visibility\n'
        "                == HistoryVisibility.WORLD_READABLE",
        "\n                # Of the rooms with this rule the store gives those only whose version has it.\n"
        "                or room.join_rules == msc1777.PEEKABLE",
        ",\n",
    ),
    module("synapse/storage/databases/main/room.py"),
    *(
        Edit(
            "synapse/storage/databases/main/room.py",
            f"\n{indent}    OR join_rules = '{{JoinRules.KNOCK_RESTRICTED}}'\n",
            f"{indent}    OR {{msc1777.PEEKABLE_ROOM_SQL}}\n",
            f"{indent}    OR history_visibility = 'world_readable'\n",
        )
        for indent in (" " * 20, " " * 16)
    ),
    module("synapse/storage/databases/main/user_directory.py"),
    Edit(
        "synapse/storage/databases/main/user_directory.py",
        '                if join_rule_ev.content.get("join_rule") == JoinRules.PUBLIC:\n                    return True\n',
        "                if msc1777.is_peekable(join_rule_ev):\n"
        "                    return True\n",
        "\n        hist_vis_id",
    ),
    module("synapse/handlers/user_directory.py"),
    Edit(
        "synapse/handlers/user_directory.py",
        "                public_value=JoinRules.PUBLIC,\n            )\n",
        "            if publicness is MatchChange.no_change:\n"
        "                publicness = await self._get_key_change(\n"
        "                    prev_event_id,\n"
        "                    event_id,\n"
        '                    key_name="join_rule",\n'
        "                    public_value=msc1777.PEEKABLE,\n"
        "                )\n",
        "        else:\n",
    ),
)

# Where Synapse treats public rooms in a way of its own, for users that are no pseudousers.
AS_PUBLIC = (
    # A call would ring with everybody in the room.
    Edit(
        "synapse/visibility.py",
        '            room_join_rules = state_after_event.get((EventTypes.JoinRules, ""))\n',
        "            if msc1777.is_peekable(room_join_rules):\n"
        "                return None\n",
        "            if (\n                room_join_rules is not None\n",
    ),
    Edit(
        "synapse/handlers/message.py",
        "            if room_info.join_rules == JoinRules.PUBLIC",
        " or msc1777.is_peekable_room(\n"
        "                room_info.version, room_info.join_rules\n"
        "            )",
        ":\n",
    ),
    # Rooms that new users join, and joins by admins, need no invitation.
    module("synapse/handlers/register.py"),
    Edit(
        "synapse/handlers/register.py",
        "                                join_rule is not None and join_rule != JoinRules.PUBLIC\n",
        "                                and not msc1777.is_peekable(join_rules_event)\n",
        "                            )\n",
    ),
    module("synapse/rest/admin/rooms.py"),
    Edit(
        "synapse/rest/admin/rooms.py",
        '            if not (join_rules_event.content.get("join_rule") == JoinRules.PUBLIC',
        " or msc1777.is_peekable(join_rules_event)",
        "):\n",
    ),
    Edit(
        "synapse/rest/admin/rooms.py",
        '            is_public = join_rules.content.get("join_rule") == JoinRules.PUBLIC',
        " or msc1777.is_peekable(join_rules)",
        "\n",
    ),
)

EDITS = (*ROOM_VERSION, *REDACTION, *AUTHORIZATION, *NAMING_THE_VOUCHER, *READING, *LISTING, *AS_PUBLIC)
