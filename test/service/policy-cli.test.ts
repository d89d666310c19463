/** `emissary policy` against the running program. */
import { expect, test } from "vitest";
import { startService } from "../support/service-app.ts";
import { ADMIN_TOKEN, configFor, emissary, type Outcome } from "../unit/cli/terminal.ts";

async function scene() {
  const service = await startService({ settings: { admin: { token: ADMIN_TOKEN } } });
  const config = configFor(service.app.ports.admin);
  const run = (...args: string[]): Promise<Outcome> => emissary([...args, "--config", config]);
  return { service, run };
}

test("a room is explained, denied, explained again, allowed again", async () => {
  const { service, run } = await scene();
  const room = service.homeserver.makeRoom({
    alias: "#open/square:elsewhere.test",
    historyVisibility: "world_readable",
  });
  const before = await run("policy", "explain", "#open/square:elsewhere.test", "--via", "elsewhere.test");
  expect([before.exitCode, before.stdout.split("\n").at(-2)]).toEqual([0, "allowed: no rule is against it"]);
  expect((await run("policy", "deny", "#open/square:*", "--reason", "too\u001bloud")).exitCode).toBe(0);
  const after = await run("policy", "explain", "#open/square:elsewhere.test", "--via", "elsewhere.test");
  expect(after.exitCode).toBe(3);
  expect(after.stdout).toContain(`room  ${room.id}, #open/square:elsewhere.test\nfor   user\nrefuses  denied `);
  expect(after.stdout).toMatch(/\nrefused \(denied\): .*too\\u\{1b\}loud\n$/);
  expect((await run("policy", "show")).stdout).toMatch(/\ndeny +room +#open\/square:\* +operator +too\\u\{1b\}loud\n$/);
  expect((await run("policy", "remove", "#open/square:*")).exitCode).toBe(0);
  expect((await run("policy", "explain", room.id, "--via", "elsewhere.test")).exitCode).toBe(0);
});

test("status, show and rooms show are read by the commands as the program answers them", async () => {
  const { service, run } = await scene();
  const room = service.homeserver.makeRoom();
  expect((await run("rooms", "join", room.id, "--via", "elsewhere.test")).exitCode).toBe(0);
  for (const args of [["status"], ["status", "--json"], ["policy", "show", "--json"], ["rooms", "show", room.id]]) {
    expect([args, (await run(...args)).exitCode]).toEqual([args, 0]);
  }
});
