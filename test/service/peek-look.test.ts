/**
 * Strangers to a room share one look at the homeserver; everybody else is asked for alone. What each is told is compared with what the
 * homeserver itself shows that user.
 */
import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/model/clock.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import { eventually, PSEUDOUSER, startService, type Answer, type Service } from "../support/service-app.ts";

const BOB = "@bob:elsewhere.test";
const CAROL = "@carol:elsewhere.test";
const READER = `@_emissary_.reader:${SERVER}`;
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
const NEVER = { idle: 100 * 60 * 60 * 1000 };

function objectAt(value: JsonValue | undefined, ...keys: string[]): JsonObject {
  let here: JsonValue | undefined = value;
  for (const key of keys) here = isJsonObject(here) ? here[key] : undefined;
  return isJsonObject(here) ? here : {};
}

/** A local user with a device that peeks into a room and has been told of it. */
class Peeker {
  readonly userId: string;
  readonly token: string;
  readonly told: string[] = [];
  /** What else it was told. */
  readonly others: string[] = [];
  readonly #service: Service;
  readonly #room: FakeRoom;
  #since: string | null = null;

  constructor(service: Service, room: FakeRoom, localpart: string) {
    this.#service = service;
    this.#room = room;
    this.userId = `@${localpart}:${SERVER}`;
    this.token = `token-of-${localpart}`;
    service.homeserver.tokens.set(this.token, this.userId);
    service.homeserver.devices.set(this.token, localpart.toUpperCase());
  }

  async begin(): Promise<void> {
    const path = `${UNSTABLE}/peek/${encodeURIComponent(this.#room.id)}?via=elsewhere.test`;
    const { status } = await this.#service.gateway("POST", path, { token: this.token, body: {} });
    expect(status).toBe(200);
    await this.sync();
  }

  /** The IDs of the messages that the answer tells of the room, or the answer's status. */
  async sync(timeout = 0): Promise<string[] | number> {
    const since = this.#since === null ? {} : { since: this.#since };
    const query = new URLSearchParams({ timeout: String(timeout), ...since });
    const answer = await this.#service.gateway("GET", `/_matrix/client/v3/sync?${query.toString()}`, {
      token: this.token,
    });
    if (answer.status !== 200) return answer.status;
    this.#since = stringAt(answer.body, "next_batch");
    this.others.push(...Object.keys(answer.body).filter((key) => key === "to_device"));
    expect(answer.raw.toString()).not.toContain(`"${PSEUDOUSER}"`);
    const { events } = objectAt(answer.body, "rooms", "peek", this.#room.id, "timeline");
    const messages = (Array.isArray(events) ? events : [])
      .filter((event) => isJsonObject(event))
      .filter(({ type }) => type === "m.room.message")
      .map((event) => stringAt(event, "event_id") ?? "");
    this.told.push(...messages);
    return messages;
  }
}

async function setUp(options: { readonly clock?: Clock } = {}) {
  const service = await startService({ ...options, settings: { peek: NEVER } });
  const { homeserver } = service;
  const room = homeserver.makeRoom({ historyVisibility: "world_readable", creator: BOB, name: "Square" });
  const say = async (sender = BOB): Promise<string> => {
    const { event_id } = homeserver.say(room, sender, "hello");
    await untilTold(service);
    return event_id;
  };
  return { service, homeserver, room, say };
}

/** Until our journal has all that the homeserver sent. */
async function untilTold({ homeserver }: Service): Promise<void> {
  await eventually("all delivered", () => homeserver.sender.isIdle);
}

/** Who asked for a room's events since: users by ID. */
function askers(homeserver: FakeHomeserver, since = 0): string[] {
  return homeserver.requests
    .slice(since)
    .filter(({ method, path }) => method === "GET" && path.endsWith("/events"))
    .map(({ query, headers }) => {
      const token = (headers.authorization ?? "").slice("Bearer ".length);
      return query.get("user_id") ?? homeserver.tokens.get(token) ?? "nobody";
    });
}

