"""A Synapse module that brings many members into a room of this server: POST /_test/crowd {"room_id", "members"}.

Their joins are events that Synapse itself makes, signs, checks and stores, many in one transaction as when it makes a room. Thousands of
users who join one after the other would take minutes.
"""

from contextlib import contextmanager
from unittest.mock import patch

from synapse.http.server import DirectServeJsonResource
from synapse.http.servlet import parse_json_object_from_request
from synapse.types import create_requester

AT_ONCE = 250


class Crowd:
    def __init__(self, config, api):
        api.register_web_resource("/_test/crowd", CrowdResource(api._hs))


class CrowdResource(DirectServeJsonResource):
    def __init__(self, hs):
        super().__init__(clock=hs.get_clock())
        self.hs = hs
        self.handler = hs.get_event_creation_handler()

    async def _async_render_POST(self, request):
        asked = parse_json_object_from_request(request)
        joins = [self.join_of(number, asked["room_id"]) for number in range(asked["members"])]
        with self.unchecked():
            for at in range(0, len(joins), AT_ONCE):
                await self.handler.create_and_send_new_client_events(
                    create_requester(joins[at]["sender"]),
                    asked["room_id"],
                    None,
                    joins[at : at + AT_ONCE],
                    ratelimit=False,
                )
        return 200, {}

    @contextmanager
    def unchecked(self):
        """Spares each join three look-ups of the room's state: whether it repeats another, which servers to tell, whom to notify."""

        async def is_new(event, context):
            return None

        async def create_unsent(*args, **options):
            event, context = await create(*args, **options)
            event.internal_metadata.proactively_send = False
            return event, context

        async def notify_nobody(events_and_context):
            return None

        create = self.handler.create_event
        with (
            patch.object(self.handler, "deduplicate_state_event", is_new),
            patch.object(self.handler, "create_event", create_unsent),
            patch.object(self.handler._bulk_push_rule_evaluator, "action_for_events_by_user", notify_nobody),
        ):
            yield

    def join_of(self, number, room_id):
        user_id = f"@crowd-{number}:{self.hs.hostname}"
        content = {
            "membership": "join",
            "displayname": f"Member number {number}",
            "avatar_url": f"mxc://{self.hs.hostname}/{'a' * 24}",
        }
        return {
            "type": "m.room.member",
            "room_id": room_id,
            "sender": user_id,
            "state_key": user_id,
            "content": content,
        }
