"""A bot on simplematrixbotlib, as in its README, with a stored access token.

Usage: simple_bot.py CONFIG
"""

import json
import os
import sys
import time

import simplematrixbotlib as botlib

with open(sys.argv[1]) as file:
    config = json.load(file)
os.chdir(config["state"])

creds = botlib.Creds(config["homeserver"], config["user"], access_token=config["token"], session_stored_file="session.txt")
settings = botlib.Config()
bot = botlib.Bot(creds, settings)
PREFIX = "!"
STARTED = time.time() * 1000


def users_in(room):
    """Itself last: its own ID is not the same everywhere."""
    return sorted(room.users, key=lambda user: (user == bot.async_client.user_id, user))


@bot.listener.on_startup
async def known(room_id):
    room = bot.async_client.rooms[room_id]
    print("knows", room.display_name, room.member_count, flush=True)


@bot.listener.on_message_event
async def echo(room, message):
    match = botlib.MessageMatch(room, message, bot, PREFIX)
    # It has been answered already, before this start.
    late = "again: " if message.server_timestamp < STARTED else ""
    if match.is_not_from_this_bot() and match.prefix() and match.command("echo"):
        await bot.api.send_text_message(room.room_id, late + " ".join(match.args()))
    if match.is_not_from_this_bot() and match.prefix() and match.command("mark"):
        await bot.api.send_markdown_message(room.room_id, late + "**" + " ".join(match.args()) + "**")
    if match.is_not_from_this_bot() and match.prefix() and match.command("rooms"):
        names = sorted(f"{one.display_name}: {one.member_count}" for one in bot.async_client.rooms.values())
        await bot.api.send_text_message(room.room_id, late + "; ".join(names))
    if match.is_not_from_this_bot() and match.prefix() and match.command("members"):
        await bot.api.send_text_message(room.room_id, late + ", ".join(users_in(room)), reply_to=message.event_id)


@bot.listener.on_reaction_event
async def reacted(room, event, key):
    if event.sender != bot.async_client.user_id:
        await bot.api.send_reaction(room.room_id, event.reacts_to, "🎉")


bot.run()