describe("peekers who are strangers to the room", () => {
  test("are all told what the reader is shown once", async () => {
    const { service, homeserver, room, say } = await setUp();
    const peekers = Array.from({ length: 8 }, (_, n) => new Peeker(service, room, `stranger${n}`));
    await Promise.all(peekers.map((each) => each.begin()));
    const said = [await say()];
    expect(await Promise.all(peekers.map((each) => each.sync()))).toEqual(peekers.map(() => said));
    const before = homeserver.requests.length;
    for (let round = 1; round < 5; round += 1) {
      said.push(await say());
      await Promise.all(peekers.map((each) => each.sync()));
    }
    expect(peekers.map(({ told }) => told)).toEqual(peekers.map(() => said));
    const asked = askers(homeserver, before);
    expect(new Set(asked)).toEqual(new Set([READER]));
    // One a round; time is hasty here, so that what is held may be too old for one who is late.
    expect(asked.length).toBeLessThan((4 * peekers.length) / 2);
    expect(room.membership(READER)).toBeNull();
  });
});

type Whoever = (scene: {
  readonly homeserver: FakeHomeserver;
  readonly room: FakeRoom;
  readonly peeker: Peeker;
  readonly say: (sender?: string) => Promise<string>;
}) => Promise<void> | void;

/** What a user may be to the room, and whether they are asked for alone. */
const WHOEVER: readonly (readonly [who: string, become: Whoever, isAlone: boolean])[] = [
  ["never was in it", () => undefined, false],
  ["ignores somebody", ({ homeserver, peeker }) => homeserver.ignore(peeker.userId, CAROL), false],
  ["ignores whoever else speaks", ({ homeserver, peeker }) => homeserver.ignore(peeker.userId, BOB, CAROL), false],
  [
    "was in it and left",
    ({ homeserver, room, peeker }) => {
      homeserver.setMembership(room, peeker.userId, "join");
      homeserver.setMembership(room, peeker.userId, "leave");
    },
    true,
  ],
  ["is banned", ({ homeserver, room, peeker }) => void homeserver.setMembership(room, peeker.userId, "ban", BOB), true],
  [
    "is invited",
    ({ homeserver, room, peeker }) => void homeserver.setMembership(room, peeker.userId, "invite", BOB),
    true,
  ],
  ["knocked", ({ homeserver, room, peeker }) => void homeserver.setMembership(room, peeker.userId, "knock"), true],
  ["is a guest", ({ homeserver, peeker }) => void homeserver.guests.add(peeker.token), true],
];

