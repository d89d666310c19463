import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { journalEvents, rows } from "../support/database.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let bob: MatrixUser;
let tenant: MatrixUser;
let roomId: string;

beforeAll(async () => {
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
  tenant = await stage.tenant("news");
  roomId = await bob.createRoom({ preset: "public_chat" });
  await tenant.join(roomId, [stage.theirs.serverName]);
});
afterAll(() => stage.close());

/** How often each of these events stands in the journal. */
function timesInJournal(eventIds: readonly string[]): number[] {
  const stored = journalEvents(stage.emissary.databasePath).map((event) => event.event_id);
  return eventIds.map((id) => stored.filter((other) => other === id).length);
}

async function eachOnce(eventIds: readonly string[]): Promise<void> {
  await until(
    "the journal",
    async () => timesInJournal(eventIds),
    (times) => times.every((count) => count >= 1),
    60_000,
  );
  expect(timesInJournal(eventIds)).toEqual(eventIds.map(() => 1));
}

describe("messages of the other server", () => {
  it("that were sent while Emissary was down arrive after its start, each once", async () => {
    expect(await stage.emissary.end("SIGTERM")).toBe(0);
    const sent = [await bob.sendText(roomId, "anybody?"), await bob.sendText(roomId, "hello?")];
    await stage.emissary.start();
    // The homeserver backs off while we are down; a ping has it try again at once.
    await pingOurselves();
    await eachOnce(sent);
  });

  it("arrive each once though Emissary is killed again and again while they come", async () => {
    const sent: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const sending = (async () => {
        for (let index = 0; index < 15; index += 1) sent.push(await bob.sendText(roomId, `${round}.${index}`));
      })();
      await new Promise((resolve) => setTimeout(resolve, 150 + round * 70));
      expect(await stage.emissary.end("SIGKILL")).toBe(null);
      await sending;
      await stage.emissary.start();
      await pingOurselves();
    }
    await eachOnce(sent);
    expect(await tenant.joinedRooms()).toEqual([roomId]);
  });

  it("arrive after our homeserver restarted, whose transaction IDs then begin at 1 again", async () => {
    const first = await bob.sendText(roomId, "before the restart");
    await eachOnce([first]);
    await stage.ours.restart();
    const second = await bob.sendText(roomId, "after the restart");
    await eachOnce([second]);
    // What makes this a test: the homeserver did give the same transaction ID twice.
    const repeated = rows(
      stage.emissary.databasePath,
      "SELECT txn_id FROM journal GROUP BY txn_id HAVING count(*) > 1",
    );
    expect(repeated.length).toBeGreaterThan(0);
  });
});

describe("a join that Emissary was killed in", () => {
  it("is finished after the next start", async () => {
    const other = await bob.createRoom({ preset: "public_chat" });
    const joining = tenant.join(other, [stage.theirs.serverName]).catch(() => "cut off");
    await until(
      "the lease",
      async () =>
        rows(
          stage.emissary.databasePath,
          "SELECT 1 FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE r.room_id = ? AND l.ended_at IS NULL",
          other,
        ),
      (leases) => leases.length === 1,
    );
    await stage.emissary.end("SIGKILL");
    await joining;
    await stage.emissary.start();
    await until(
      "the tenant's rooms",
      () => tenant.joinedRooms(),
      (joined) => joined.includes(other),
    );
    expect(await bob.joinedMembers(other)).toContain(stage.pseudouser);
  });
});

async function pingOurselves(): Promise<void> {
  const response = await fetch(`${stage.ours.url}/_matrix/client/v1/appservice/emissary/ping`, {
    method: "POST",
    headers: { authorization: `Bearer ${stage.emissary.asToken}` },
    body: "{}",
  });
  expect(response.status).toBe(200);
}
