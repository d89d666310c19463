import DatabaseConstructor from "better-sqlite3";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser, RoomEvent } from "../../homeservers/synapse/client.ts";
import { rows, storedMembers } from "../support/database.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let bob: MatrixUser;
let carol: MatrixUser;
let tenant: MatrixUser;

beforeAll(async () => {
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
  carol = await stage.user(stage.theirs, "carol");
  tenant = await stage.tenant("news");
});
afterAll(() => stage.close());

async function attendedRoom(): Promise<string> {
  const roomId = await bob.createRoom({ preset: "public_chat" });
  await tenant.join(roomId, [stage.theirs.serverName]);
  await until(
    "the room loaded",
    async () => storedMembers(stage.emissary.databasePath, roomId),
    (members) => members.length === 2,
  );
  return roomId;
}

/** Runs SQL in the database of our homeserver, which has to be stopped. */
function inHomeserver(sql: string): void {
  const db = new DatabaseConstructor(join(stage.ours.dir, "hs.db"));
  db.exec(sql);
  db.close();
}

/** Our homeserver forgets what it had for us: its queue is in memory in part, and a crash loses that for good. */
async function losingEvents(act: () => Promise<void>): Promise<void> {
  await stage.emissary.end();
  await act();
  await stage.ours.stop();
  inHomeserver(`
    DELETE FROM application_services_txns;
    DELETE FROM application_services_state;
    UPDATE appservice_stream_position SET stream_ordering = (SELECT max(stream_ordering) FROM events);
  `);
  await stage.ours.restart();
  await stage.emissary.start();
}

async function repaired(what: string): Promise<number> {
  const text = await (await fetch(`${stage.emissary.adminUrl}/metrics`)).text();
  return Number(new RegExp(`emissary_repaired_total\\{what="${what}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

/** IDs of a room's messages that the tenant is given, in order, from a token on. */
async function given(since: string, roomId: string): Promise<string[]> {
  const { body } = await tenant.request("GET", "/_matrix/client/v3/sync", { since, timeout: 0 });
  const { join } = (body as unknown as { rooms: { join: Record<string, { timeline: { events: RoomEvent[] } }> } })
    .rooms;
  const events = join[roomId]?.timeline.events ?? [];
  return events.filter(({ type }) => type === "m.room.message").map(({ event_id: id }) => id);
}

describe("events that our homeserver lost on their way to us", () => {
  it("are read back after the next start and given to tenants, in order and once, and counted as late", async () => {
    const roomId = await attendedRoom();
    const { body } = await tenant.request("GET", "/_matrix/client/v3/sync", { timeout: 0 });
    const since = String(body["next_batch"]);
    const lost: string[] = [];
    await losingEvents(async () => {
      for (const text of ["one", "two", "three"]) lost.push(await bob.sendText(roomId, text));
      await until(
        "the messages, at our homeserver",
        () =>
          stage.askAsPseudouser<{ chunk: { event_id: string }[] }>(
            `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=1`,
          ),
        ({ chunk }) => chunk[0]?.event_id === lost.at(-1),
      );
    });
    await until(
      "what was lost",
      () => given(since, roomId),
      (ids) => ids.length === lost.length,
      60_000,
    );
    const next = await bob.sendText(roomId, "four");
    const all = await until(
      "the next one",
      () => given(since, roomId),
      (ids) => ids.includes(next),
    );
    expect(all).toEqual([...lost, next]);
    const { intake } = await stage.emissary.json<{ intake: { late: number } }>("status");
    expect(intake.late).toBeGreaterThanOrEqual(lost.length);
    const metrics = await (await fetch(`${stage.emissary.adminUrl}/metrics`)).text();
    expect(metrics).toContain(`emissary_late_events_total ${intake.late}`);
  });

  it("are made up for after the next start: members who came meanwhile are in the ledger, and the repair is counted", async () => {
    const roomId = await attendedRoom();
    await losingEvents(async () => {
      await carol.join(roomId);
      await until(
        "carol, at our homeserver",
        () =>
          stage.askAsPseudouser<{ joined: Record<string, unknown> }>(
            `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/joined_members`,
          ),
        ({ joined }) => carol.userId in joined,
      );
    });
    await until(
      "the ledger",
      async () => storedMembers(stage.emissary.databasePath, roomId),
      (members) => members.some((member) => member.user_id === carol.userId),
      60_000,
    );
    expect(await repaired("rows")).toBeGreaterThan(0);
    expect(stage.emissary.log).toContain("room.repaired");
  });

  it("are made up for where they were a kick of the pseudouser: the lease ends as kicked", async () => {
    const roomId = await attendedRoom();
    await losingEvents(async () => {
      await bob.kick(roomId, stage.pseudouser);
      await until(
        "the kick, at our homeserver",
        () => stage.askAsPseudouser<{ joined_rooms: string[] }>("/_matrix/client/v3/joined_rooms"),
        ({ joined_rooms }) => !joined_rooms.includes(roomId),
      );
    });
    await until(
      "the ledger",
      async () =>
        rows<{ end_reason: string | null; own_membership: string }>(
          stage.emissary.databasePath,
          "SELECT l.end_reason, r.own_membership FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE r.room_id = ?",
          roomId,
        ),
      ([lease]) => lease?.end_reason === "kicked" && lease.own_membership === "leave",
    );
    await until(
      "the count of rooms gone",
      () => repaired("room-gone"),
      (count) => count === 1,
    );
    expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);
  });
});

it("what was said while the pseudouser was not in a room is fetched when it comes back, all of it", async () => {
  const roomId = await attendedRoom();
  await tenant.leave(roomId);
  await until(
    "the leave",
    () => bob.joinedMembers(roomId),
    (members) => !members.includes(stage.pseudouser),
  );
  const said: string[] = [];
  for (let at = 0; at < 250; at += 1) said.push(await bob.sendText(roomId, `message ${at}`));
  await tenant.join(roomId, [stage.theirs.serverName]);
  // Read in its database: to ask it would have it fetch some.
  const held = async (): Promise<number> => {
    const sql = "SELECT count(*) AS events FROM events WHERE room_id = ? AND type = 'm.room.message' AND NOT outlier";
    return rows<{ events: number }>(join(stage.ours.dir, "hs.db"), sql, roomId)[0]?.events ?? 0;
  };
  await until("all that was said, at our homeserver", held, (events) => events === said.length, 60_000);
  await until(
    "the room without a gap",
    () => stage.emissary.json<{ gap: string }>("rooms", "show", roomId),
    ({ gap }) => gap === "none",
  );
});

describe("a homeserver that has stopped delivering without a word", () => {
  it("is found out by what happens in the rooms, and told in the status", { timeout: 180_000 }, async () => {
    const roomId = await attendedRoom();
    await stage.ours.stop();
    // The known fault: the position in the stream of events stands where no event ever comes.
    inHomeserver("UPDATE appservice_stream_position SET stream_ordering = 1000000000");
    await stage.ours.restart();
    const lost = await bob.sendText(roomId, "can you hear me?");
    await until(
      "the event, at our homeserver",
      () =>
        stage.askAsPseudouser<{ chunk: { event_id: string }[] }>(
          `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=1`,
        ),
      ({ chunk }) => chunk[0]?.event_id === lost,
    );
    const status = await until(
      "the status",
      () => stage.emissary.json<{ delivery: { state: string; since: number } }>("status"),
      ({ delivery }) => delivery.state !== "flowing",
      150_000,
    );
    expect(status.delivery.state).toBe("silent");
    expect(stage.emissary.log).toContain("delivery.silent");
  });
});