/** What the homeserver itself shows a user who asks it, of what came after a position. */
async function shownTo({ homeserver, room, token }: { homeserver: FakeHomeserver; room: FakeRoom; token: string }) {
  const query = new URLSearchParams({ room_id: room.id, from: "s0", limit: "1000", timeout: "0" });
  const response = await fetch(`${homeserver.url}/_matrix/client/v3/events?${query.toString()}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { chunk } = (await response.json()) as { chunk: JsonObject[] };
  return chunk.filter(({ type }) => type === "m.room.message").map((event) => stringAt(event, "event_id") ?? "");
}

describe("whoever", () => {
  test.each(WHOEVER)("%s is told by /sync what the homeserver shows them", async (_who, become, isAlone) => {
    const { service, homeserver, room, say } = await setUp();
    const peeker = new Peeker(service, room, "dora");
    const other = new Peeker(service, room, "stranger");
    await become({ homeserver, room, peeker, say });
    await other.begin();
    await peeker.begin();
    for (const speaker of [BOB, CAROL, BOB]) {
      await say(speaker);
      await other.sync();
      await peeker.sync();
    }
    const before = homeserver.requests.length;
    await say(CAROL);
    await say(BOB);
    await other.sync();
    await peeker.sync();
    const asked = askers(homeserver, before);
    expect(asked.includes(peeker.userId)).toBe(isAlone);
    expect(asked).toContain(READER);
    expect(asked).not.toContain(PSEUDOUSER);
    expect(peeker.told).toEqual(await shownTo({ homeserver, room, token: peeker.token }));
    expect(other.told).toHaveLength(5);
  });

  test.each(WHOEVER)("%s is told by /events what the homeserver shows them", async (_who, become, isAlone) => {
    const { service, homeserver, room, say } = await setUp();
    const peeker = new Peeker(service, room, "dora");
    await new Peeker(service, room, "stranger").begin();
    await become({ homeserver, room, peeker, say });
    await untilTold(service);
    const told: string[] = [];
    let from = stringAt((await initialSync(service, room, peeker.token)).body["messages"] as JsonObject, "end");
    const poll = async (): Promise<void> => {
      const query = new URLSearchParams({ room_id: room.id, from: from ?? "", timeout: "0" });
      const answer = await service.gateway("GET", `/_matrix/client/v3/events?${query.toString()}`, {
        token: peeker.token,
      });
      expect(answer.status).toBe(200);
      from = stringAt(answer.body, "end");
      const chunk = answer.body["chunk"] as JsonObject[];
      expect(answer.raw.toString()).not.toContain(PSEUDOUSER);
      told.push(
        ...chunk.filter(({ type }) => type === "m.room.message").map((event) => stringAt(event, "event_id") ?? ""),
      );
    };
    for (const speaker of [BOB, CAROL, BOB]) {
      await say(speaker);
      await poll();
    }
    const before = homeserver.requests.length;
    await say(CAROL);
    await poll();
    expect(askers(homeserver, before).includes(peeker.userId)).toBe(isAlone);
    expect(told).toEqual(await shownTo({ homeserver, room, token: peeker.token }));
  });
});

function initialSync(service: Service, room: FakeRoom, token: string): Promise<Answer> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/initialSync?limit=10&via=elsewhere.test`;
  return service.gateway("GET", path, { token });
}

describe("a look that is shared", () => {
  /** Two strangers who follow the room, of whom the first has been told less. */
  async function behind() {
    const scene = await setUp();
    const { service, room, say } = scene;
    const slow = new Peeker(service, room, "slow");
    const other = new Peeker(service, room, "other");
    for (const each of [slow, other]) await each.begin();
    await say();
    for (const each of [slow, other]) await each.sync();
    await say();
    await other.sync();
    return { ...scene, slow, other };
  }

  test("tells a token that was logged out nothing", async () => {
    const { homeserver, slow } = await behind();
    homeserver.tokens.delete(slow.token);
    expect(await slow.sync()).toBe(401);
  });

  test("tells nothing more once the room is closed to strangers, before our ledger knows of it, too", async () => {
    const { service, homeserver, room, slow } = await behind();
    homeserver.sender.hold();
    homeserver.send(room, BOB, "m.room.history_visibility", { history_visibility: "joined" }, "");
    homeserver.say(room, BOB, "among us");
    homeserver.sender.release();
    await untilTold(service);
    expect(await slow.sync()).toEqual([]);
    expect(slow.told).toHaveLength(1);
  });

  test("heeds whom a user ignores from then on", async () => {
    const { homeserver, slow, say } = await behind();
    homeserver.ignore(slow.userId, BOB);
    await say(CAROL);
    await slow.sync();
    expect(slow.told).toHaveLength(2);
  });

  test("is nobody's any more where the reader was invited", async () => {
    const { service, homeserver, room, slow, other, say } = await behind();
    homeserver.setMembership(room, READER, "invite", BOB);
    await untilTold(service);
    const before = homeserver.requests.length;
    await say();
    for (const each of [slow, other]) await each.sync();
    expect(new Set(askers(homeserver, before))).toEqual(new Set([slow.userId, other.userId]));
  });

  test("that the homeserver refuses the reader is none: all are asked for alone", async () => {
    const { homeserver, service, room, say } = await setUp();
    homeserver.refusedLocalparts.set("_emissary_.reader", "no");
    const one = new Peeker(service, room, "one");
    await one.begin();
    const said = await say();
    expect(await one.sync()).toEqual([said]);
    expect(new Set(askers(homeserver))).toEqual(new Set([one.userId]));
  });
});

describe("a device that waits", () => {
  test("is told what comes without a sync of its own for each, and what else there is before long", async () => {
    const { service, homeserver, room, say } = await setUp({ clock: systemClock });
    const peeker = new Peeker(service, room, "dora");
    await peeker.begin();
    await say();
    await peeker.sync();
    const before = homeserver.requests.length;
    const said: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const waiting = peeker.sync(20_000);
      said.push(await say());
      expect(await waiting).toEqual(said.slice(-1));
    }
    const syncs = homeserver.requests.slice(before).filter(({ path }) => path.endsWith("/sync"));
    expect(syncs.map(({ query }) => query.get("timeout"))).toEqual(["20000"]);

    // Something for the device, while the room goes on.
    homeserver.toDevice.set(peeker.token, [{ nr: 1, event: { type: "m.test", sender: BOB, content: {} } }]);
    for (let n = 0; n < 20 && peeker.others.length === 0; n += 1) {
      const waiting = peeker.sync(20_000);
      said.push(await say());
      await waiting;
    }
    expect(peeker.others).not.toEqual([]);
    await peeker.sync();
    expect(peeker.told.slice(1)).toEqual(said);
  });
});

