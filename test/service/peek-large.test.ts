/**
 * Ten first looks at once into a room of fifty thousand members: the daemon holds little of them. It prints how long others waited.
 */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/model/json.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { Daemon } from "../support/service-daemon.ts";
import { ask, eventually, fakeHomeserver, PSEUDOUSER, temporaryFolder } from "../support/service-app.ts";

const MEMBERS = 50_000;
const LOOKS = 10;
const MEBIBYTE = 2 ** 20;
const MAX_RSS_MIB = 300;
const V3 = "/_matrix/client/v3";
const VIA = "via=elsewhere.test";
const USERS = Array.from({ length: LOOKS }, (_, n) => ({ user: `@looker${n}:${SERVER}`, token: `token-${n}` }));

let homeserver: FakeHomeserver;
let room: FakeRoom;

interface Opened {
  readonly daemon: Daemon;
  readonly gateway: number;
}

async function openedRoom(): Promise<Opened> {
  homeserver = await fakeHomeserver();
  for (const { user, token } of USERS) {
    homeserver.tokens.set(token, user);
    homeserver.devices.set(token, `DEVICE-${token}`);
  }
  room = homeserver.makeRoom({ historyVisibility: "world_readable", name: "Square" });
  for (let n = 0; n < MEMBERS; n += 1) {
    const user = `@member${n}:server${n % 500}.elsewhere.test`;
    const avatar_url = `mxc://server${n % 500}.elsewhere.test/${"a".repeat(24)}${n}`;
    room.append("m.room.member", user, { membership: "join", displayname: `Member number ${n}`, avatar_url }, user);
  }
  for (let n = 0; n < 30; n += 1) homeserver.say(room, "@member1:server1.elsewhere.test", `message ${n}`);
  const daemon = new Daemon(temporaryFolder(), homeserver, {
    config: "policy: { max_members: 100000 }\npeek: { idle: 1h }",
  });
  // Making the room kept the processor busy while the daemon started.
  await eventually("the daemon being ready", () => daemon.entry("emissary.ready"), 60_000);
  const { gateway } = await daemon.ready();
  const { token } = USERS[0]!;
  expect((await ask(gateway, "GET", `${inRoom()}/state/m.room.name/?${VIA}`, { token })).status).toBe(200);
  const about = `/rooms/${encodeURIComponent(room.id)}`;
  await eventually(
    "the room being loaded",
    async () => (await daemon.admin("GET", about)).body["load"] === "loaded",
    60_000,
  );
  return { daemon, gateway };
}

const inRoom = (): string => `${V3}/rooms/${encodeURIComponent(room.id)}`;

/** How many members an answer names; and the answer, where it is wanted. */
async function look(
  port: number,
  target: string,
  token: string,
  isKept: boolean,
): Promise<{ readonly members: number; readonly body: JsonObject | null }> {
  const options = {
    host: "127.0.0.1",
    port,
    path: target,
    headers: { authorization: `Bearer ${token}` },
    agent: false,
  };
  const outgoing = request(options).end();
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  const kept: Buffer[] = [];
  let members = 0;
  let rest = "";
  for await (const piece of answer as AsyncIterable<Buffer>) {
    if (isKept) kept.push(piece);
    const parts = `${rest}${piece.toString("latin1")}`.split('"membership":"join"');
    members += parts.length - 1;
    rest = parts.at(-1)?.slice(-18) ?? "";
  }
  const body: unknown = isKept ? JSON.parse(Buffer.concat(kept).toString("utf8")) : null;
  return { members, body: isJsonObject(body) ? body : null };
}

/** The longest time that the daemon's event loop was late since this was last asked, milliseconds. Goal: 50 on a quiet machine. */
async function longestLag({ daemon }: Opened): Promise<number> {
  const { raw } = await ask((await daemon.ready()).admin, "GET", "/metrics");
  return 1_000 * Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(raw.toString("utf8"))?.[1]);
}

test("ten at once take 300 MB in all", async () => {
  const opened = await openedRoom();
  const { daemon, gateway } = opened;
  for (const { token } of USERS) {
    const target = `/_matrix/client/unstable/org.matrix.msc2753/peek/${encodeURIComponent(room.id)}`;
    expect((await ask(gateway, "POST", target, { token, body: {} })).status).toBe(200);
  }
  const filter = encodeURIComponent('{"room":{"state":{"not_senders":["@nobody:here"]}}}');
  const paths = {
    sync: `${V3}/sync?timeout=0`,
    initialSync: `${inRoom()}/initialSync?limit=20`,
    state: `${inRoom()}/state`,
    members: `${inRoom()}/members`,
    "sync with a filter": `${V3}/sync?timeout=0&filter=${filter}`,
  };
  for (const [what, target] of Object.entries(paths)) {
    await longestLag(opened);
    const looks = await Promise.all(USERS.map(({ token }, n) => look(gateway, target, token, n === 0)));
    const lag = await longestLag(opened);
    const taken = daemon.peakMemory / MEBIBYTE;
    // The members, and whoever made the room.
    expect([what, looks.map(({ members }) => members)]).toEqual([what, Array(LOOKS).fill(MEMBERS + 1)]);
    expect(JSON.stringify(looks[0]?.body)).not.toContain(`"${PSEUDOUSER}"`);
    expect(taken, `MiB of ${what}`).toBeLessThan(MAX_RSS_MIB);
    console.log(
      `${what}: the event loop was ${lag.toFixed(0)} ms late at most, ${taken.toFixed(0)} MiB at most so far`,
    );
  }
}, 600_000);
