/**
 * Attacks of another server's users on ours, with real homeservers: what they may cause, and what they may not. Volume is tried in
 * test/service/lures-*.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { ANSWER_BUDGETS } from "../../src/attendance/invites/answer.ts";
import { MAX_UPGRADES } from "../../src/model/room.ts";
import { rows } from "../support/database.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

const REASON = "org.matrix.msc1777.reason";
/** What a Synapse on a busy machine sends for certain, and nobody needs. */
const MAX_EVENT_RATE = 4;

let stage: Stage;
let mallory: MatrixUser;
let tenant: MatrixUser;

beforeAll(async () => {
  stage = await openStage({ settings: { policy: { max_event_rate: MAX_EVENT_RATE } } });
  mallory = await stage.user(stage.theirs, "mallory");
  tenant = await stage.tenant("news");
});
afterAll(() => stage.close());

/** What the tenant is answered that wants into a room. */
async function tryIn(roomId: string): Promise<unknown[]> {
  const query = { via: [stage.theirs.serverName] };
  const { status, body } = await tenant.request(
    "POST",
    `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`,
    query,
    {},
  );
  return [status, body[REASON]];
}

async function isIn(roomId: string): Promise<boolean> {
  return (await mallory.joinedMembers(roomId)).includes(stage.pseudouser);
}

function deeds(action: string): Promise<number> {
  return Promise.resolve(
    rows<{ n: number }>(stage.emissary.databasePath, `SELECT count(*) AS n FROM audit WHERE action = '${action}'`)[0]
      ?.n ?? 0,
  );
}

describe("a user of the other server", () => {
  it("invites the pseudouser two hundred times: it goes nowhere, and declines a few", async () => {
    const rooms = await inLanes(Array.from({ length: 25 }), () => mallory.createRoom({ preset: "private_chat" }));
    for (let round = 0; round < 8; round += 1) {
      await inLanes(rooms, (roomId) => mallory.invite(roomId, stage.pseudouser).catch(() => null));
    }
    const most = ANSWER_BUDGETS["declined-server"].joins;
    // A decline for each second of pacing at the most; all that are paid for come within this.
    await until(
      "the declines",
      () => deeds("room.decline"),
      (declined) => declined >= most,
      30_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await deeds("room.decline")).toBeLessThanOrEqual(most + 1);
    expect(await stage.askAsPseudouser("/_matrix/client/v3/joined_rooms")).toEqual({ joined_rooms: [] });
  });

  it("replaces a room again and again: the tenant is followed for a while and no further", async () => {
    const chain: string[] = [];
    while (chain.length < MAX_UPGRADES + 4) {
      const last = chain.at(-1);
      const link = last === undefined ? {} : { creation_content: { predecessor: { room_id: last } } };
      chain.push(await mallory.createRoom({ preset: "public_chat", ...link }));
    }
    expect(await tryIn(chain[0]!)).toEqual([200, undefined]);
    for (const [nr, roomId] of chain.slice(0, -1).entries()) {
      const isThere = await until(
        "the next room",
        () => isIn(roomId),
        Boolean,
        nr <= MAX_UPGRADES ? 15_000 : 3_000,
      ).catch(() => false);
      if (!isThere) break;
      await mallory.sendState(roomId, "m.room.tombstone", { body: "", replacement_room: chain[nr + 1] });
    }
    const entered = await Promise.all(chain.map(isIn));
    expect(entered.slice(MAX_UPGRADES + 1)).not.toContain(true);
    const joins = rows<{ room_id: string }>(
      stage.emissary.databasePath,
      "SELECT room_id FROM audit WHERE action = 'room.join' AND outcome = 'done' ORDER BY id",
    );
    expect(joins.map(({ room_id }) => chain.indexOf(room_id))).toEqual(
      chain.slice(0, MAX_UPGRADES + 1).map((_, nr) => nr),
    );
  });

  it("kicks the pseudouser whenever it comes: it does not come back for a while, whoever asks", async () => {
    const roomId = await mallory.createRoom({ preset: "public_chat" });
    expect(await tryIn(roomId)).toEqual([200, undefined]);
    await mallory.kick(roomId, stage.pseudouser);
    await until(
      "the kick",
      () => tryIn(roomId),
      ([status]) => status === 403,
    );
    for (let round = 0; round < 5; round += 1) expect(await tryIn(roomId)).toEqual([403, "put-out"]);
    expect(await isIn(roomId)).toBe(false);
  });

  it("floods a room: the pseudouser leaves it, and does not come back for a while", async () => {
    const roomId = await mallory.createRoom({ preset: "public_chat" });
    expect(await tryIn(roomId)).toEqual([200, undefined]);
    let isOver = false;
    const flood = inLanes(Array.from({ length: 2_000 }), async (_, nr) => {
      if (!isOver) await mallory.sendText(roomId, `flood ${nr}`);
    });
    await until(
      "the pseudouser having left",
      () => isIn(roomId),
      (answer) => !answer,
      40_000,
    );
    isOver = true;
    await flood;
    expect(await tryIn(roomId)).toEqual([403, "flooded"]);
  });

  it("makes a room of a version that resets state: nobody enters it", async () => {
    const roomId = await mallory.createRoom({ preset: "public_chat", room_version: "1" });
    expect(await tryIn(roomId)).toEqual([403, "room-version"]);
    expect(await isIn(roomId)).toBe(false);
  });

  it("cannot invite the pseudouser where the operator has invites blocked at the homeserver", async () => {
    stage.emissary.configure({ policy: { own_invites: "block" } });
    process.kill(stage.emissary.pid, "SIGHUP");
    const roomId = await mallory.createRoom({ preset: "private_chat" });
    const invite = (): ReturnType<MatrixUser["request"]> =>
      mallory.request(
        "POST",
        `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/invite`,
        {},
        { user_id: stage.pseudouser },
      );
    const refused = await until("the block", invite, ({ status }) => status === 403);
    expect(refused.body["errcode"]).toMatch(/^(M_INVITE_BLOCKED|M_FORBIDDEN)$/);
  });
});

/** Does something for each, four at once. */
async function inLanes<Item, Result>(
  items: readonly Item[],
  work: (item: Item, nr: number) => Promise<Result>,
): Promise<Result[]> {
  const left = [...items.entries()];
  const results: Result[] = [];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      results[next[0]] = await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  return results;
}
