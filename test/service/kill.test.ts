/** `emissary run`, killed at moments that a seed chooses. Runs what `npm run build` makes. */
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { ask, eventually, fakeHomeserver, seededRandom, temporaryFolder } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const ROUNDS = roundsOf(20);

function journalOf(sqlite: string): string[] {
  const db = new Database(sqlite, { readonly: true });
  try {
    const rows = db.prepare("SELECT event_ids FROM journal ORDER BY first_seq").pluck().all() as string[];
    return rows.flatMap((ids) => JSON.parse(ids) as string[]);
  } finally {
    db.close();
  }
}

/**
 * The homeserver sends without pause while the daemon is killed again and again. Whatever was acknowledged has to be in the
 * journal, whatever was not comes again, and nothing is there twice.
 */
test(
  "killed with -9 in a stream of transactions, again and again, it loses and doubles nothing",
  async () => {
    const homeserver = await fakeHomeserver();
    const room = homeserver.makeRoom();
    const folder = temporaryFolder();
    const random = seededRandom(`kill -9, ${seedOf(9)}`);
    let daemon = new Daemon(folder, homeserver);
    const { gateway } = await daemon.ready();
    const token = await daemon.tenant("one");
    const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
    expect((await ask(gateway, "POST", join, { token, body: {} })).status).toBe(200);
    await eventually("an idle homeserver", () => homeserver.sender.isIdle);
    const sent = journalOf(daemon.sqlite);

    for (let round = 0; round < ROUNDS; round += 1) {
      const stream = setInterval(() => {
        sent.push(homeserver.say(room, "@creator:elsewhere.test", `event ${sent.length}`).event_id);
      }, 1);
      const enough = sent.length + 20 + Math.floor(random.fraction() * 60);
      await eventually("some of them acknowledged", () => homeserver.sender.acknowledged.length >= enough);
      daemon.process.kill("SIGKILL");
      expect(await daemon.exit()).toBe("SIGKILL");
      clearInterval(stream);
      const stored = new Set(journalOf(daemon.sqlite));
      expect(homeserver.sender.acknowledged.filter((id) => !stored.has(id))).toEqual([]);
      if (round % 2 === 1) homeserver.sender.restartTransactionIds();
      daemon = new Daemon(folder, homeserver);
      await daemon.ready();
    }
    await eventually("an idle homeserver", () => homeserver.sender.isIdle);
    expect(journalOf(daemon.sqlite)).toEqual(sent);
    daemon.process.kill("SIGTERM");
    expect(await daemon.exit()).toBe(0);
  },
  20_000 * ROUNDS,
);