test("a wait that outlives its request is nobody's whose token was logged out meanwhile", async () => {
  const { service, homeserver, room, say } = await setUp({ clock: systemClock });
  const peeker = new Peeker(service, room, "dora");
  await peeker.begin();
  await say();
  await peeker.sync();
  const waiting = peeker.sync(20_000);
  await say();
  await waiting;
  const again = peeker.sync(20_000);
  homeserver.tokens.delete(peeker.token);
  homeserver.toDevice.set(peeker.token, [{ nr: 1, event: { type: "m.test", sender: BOB, content: {} } }]);
  expect(await again).toBe(401);
  expect(peeker.others).toEqual([]);
});

/** A stranger who waits for one message after the other, in one of the two ways. */
async function following(way: "sync" | "events") {
  const scene = await setUp({ clock: systemClock });
  const { service, room, homeserver } = scene;
  const peeker = new Peeker(service, room, "dora");
  const told: string[] = [];
  let from: string | null = null;
  if (way === "sync") await peeker.begin();
  else from = stringAt((await initialSync(service, room, peeker.token)).body["messages"] as JsonObject, "end");
  const poll = async (): Promise<number> => {
    if (way === "sync") {
      const messages = await peeker.sync(20_000);
      if (typeof messages === "number") return messages;
      told.push(...messages);
      return 200;
    }
    const query = new URLSearchParams({ room_id: room.id, from: from ?? "", timeout: "20000" });
    const answer = await service.gateway("GET", `/_matrix/client/v3/events?${query.toString()}`, {
      token: peeker.token,
    });
    if (answer.status !== 200) return answer.status;
    from = stringAt(answer.body, "end");
    const chunk = answer.body["chunk"] as JsonObject[];
    told.push(...chunk.map((event) => stringAt(event, "event_id") ?? ""));
    return 200;
  };
  /** Says something while the stranger waits, who goes on until it is told. */
  const hear = async (sender = BOB): Promise<string> => {
    const waiting = poll();
    const said = await scene.say(sender);
    await waiting;
    while (!told.includes(said)) expect(await poll()).toBe(200);
    return said;
  };
  // Positions of different looks are not compared: the first message is each one's own look.
  await hear();
  await hear();
  const list = `/_matrix/client/v3/user/${encodeURIComponent(peeker.userId)}/account_data/m.ignored_user_list`;
  const questions = (since: number): number =>
    homeserver.requests.slice(since).filter(({ method, path }) => method === "GET" && path.endsWith(list)).length;
  return { ...scene, peeker, told, poll, hear, list, questions };
}

describe.each(["sync", "events"] as const)("a stranger who waits for one message after the other with /%s", (way) => {
  test("costs the homeserver no question for each", async () => {
    const { homeserver, hear, questions } = await following(way);
    const before = homeserver.requests.length;
    for (let n = 0; n < 6; n += 1) await hear();
    expect(questions(before)).toBeLessThanOrEqual(1);
  });

  test("is shown nothing of somebody any more once the gateway has answered that they are ignored", async () => {
    const { service, homeserver, room, peeker, told, hear, list } = await following(way);
    await hear(CAROL);
    const answer = await service.gateway("PUT", list, {
      token: peeker.token,
      body: { ignored_users: { [CAROL]: {} } },
    });
    expect(answer.status).toBe(200);
    const hers = homeserver.say(room, CAROL, "hers");
    await hear(BOB);
    expect(told).not.toContain(hers.event_id);
  });
});

test("a device that waits heeds whom its user ignores with another client, as soon as its own sync has news", async () => {
  const { homeserver, room, peeker, told, hear, questions } = await following("sync");
  homeserver.ignore(peeker.userId, CAROL);
  const before = homeserver.requests.length;
  // What the homeserver has for the device ends its wait there, and with it what was known.
  homeserver.toDevice.set(peeker.token, [{ nr: 1, event: { type: "m.test", sender: BOB, content: {} } }]);
  await hear(BOB);
  const hers = homeserver.say(room, CAROL, "hers");
  await hear(BOB);
  expect(questions(before)).toBeGreaterThan(0);
  expect(told).not.toContain(hers.event_id);
});
