/** The operator's rules outlive a daemon that is killed. Runs what `npm run build` makes. */
import { expect, test } from "vitest";
import { ADMIN_TOKEN, ask, fakeHomeserver, temporaryFolder } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";

test("a rule that was answered stands, and one that was removed is gone, however the daemon ended", async () => {
  const homeserver = await fakeHomeserver();
  const folder = temporaryFolder();
  const room = homeserver.makeRoom();
  const base = "/_emissary/v1/policy/rules";
  const rule = (admin: number, kind: string, entity: string, verdict: string) =>
    ask(admin, "POST", base, { token: ADMIN_TOKEN, body: { kind, entity, verdict } });
  let daemon = new Daemon(folder, homeserver);
  const { admin } = await daemon.ready();
  const token = await daemon.tenant("one");
  await rule(admin, "server", "elsewhere.test", "deny");
  await rule(admin, "user", "@somebody:*", "deny");
  const gone = `${base}/user/${encodeURIComponent("@somebody:*")}`;
  expect((await ask(admin, "DELETE", gone, { token: ADMIN_TOKEN })).status).toBe(200);
  daemon.process.kill("SIGKILL");
  await daemon.exit();

  daemon = new Daemon(folder, homeserver);
  const ports = await daemon.ready();
  const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
  const answer = await ask(ports.gateway, "POST", join, { token, body: {} });
  expect([answer.status, answer.body["org.matrix.msc1777.reason"]]).toEqual([403, "denied"]);
  const policy = await ask(ports.admin, "GET", "/_emissary/v1/policy", { token: ADMIN_TOKEN });
  expect(policy.body["rules"]).toMatchObject([{ source: "operator", allow: 0, deny: 1 }]);
});
