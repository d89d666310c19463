import { randomInt } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import { FederationRecorder } from "../support/federation-recorder.ts";
import { openStage, until, type Stage } from "../support/stage.ts";
import { Dice } from "../support/war-dice.ts";

/** Events that get lost between servers, as in an outage, and MSC2753's `/sync` beside that of a user who is in the room. */
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
const FILTER = '{"room":{"timeline":{"limit":100}}}';
/** Sizes of outages are others in each run; `EMISSARY_OUTAGES_SEED` has them come again. */
const seed = Number(process.env["EMISSARY_OUTAGES_SEED"] ?? randomInt(1, 2 ** 31));
const recorder = new FederationRecorder();
let stage: Stage;
let bob: MatrixUser;
let carol: MatrixUser;
let alice: MatrixUser;
let roomId: string;

beforeAll(async () => {
  stage = await openStage({ recorder });
  bob = await stage.user(stage.theirs, "bob");
  carol = await stage.user(stage.ours, "carol");
  const { userId, accessToken } = await stage.user(stage.ours, "alice");
  alice = new MatrixUser({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
  roomId = await bob.createRoom({
    preset: "public_chat",
    initial_state: [
      { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
    ],
  });
  const body = { servers: [stage.theirs.serverName] };
  const answer = await alice.request("POST", `${UNSTABLE}/peek/${encodeURIComponent(roomId)}`, {}, body);
  expect(answer).toMatchObject({ status: 200 });
  await carol.join(roomId, [stage.theirs.serverName]);
}, 180_000);
afterAll(() => stage.close());

interface Timeline {
  readonly events: Json[];
  readonly limited: boolean;
  readonly prev_batch: string;
}

/** A client that goes by what `/sync` says: after a gap it reads back from `prev_batch`. */
class Follower {
  readonly user: MatrixUser;
  readonly kind: "peek" | "join";
  since: string | undefined;
  texts = new Set<string>();

  constructor(user: MatrixUser, kind: "peek" | "join") {
    this.user = user;
    this.kind = kind;
  }

  /** Whether there was a gap. */
  async sync(): Promise<boolean> {
    const query = { timeout: 0, filter: FILTER, ...(this.since === undefined ? {} : { since: this.since }) };
    const { status, body } = await this.user.request("GET", "/_matrix/client/v3/sync", query);
    expect(status).toBe(200);
    this.since = body["next_batch"] as string;
    const rooms = (body["rooms"] ?? {}) as Record<string, Record<string, { timeline: Timeline }> | undefined>;
    const timeline = rooms[this.kind]?.[roomId]?.timeline;
    if (timeline === undefined) return false;
    if (timeline.limited) this.texts = new Set(await this.#before(timeline.prev_batch));
    for (const text of textsOf(timeline.events)) this.texts.add(text);
    return timeline.limited;
  }

  async #before(prevBatch: string): Promise<string[]> {
    const texts: string[] = [];
    for (let from: string | undefined = prevBatch; from !== undefined;) {
      const { status, body } = await this.user.request("GET", `/_matrix/client/v3/rooms/${roomId}/messages`, {
        dir: "b",
        limit: 20,
        from,
      });
      expect(status).toBe(200);
      texts.push(...textsOf(body["chunk"] as Json[]));
      from = body["end"] as string | undefined;
    }
    return texts;
  }
}

const textsOf = (events: readonly Json[]): string[] =>
  events
    .filter((event) => event["type"] === "m.room.message")
    .map((event) => (event["content"] as Json)["body"] as string);

async function untilSeen(text: string): Promise<void> {
  const path = `/_matrix/client/v3/rooms/${roomId}/messages`;
  await until(
    `"${text}" here`,
    async () => textsOf((await carol.request("GET", path, { dir: "b", limit: 5 })).body["chunk"] as Json[]),
    (texts) => texts.includes(text),
  );
}

it("whatever was missed, a gap is told where a member is told one, and behind it everything is found", async () => {
  const [peeker, member] = [new Follower(alice, "peek"), new Follower(carol, "join")];
  await Promise.all([peeker.sync(), member.sync()]);
  const sent: string[] = [];
  const say = async (user: MatrixUser, text: string): Promise<void> => {
    await user.sendText(roomId, text);
    sent.push(text);
  };
  const gaps: boolean[][] = [];
  const outages = outagesOf(seed);
  // Missed messages; those of our own side meanwhile; those after it.
  for (const [at, [missed, own, after]] of outages.entries()) {
    const drawn = `seed ${seed}, ${JSON.stringify(outages)}, number ${at}`;
    const { lost } = recorder;
    if (missed > 0) recorder.lossy.add(stage.ours.serverName);
    for (let n = 0; n < missed; n += 1) await say(bob, `missed ${sent.length}`);
    for (let n = 0; n < own; n += 1) await say(carol, `own ${sent.length}`);
    await until(
      "the loss",
      async () => recorder.lost - lost,
      (events) => events >= missed,
    );
    recorder.lossy.clear();
    for (let n = 0; n < after; n += 1) await say(bob, `after ${sent.length}`);
    await untilSeen(sent.at(-1) ?? "");
    // The member is told first: reading back has the homeserver fetch what it missed.
    const isGap = await member.sync();
    gaps.push([isGap, await peeker.sync()]);
    const missing = sent.filter((text) => !peeker.texts.has(text));
    expect(missing, drawn).toEqual([]);
  }
  const told = `seed ${seed}, ${JSON.stringify(outages)}`;
  expect(
    gaps.map(([told]) => told),
    told,
  ).toContain(true);
  expect(
    gaps.filter(([member, peek]) => member === true && peek !== true),
    told,
  ).toEqual([]);
  expect(gaps[0], told).toEqual([false, false]);
}, 120_000);

type Outage = readonly [missed: number, own: number, after: number];

/** None at first; one that a server fetches; one that it does not; and one over which both sides write. */
function outagesOf(drawnFrom: number): readonly Outage[] {
  const dice = new Dice(drawnFrom);
  const between = (least: number, most: number): number => least + dice.below(most - least + 1);
  const others: readonly Outage[] = [
    [between(1, 9), between(0, 5), between(1, 4)],
    [between(30, 50), 0, between(1, 5)],
    [between(10, 40), between(1, 40), between(1, 4)],
  ];
  return [[0, 0, between(1, 5)], ...dice.shuffled(others)];
}
