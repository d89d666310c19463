import path from "node:path";
import { expect, test } from "vitest";
import { stringAt } from "../../src/model/json.ts";
import type { Clock } from "../../src/model/clock.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { fakeHomeserver, startService, temporaryFolder, type Answer, type Service } from "../support/service-app.ts";

const V3 = "/_matrix/client/v3";
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
const IDLE_MS = 100_000;
const TOKEN = "token-of-alice";

/** The real time, and as much later as a test says. */
class LaterClock implements Clock {
  later = 0;

  now(): number {
    return systemClock.now() + this.later;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }
}

async function setUp() {
  const clock = new LaterClock();
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const service = await startService({ homeserver, sqlite, clock, settings: { peek: { idle: IDLE_MS } } });
  const room = (): string =>
    homeserver.makeRoom({ historyVisibility: "world_readable", creator: "@bob:elsewhere.test" }).id;
  return { clock, homeserver, service, room };
}

const ask = (service: Service, method: "GET" | "POST", target: string, body?: unknown): Promise<Answer> =>
  service.gateway(method, target, { token: TOKEN, ...(body === undefined ? {} : { body }) });
const peek = (service: Service, room: string): Promise<Answer> =>
  ask(service, "POST", `${UNSTABLE}/peek/${encodeURIComponent(room)}?via=elsewhere.test`, {});
const leases = (service: Service): unknown[] =>
  service.query("SELECT room_nr, expires_at FROM leases WHERE ended_at IS NULL ORDER BY room_nr");
const devices = (service: Service): unknown[] => service.query("SELECT * FROM peek_tokens");

type Attempt = (service: Service, known: string, fresh: string) => Promise<Answer>;

/** Everything that a remembered token could still get something by. */
const ATTEMPTS: readonly (readonly [what: string, attempt: Attempt])[] = [
  ["begins a peek", (service, _known, fresh) => peek(service, fresh)],
  ["renews its peek", (service, known) => peek(service, known)],
  [
    "ends its peek",
    (service, known) => ask(service, "POST", `${UNSTABLE}/rooms/${encodeURIComponent(known)}/unpeek`, {}),
  ],
  [
    "reads a room that nobody looks into",
    (service, _known, fresh) =>
      ask(service, "GET", `${V3}/rooms/${encodeURIComponent(fresh)}/initialSync?via=elsewhere.test`),
  ],
  [
    "reads a room that it looks into",
    (service, known) => ask(service, "GET", `${V3}/rooms/${encodeURIComponent(known)}/messages?dir=b`),
  ],
  [
    "polls a room that it looks into",
    (service, known) => ask(service, "GET", `${V3}/events?room_id=${encodeURIComponent(known)}&timeout=300000`),
  ],
  ["syncs", (service) => ask(service, "GET", `${V3}/sync?timeout=0`)],
];

test.each(ATTEMPTS)(
  "a token that was logged out and %s is refused at once, and gets nothing",
  async (_what, attempt) => {
    const { clock, homeserver, service, room } = await setUp();
    const known = room();
    expect(
      (await ask(service, "GET", `${V3}/rooms/${encodeURIComponent(known)}/initialSync?via=elsewhere.test`)).status,
    ).toBe(200);
    expect((await peek(service, known)).status).toBe(200);
    const [before, shown] = [leases(service), devices(service)];
    homeserver.tokens.delete(TOKEN);
    // Long enough for a renewal to be due, and not for what was remembered to be forgotten.
    clock.later += 30_000;
    const answer = await attempt(service, known, room());
    expect([answer.status, answer.body["errcode"]]).toEqual([401, "M_UNKNOWN_TOKEN"]);
    await new Promise((done) => setTimeout(done, 100));
    expect([leases(service), devices(service)]).toEqual([before, shown]);
  },
);

test("a token that was replaced and logged out becomes no device's", async () => {
  const { homeserver, service, room } = await setUp();
  const square = room();
  await peek(service, square);
  const synced = await ask(service, "GET", `${V3}/sync?timeout=0`);
  const since = stringAt(synced.body, "next_batch") ?? "";
  const second = "second-of-alice";
  homeserver.tokens.set(second, `@alice:${SERVER}`);
  const read = (token: string, target: string): Promise<Answer> => service.gateway("GET", target, { token });
  expect((await read(second, `${V3}/rooms/${encodeURIComponent(square)}/initialSync`)).status).toBe(200);
  homeserver.tokens.delete(second);
  const before = devices(service);
  expect((await read(second, `${V3}/sync?timeout=0&since=${encodeURIComponent(since)}`)).status).toBe(401);
  expect(devices(service)).toEqual(before);
});
