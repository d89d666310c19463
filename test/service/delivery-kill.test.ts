/** `emissary run`, killed while it gives a tenant its events. Runs what `npm run build` makes. */
import { expect, test } from "vitest";
import { isJsonObject, stringAt } from "../../src/model/json.ts";
import { ask, eventually, fakeHomeserver, seededRandom, temporaryFolder } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { contentsById, take, TenantListener } from "../support/tenant-listener.ts";

const ROUNDS = roundsOf(6);

/**
 * Events come without pause; the tenant fails now and then, and takes a while. The daemon is killed again and again, sometimes
 * with a transaction on its way.
 */
test(
  "killed with -9 again and again, it gives a tenant every event once by the transactions' IDs, in order",
  async () => {
    const homeserver = await fakeHomeserver();
    const room = homeserver.makeRoom();
    const folder = temporaryFolder();
    const random = seededRandom(`kill -9 while delivering, ${seedOf(5)}`);
    const listener = await new TenantListener().listen();
    listener.reply = (response, call) => {
      const chance = random.fraction();
      if (chance < 0.1) response.destroy();
      else setTimeout(() => take(response, call), chance * 10);
    };
    let daemon = new Daemon(folder, homeserver);
    const { gateway } = await daemon.ready();
    const { body } = await daemon.admin("POST", "/tenants", { id: "one", url: listener.url });
    const token = (isJsonObject(body["registration"]) ? stringAt(body["registration"], "as_token") : null) ?? "";
    const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
    expect((await ask(gateway, "POST", join, { token, body: {} })).status).toBe(200);
    await eventually("an idle homeserver", () => homeserver.sender.isIdle);

    const said: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const stream = setInterval(() => {
        said.push(homeserver.say(room, "@creator:elsewhere.test", `event ${said.length}`).event_id);
      }, 1);
      const enough = listener.events.length + 20 + Math.floor(random.fraction() * 60);
      await eventually("some of them taken", () => listener.events.length >= enough);
      daemon.process.kill("SIGKILL");
      expect(await daemon.exit()).toBe("SIGKILL");
      clearInterval(stream);
      daemon = new Daemon(folder, homeserver);
      await daemon.ready();
    }
    const last = said.at(-1) ?? "";
    await eventually("the last of them taken", () => listener.events.includes(last), 60_000);
    expect(listener.events.filter((id) => said.includes(id))).toEqual(said);
    expect(contentsById(listener).every((contents) => contents === 1)).toBe(true);
    daemon.process.kill("SIGTERM");
    expect(await daemon.exit()).toBe(0);
  },
  20_000 * ROUNDS,
);
