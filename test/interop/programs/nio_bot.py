"""A bot on matrix-nio, as its documentation has it: a stored access token, callbacks, sync_forever with the full state.

Where two are in a room every message is for it; in a larger one those that begin with "!c" (as in the nio-template). It keeps where
it was in a file, and begins there when it is started again.

Usage: nio_bot.py CONFIG
"""

import asyncio
import json
import os
import sys

from nio import AsyncClient, InviteMemberEvent, MatrixRoom, ReactionEvent, RoomMessageText, SyncResponse

PREFIX = "!c "


class Bot:
    def __init__(self, config: dict) -> None:
        self.state = os.path.join(config["state"], "since")
        self.client = AsyncClient(config["homeserver"], config["user"])
        self.client.restore_login(config["user"], "STORED", config["token"])

    async def on_invite(self, room: MatrixRoom, event: InviteMemberEvent) -> None:
        if event.state_key == self.client.user_id and event.membership == "invite":
            await self.client.join(room.room_id)

    async def on_text(self, room: MatrixRoom, event: RoomMessageText) -> None:
        if event.sender == self.client.user_id:
            return
        if event.body.startswith(PREFIX):
            command = event.body[len(PREFIX) :]
        elif room.member_count <= 2:
            command = event.body
        else:
            return
        await self.obey(room, event, command)

    async def obey(self, room: MatrixRoom, event: RoomMessageText, command: str) -> None:
        if command == "rooms":
            known = sorted(self.describe(one) for one in self.client.rooms.values())
            await self.say(room, "; ".join(known))
        elif command == "who":
            # Itself last: its own ID is not the same everywhere.
            users = sorted(room.users, key=lambda user: (user == self.client.user_id, user))
            await self.say(room, f"{room.user_name(event.sender)}, of {', '.join(users)}")
        elif command == "react":
            content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event.event_id, "key": "👍"}}
            await self.client.room_send(room.room_id, "m.reaction", content)
        elif command == "history":
            page = await self.client.room_messages(room.room_id, self.client.next_batch, limit=30)
            texts = [one.body for one in page.chunk if isinstance(one, RoomMessageText)]
            await self.say(room, " < ".join(texts[1:4]))
        else:
            await self.say(room, f"you said {command}")

    def describe(self, room: MatrixRoom) -> str:
        return f"{room.display_name}: {room.member_count} in it, {'a group' if room.member_count > 2 else 'direct'}"

    async def say(self, room: MatrixRoom, text: str) -> None:
        await self.client.room_send(room.room_id, "m.room.message", {"msgtype": "m.text", "body": text})

    async def on_reaction(self, room: MatrixRoom, event: ReactionEvent) -> None:
        if event.sender != self.client.user_id:
            await self.say(room, f"{room.user_name(event.sender)} reacts {event.key}")

    async def on_sync(self, response: SyncResponse) -> None:
        with open(self.state + ".new", "w") as file:
            file.write(response.next_batch)
        os.replace(self.state + ".new", self.state)

    async def run(self) -> None:
        whoami = await self.client.whoami()
        print("I am", whoami.user_id, flush=True)
        since = None
        if os.path.exists(self.state):
            with open(self.state) as file:
                since = file.read()
        first = await self.client.sync(timeout=30000, full_state=True, since=since) if since is None else None
        self.client.add_event_callback(self.on_invite, InviteMemberEvent)
        self.client.add_event_callback(self.on_text, RoomMessageText)
        self.client.add_event_callback(self.on_reaction, ReactionEvent)
        self.client.add_response_callback(self.on_sync, SyncResponse)
        if first is not None:
            await self.on_sync(first)
        print("ready", flush=True)
        await self.client.sync_forever(timeout=30000, since=since, full_state=True)


async def main() -> None:
    with open(sys.argv[1]) as file:
        await Bot(json.load(file)).run()


asyncio.run(main())
