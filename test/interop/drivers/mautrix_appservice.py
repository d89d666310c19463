"""An appservice on mautrix for Python, as it is released. The protocol is that of ../driver.ts."""

import asyncio
import base64
import json
import os
import re
import sys

import yaml
from mautrix.appservice import AppService
from mautrix.appservice.state_store import FileASStateStore
from mautrix.types import Event, EventType, MessageType, RoomCreatePreset, TextMessageEventContent

# An image of one pixel, as a ghost's avatar.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

COMMANDS = frozenset(
    ("register", "join", "check", "profile", "send", "edit", "react", "redact", "create", "alias", "topic")
)


def tell(line: dict) -> None:
    print(json.dumps(line), flush=True)


class Driver:
    def __init__(self, config: dict) -> None:
        with open(config["registration"]) as file:
            registration = yaml.safe_load(file)
        self.config = config
        self.ghosts = re.compile(registration["namespaces"]["users"][0]["regex"])
        self.appservice = AppService(
            server=config["homeserver"],
            domain=config["server"],
            as_token=registration["as_token"],
            hs_token=registration["hs_token"],
            bot_localpart=registration["sender_localpart"],
            id=registration["id"],
            state_store=FileASStateStore(path=os.path.join(config["state"], "state.json"), binary=False),
        )
        self.appservice.matrix_event_handler(self.on_event)

    async def start(self) -> None:
        """As mautrix.bridge does (BaseMatrixHandler.wait_for_connection): a bridge that cannot be reached does not start."""
        await self.appservice.start("127.0.0.1", self.config["port"])
        bot = self.appservice.intent
        await bot.versions()
        await bot.ensure_registered()
        await bot.whoami()
        await self.appservice.ping_self(bot.api.get_txn_id())
        await bot.get_media_repo_config()

    async def on_event(self, event: Event) -> None:
        # As mautrix.bridge does (BaseMatrixHandler.handle_message and is_bridge_ghost).
        is_own = event.sender == self.appservice.bot_mxid or self.ghosts.match(event.sender) is not None
        raw = event.serialize()
        keys = {"id": "event_id", "type": "type", "sender": "sender", "room": "room_id", "content": "content"}
        tell({"event": "echo" if is_own else "heard", **{key: raw.get(name) for key, name in keys.items()}})

    def intent(self, user_id):
        return self.appservice.intent if user_id is None else self.appservice.intent.user(user_id)

    async def register(self, command: dict) -> None:
        await self.intent(command["as"]).ensure_registered()

    async def join(self, command: dict) -> str:
        return await self.intent(command["as"]).join_room(command["room"], servers=command["via"])

    async def check(self, command: dict) -> int:
        return await self.appservice.ping_self()

    async def profile(self, command: dict) -> str:
        intent = self.intent(command["as"])
        avatar = await intent.upload_media(PIXEL, mime_type="image/png", filename="avatar.png")
        await intent.set_displayname(command["name"])
        await intent.set_avatar_url(avatar)
        return avatar

    async def send(self, command: dict) -> str:
        return await self.intent(command["as"]).send_text(command["room"], command["text"])

    async def edit(self, command: dict) -> str:
        content = TextMessageEventContent(msgtype=MessageType.TEXT, body=command["text"])
        content.set_edit(command["event"])
        return await self.intent(command["as"]).send_message(command["room"], content)

    async def react(self, command: dict) -> str:
        return await self.intent(command["as"]).react(command["room"], command["event"], command["key"])

    async def redact(self, command: dict) -> str:
        return await self.intent(command["as"]).redact(command["room"], command["event"])

    async def create(self, command: dict) -> str:
        return await self.intent(command["as"]).create_room(
            alias_localpart=command["name"],
            preset=RoomCreatePreset.PUBLIC,
            room_version=command["version"],
            power_level_override={"users": command["levels"]},
        )

    async def alias(self, command: dict) -> None:
        localpart = command["alias"][1:].split(":", 1)[0]
        await self.intent(command["as"]).add_room_alias(command["room"], localpart)

    async def topic(self, command: dict) -> str:
        return await self.intent(command["as"]).set_room_topic(command["room"], command["text"])

    async def obey(self, line: str) -> None:
        command = json.loads(line)
        try:
            if command["do"] not in COMMANDS:
                raise ValueError(f"there is no command {command['do']}")
            tell({"id": command["id"], "result": await getattr(self, command["do"])(command)})
        except Exception as error:
            tell({"id": command["id"], "error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    with open(sys.argv[1]) as file:
        driver = Driver(json.load(file))
    await driver.start()
    tell({"event": "ready"})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await driver.obey(line)
    await driver.appservice.stop()


asyncio.run(main())
