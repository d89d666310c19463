/** A room as people have them: with a name, a picture, a past longer than one page, a thread, reactions and an edit. */
import type { Browser } from "playwright-core";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import { until, type Stage } from "../support/stage.ts";

export interface Square {
  readonly roomId: string;
  readonly alias: string;
  readonly owner: MatrixUser;
  /** The newest message, and one with a thread below it. */
  readonly newest: string;
  readonly root: string;
  /** Its picture. */
  readonly mxc: string;
}

/** More than the twenty that a client asks for. */
export const SAID = Array.from({ length: 25 }, (_, index) => `word ${index + 1}`);

export const WORLD_READABLE = {
  type: "m.room.history_visibility",
  state_key: "",
  content: { history_visibility: "world_readable" },
};

/** One that the server's directory lists, made by Bob and joined by Carol, who exist there. */
export async function buildSquare(
  bob: MatrixUser,
  carol: MatrixUser,
  localpart: string,
  mxc: string,
  said: readonly string[] = SAID,
): Promise<Square> {
  const roomId = await bob.createRoom({
    preset: "public_chat",
    visibility: "public",
    room_alias_name: localpart,
    name: "The square",
    topic: "What is new",
    initial_state: [WORLD_READABLE, { type: "m.room.avatar", state_key: "", content: { url: mxc } }],
  });
  await carol.join(roomId);
  const ids: string[] = [];
  for (const body of said) ids.push(await bob.sendText(roomId, body));
  const [root = ""] = ids.slice(-5);
  for (const body of ["first reply", "second reply"]) {
    const content = { msgtype: "m.text", body, "m.relates_to": { rel_type: "m.thread", event_id: root } };
    await carol.sendEvent(roomId, "m.room.message", content);
  }
  const edited = await carol.sendText(roomId, "mispelt");
  await carol.sendEvent(roomId, "m.room.message", {
    msgtype: "m.text",
    body: "* spelt right",
    "m.new_content": { msgtype: "m.text", body: "spelt right" },
    "m.relates_to": { rel_type: "m.replace", event_id: edited },
  });
  await bob.sendEvent(roomId, "m.reaction", {
    "m.relates_to": { rel_type: "m.annotation", event_id: edited, key: "+1" },
  });
  const newest = await bob.sendEvent(roomId, "m.room.message", {
    msgtype: "m.image",
    body: "colours.png",
    url: mxc,
    info: { mimetype: "image/png", w: 200, h: 200 },
  });
  const serverName = bob.userId.slice(bob.userId.indexOf(":") + 1);
  await listed(bob, localpart, roomId, 2);
  return { roomId, alias: `#${localpart}:${serverName}`, owner: bob, newest, root, mxc };
}

/** Until the user's server lists the room, with so many members: a directory counts a little later. */
export async function listed(user: MatrixUser, words: string, roomId: string, members = 1): Promise<void> {
  await until(
    "the room in its server's directory",
    () => user.request("POST", "/_matrix/client/v3/publicRooms", {}, { filter: { generic_search_term: words } }),
    ({ body }) =>
      (body["chunk"] as { room_id: string; num_joined_members: number }[]).some(
        (entry) => entry.room_id === roomId && entry.num_joined_members === members,
      ),
  );
}

export async function named(stage: Stage, server: Synapse, localpart: string, name: string): Promise<MatrixUser> {
  const user = await stage.user(server, localpart);
  await user.setDisplayname(name);
  return user;
}

/** A picture that a homeserver can make smaller. */
export async function paint(browser: Browser): Promise<Buffer> {
  const page = await browser.newPage({ viewport: { width: 200, height: 200 } });
  await page.setContent('<body style="background: linear-gradient(45deg, teal, orange)"></body>');
  const picture = await page.screenshot();
  await page.close();
  return picture;
}

/** The `mxc:` address of what was uploaded. */
export async function upload(user: MatrixUser, bytes: Buffer): Promise<string> {
  const answer = await fetch(`${user.homeserverUrl}/_matrix/media/v3/upload?filename=colours.png`, {
    method: "POST",
    headers: { authorization: `Bearer ${user.accessToken}`, "content-type": "image/png" },
    body: new Uint8Array(bytes),
  });
  return ((await answer.json()) as { content_uri: string }).content_uri;
}
