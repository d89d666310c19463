import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

/**
 * All strangers to a room are told what one user of ours is shown, and whoever is more to it what the homeserver shows them: compared, on two
 * real Synapses, with what ours answers the same user asked directly.
 */
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
const V3 = "/_matrix/client/v3";

let stage: Stage;
let bob: MatrixUser;
let carol: MatrixUser;

beforeAll(async () => {
  stage = await openStage({ synapse: { allow_guest_access: true } });
  bob = await stage.user(stage.theirs, "bob");
  carol = await stage.user(stage.theirs, "carol");
}, 180_000);
afterAll(() => stage.close());

/** A user of ours, who follows a room through the gateway in both ways. */
class Follower {
  readonly direct: MatrixUser;
  readonly gateway: MatrixUser;
  readonly told = { sync: [] as string[], events: [] as string[] };
  readonly #roomId: string;
  #begun = "";
  #from = "";
  #since: string | undefined;

  constructor(user: MatrixUser, roomId: string) {
    this.direct = user;
    const { userId, accessToken } = user;
    this.gateway = new MatrixUser({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
    this.#roomId = roomId;
  }

  async begin(): Promise<void> {
    const via = { via: stage.theirs.serverName };
    const query = { limit: 1, ...via };
    const shown = await this.gateway.request("GET", `${V3}/rooms/${this.#roomId}/initialSync`, query);
    expect(shown.status).toBe(200);
    this.#begun = (shown.body["messages"] as { end: string }).end;
    this.#from = this.#begun;
    const peek = await this.gateway.request("POST", `${UNSTABLE}/peek/${encodeURIComponent(this.#roomId)}`, via, {});
    expect([this.direct.userId, peek.status, peek.body]).toMatchObject([this.direct.userId, 200, {}]);
    await until(
      "the room in a sync",
      () => this.#sync(),
      (rooms) => this.#roomId in rooms,
    );
    this.told.sync.length = 0;
  }

  /** Follows until there was nothing to tell. */
  async catchUp(): Promise<void> {
    for (let rounds = 0; rounds < 20; rounds += 1) if ((await this.#poll()) === 0) break;
    for (let rounds = 0; rounds < 20; rounds += 1) if (!(this.#roomId in (await this.#sync()))) break;
  }

  /** What ours shows the user since it began, asked directly. */
  async shown(): Promise<string[]> {
    const query = { room_id: this.#roomId, from: this.#begun, timeout: 0, limit: 100 };
    const { status, body } = await this.direct.request("GET", `${V3}/events`, query);
    return status === 200 ? messagesIn(body["chunk"]) : [];
  }

  async #poll(): Promise<number> {
    const query = { room_id: this.#roomId, from: this.#from, timeout: 0 };
    const { status, body } = await this.gateway.request("GET", `${V3}/events`, query);
    if (status !== 200) return 0;
    this.#from = body["end"] as string;
    const told = messagesIn(body["chunk"]);
    this.told.events.push(...told);
    return (body["chunk"] as Json[]).length;
  }

  async #sync(): Promise<Json> {
    const since = this.#since === undefined ? {} : { since: this.#since };
    const { status, body } = await this.gateway.request("GET", `${V3}/sync`, { timeout: 0, ...since });
    expect([status, body["errcode"]]).toEqual([200, undefined]);
    this.#since = body["next_batch"] as string;
    const peek = ((body["rooms"] ?? {}) as Record<string, Json | undefined>)["peek"] ?? {};
    const room = peek[this.#roomId] as { timeline: { events: Json[] } } | undefined;
    this.told.sync.push(...messagesIn(room?.timeline.events ?? []));
    return peek;
  }
}

function messagesIn(events: unknown): string[] {
  return (events as Json[])
    .filter(({ type }) => type === "m.room.message")
    .map(({ content }) => (content as { body?: string }).body ?? "redacted");
}

/** Who asked our homeserver for events of rooms, and how often, by its log. */
function askers(): ReadonlyMap<string, number> {
  const asked = new Map<string, number>();
  for (const line of readFileSync(path.join(stage.ours.dir, "hs.log"), "utf8").split("\n")) {
    const user = /\{(@[^}]*)\} Processed request: .*"GET \/_matrix\/client\/v3\/events\?/.exec(line)?.[1];
    if (user !== undefined) asked.set(user, (asked.get(user) ?? 0) + 1);
  }
  return asked;
}

async function guest(): Promise<MatrixUser> {
  const anybody = new MatrixUser({ homeserverUrl: stage.ours.url, userId: "", accessToken: "" });
  const { status, body } = await anybody.request("POST", `${V3}/register`, { kind: "guest" }, {});
  expect(status).toBe(200);
  const [userId, accessToken] = [body["user_id"] as string, body["access_token"] as string];
  return new MatrixUser({ homeserverUrl: stage.ours.url, userId, accessToken });
}

test("whoever looks in is told what the homeserver shows them, and strangers cost it one look", async () => {
  const { ours, theirs } = stage;
  const visibility = (history_visibility: string): Json => ({ history_visibility });
  const roomId = await bob.createRoom({
    preset: "public_chat",
    initial_state: [
      { type: "m.room.history_visibility", state_key: "", content: visibility("world_readable") },
      { type: "m.room.guest_access", state_key: "", content: { guest_access: "can_join" } },
    ],
  });
  await carol.join(roomId, [theirs.serverName]);
  const make = async (name: string): Promise<Follower> => new Follower(await stage.user(ours, name), roomId);
  const strangers = await Promise.all(["one", "two", "three"].map(make));
  const [ignorer, former, banned, invited] = await Promise.all(["ignorer", "former", "banned", "invited"].map(make));
  const visitor = new Follower(await guest(), roomId);
  const ignored = { ignored_users: { [carol.userId]: {} } };
  const list = `${V3}/user/${encodeURIComponent(ignorer!.direct.userId)}/account_data/m.ignored_user_list`;
  expect((await ignorer!.direct.request("PUT", list, {}, ignored)).status).toBe(200);
  await strangers[0]!.begin();
  await former!.direct.join(roomId, [theirs.serverName]);
  await former!.direct.request("POST", `${V3}/rooms/${roomId}/leave`, {}, {});
  await bob.request("POST", `${V3}/rooms/${roomId}/ban`, {}, { user_id: banned!.direct.userId });
  await bob.request("POST", `${V3}/rooms/${roomId}/invite`, {}, { user_id: invited!.direct.userId });

  const all = [...strangers, ignorer!, former!, banned!, invited!, visitor];
  await bob.sendText(roomId, "before");
  for (const each of all.slice(1)) await each.begin();

  const rounds = async (texts: readonly (readonly [MatrixUser, string])[]): Promise<void> => {
    for (const [who, text] of texts) await who.sendText(roomId, text);
    const [, last = ""] = texts.at(-1) ?? [];
    await until(
      "the last message here",
      () => strangers[0]!.shown(),
      (shown) => shown.includes(last),
    );
    for (const each of all) await each.catchUp();
  };
  await rounds([
    [bob, "first"],
    [carol, "hers"],
  ]);
  await rounds([[bob, "second"]]);
  const before = askers();
  for (let n = 0; n < 3; n += 1) {
    await rounds([
      [carol, `hers ${n}`],
      [bob, `his ${n}`],
    ]);
  }
  for (const each of all) {
    const shown = await each.shown();
    const name = each.direct.userId;
    expect([name, each.told.events]).toEqual([name, shown]);
    expect([name, each.told.sync.filter((text) => text !== "before")]).toEqual([
      name,
      shown.filter((text) => text !== "before"),
    ]);
  }
  expect(ignorer!.told.sync.some((text) => text.startsWith("hers"))).toBe(false);
  expect(strangers[1]!.told.sync).toContain("hers 2");

  // Asked directly for the comparison they are in the log, too: once a round the first stranger, until the message was there.
  const after = askers();
  const asked = (user: string): number => (after.get(user) ?? 0) - (before.get(user) ?? 0);
  const look = `@_emissary_.reader:${ours.serverName}`;
  expect(asked(look)).toBeGreaterThan(0);
  for (const each of [strangers[1], strangers[2], ignorer]) expect(asked(each!.direct.userId)).toBeLessThanOrEqual(1);
  for (const each of [former, banned, invited, visitor]) expect(asked(each!.direct.userId)).toBeGreaterThan(2);
  expect(asked(stage.pseudouser)).toBe(0);

  // One that is logged out is told nothing from then on, and nobody who is no member what is said among members.
  await bob.sendText(roomId, "last in public");
  await strangers[2]!.direct.request("POST", `${V3}/logout`, {}, {});
  const out = await strangers[2]!.gateway.request("GET", `${V3}/events`, { room_id: roomId, from: "s0", timeout: 0 });
  expect(out.status).toBe(401);
  await bob.request("PUT", `${V3}/rooms/${roomId}/state/m.room.history_visibility/`, {}, visibility("joined"));
  await bob.sendText(roomId, "among us");
  await until(
    "the room being closed",
    () => strangers[0]!.direct.request("GET", `${V3}/rooms/${roomId}/messages`, { dir: "b" }),
    ({ status }) => status === 403,
  );
  for (const each of all.filter((one) => one !== strangers[2])) {
    await each.catchUp();
    expect([...each.told.sync, ...each.told.events]).not.toContain("among us");
  }
}, 120_000);
