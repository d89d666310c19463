// @ts-check
/**
 * As much of a homeserver as a tenant needs to write into a room: everybody may join any room, and each write is an event. It does
 * as little as it can, so that what is measured is what lies in front of it.
 */
import { createServer } from "node:http";
import { listening, ready, SERVER } from "./peer.mjs";

const OWN = `@:${SERVER}`;
const JSON_TYPE = { "content-type": "application/json" };
const EVENT_ID = "$0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const SENT = JSON.stringify({ event_id: EVENT_ID });
const SENT_HEADERS = { ...JSON_TYPE, "content-length": SENT.length };

const server = createServer((request, response) => {
  const url = request.url ?? "";
  if (request.method === "PUT" && url.includes("/send/")) {
    request.resume().on("end", () => response.writeHead(200, SENT_HEADERS).end(SENT));
    return;
  }
  response.writeHead(200, JSON_TYPE).end(JSON.stringify(answerTo(url.replace(/\?.*/, ""))));
});
ready(await listening(server));

/** @param {string} path */
function answerTo(path) {
  const [, room = ""] = /\/(?:rooms|join)\/([^/]+)/.exec(path) ?? [];
  const roomId = decodeURIComponent(room);
  if (path.endsWith("/account/whoami")) return { user_id: OWN };
  if (path.includes("/profile/")) return { displayname: SERVER };
  if (path.includes("/room_summary/")) return { join_rule: "public", num_joined_members: 2, room_version: "11" };
  if (path.includes("/join/")) return { room_id: roomId };
  if (path.endsWith("/joined_rooms")) return { joined_rooms: [] };
  const own = state(roomId, "m.room.member", OWN, { membership: "join" });
  if (path.includes("/state/m.room.member/")) return own;
  const made = state(roomId, "m.room.create", "", { room_version: "11" });
  if (path.endsWith("/state")) return [made, state(roomId, "m.room.join_rules", "", { join_rule: "public" }), own];
  return {};
}

/** @param {string} room_id @param {string} type @param {string} state_key @param {object} content */
function state(room_id, type, state_key, content) {
  const event_id = `$${Buffer.from(room_id + type)
    .toString("base64url")
    .padEnd(43, "0")
    .slice(-43)}`;
  return { event_id, room_id, type, state_key, content, sender: OWN, origin_server_ts: 1 };
}
