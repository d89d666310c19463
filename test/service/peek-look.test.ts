/**
 * Strangers to a room share one look at the homeserver; everybody else is asked for alone. What each is told is compared with what the
 * homeserver itself shows that user.
 */
import { describe, expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import { eventually, startService, type Service, type Settings } from "../support/service-app.ts";

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
  async sync(): Promise<string[] | number> {
    const since = this.#since === null ? {} : { since: this.#since };
    const query = new URLSearchParams({ timeout: "0", ...since });
    const answer = await this.#service.gateway("GET", `/_matrix/client/v3/sync?${query.toString()}`, {
      token: this.token,
    });
    if (answer.status !== 200) return answer.status;
    this.#since = stringAt(answer.body, "next_batch");
    const { events } = objectAt(answer.body, "rooms", "peek", this.#room.id, "timeline");
    const messages = (Array.isArray(events) ? events : [])
      .filter((event) => isJsonObject(event))
      .filter(({ type }) => type === "m.room.message")
      .map((event) => stringAt(event, "event_id") ?? "");
    this.told.push(...messages);
    return messages;
  }
}

async function setUp(settings: Settings = {}) {
  const service = await startService({ settings: { ...settings, peek: NEVER } });
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
    const peekers = Array.from({ length: 20 }, (_, n) => new Peeker(service, room, `stranger${n}`));
    for (const each of peekers) await each.begin();
    const said = [await say()];
    for (const each of peekers) expect(await each.sync()).toEqual([said[0]]);
    const before = homeserver.requests.length;
    for (let round = 1; round < 5; round += 1) {
      said.push(await say());
      for (const each of peekers) await each.sync();
    }
    expect(peekers.map(({ told }) => told)).toEqual(peekers.map(() => said));
    const asked = askers(homeserver, before);
    expect(new Set(asked)).toEqual(new Set([READER]));
    expect(asked.length).toBeLessThanOrEqual(8);
    expect(room.membership(READER)).toBeNull();
  });
});
