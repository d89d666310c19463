/**
 * Start-up: the homeserver may be down, may not have loaded the registration, may refuse the name. Only the last is final.
 */
import { expect, test } from "vitest";
import { SERVER } from "../support/fake-homeserver.ts";
import { eventually, fakeHomeserver, PSEUDOUSER, startService, type Service } from "../support/service-app.ts";

async function whyNotReady(service: Service): Promise<string> {
  const { status, body } = await service.ready();
  return status === 503 ? (body["error"] as string) : "";
}

test("on a homeserver that has never seen it, the pseudouser is registered, named once, and known again at the next start", async () => {
  const first = await startService();
  const { homeserver } = first;
  expect((await first.ready()).body).toEqual({ status: "ready" });
  const [registered] = homeserver.seen("POST", /\/register$/);
  expect(registered!.body).toEqual({ type: "m.login.application_service", username: "", inhibit_login: true });
  expect(homeserver.profiles.get(PSEUDOUSER)).toBe(SERVER);
  await first.app.stop();
  await startService({ homeserver, sqlite: first.config.storage.sqlite });
  expect(homeserver.seen("POST", /\/register$/)).toHaveLength(1);
  expect(homeserver.seen("PUT", /\/displayname$/)).toHaveLength(1);
});

test("a changed display name is set at the next start", async () => {
  const first = await startService();
  await first.app.stop();
  const { homeserver } = first;
  await startService({ homeserver, settings: { pseudouser: { displayname: "Our emissary" } } });
  expect(homeserver.profiles.get(PSEUDOUSER)).toBe("Our emissary");
});

test("while the homeserver is down it says so, takes transactions already, and becomes ready once the homeserver is up", async () => {
  const homeserver = await fakeHomeserver();
  await homeserver.shut();
  const service = await startService({ homeserver, untilReady: false });
  const why = await eventually("a reason", async () => {
    const reason = await whyNotReady(service);
    return reason.includes("gave no answer") ? reason : null;
  });
  expect(why).toContain("homeserver.url");
  expect(service.log.events("warn")).toContain("homeserver.not-ready");
  expect((await service.transaction("1", { events: [] })).status).toBe(200);
  await homeserver.listen();
  await service.app.ready;
  expect((await service.ready()).status).toBe(200);
});

test("while the homeserver has not loaded the registration it says so, and recovers", async () => {
  const homeserver = await fakeHomeserver();
  homeserver.registrationLoaded = false;
  const service = await startService({ homeserver, untilReady: false });
  const why = await eventually("a reason", async () => {
    const reason = await whyNotReady(service);
    return reason.includes("registration.yaml") ? reason : null;
  });
  expect(why).toContain("M_UNKNOWN_TOKEN");
  expect(service.log.text).toContain("it has not loaded registration.yaml");
  const { body } = await service.admin("GET", "/status");
  expect(body).toMatchObject({ ready: false, not_ready_because: why });
  homeserver.registrationLoaded = true;
  await service.app.ready;
  expect((await service.ready()).status).toBe(200);
});

test.each([
  ["an error inside", { status: 500, body: { errcode: "M_UNKNOWN" } }],
  ["a proxy's page", { text: "<html>bad gateway", status: 502 }],
  ["a limit", { status: 429, body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 100 } }],
  ["a connection that ends", "close" as const],
  ["an answer that ends early", { cutAfter: 3 }],
])("%s in every step of the set-up is outlasted", async (_what, fault) => {
  const homeserver = await fakeHomeserver();
  homeserver.fault("GET", /whoami$/, fault);
  homeserver.fault("POST", /register$/, fault);
  homeserver.fault("GET", /displayname$/, fault);
  homeserver.fault("PUT", /displayname$/, fault);
  const service = await startService({ homeserver });
  expect((await service.ready()).status).toBe(200);
  expect(homeserver.profiles.get(PSEUDOUSER)).toBe(SERVER);
});

test("a homeserver that refuses an empty localpart ends the start with the way out", async () => {
  const homeserver = await fakeHomeserver();
  homeserver.refusedLocalparts.set("", "Username must be at least 1 character");
  const service = await startService({ homeserver, untilReady: false });
  const outcome = await service.app.ready.then(
    () => "ready",
    (error: unknown) => String(error),
  );
  expect(outcome).toContain(PSEUDOUSER);
  expect(outcome).toContain("Username must be at least 1 character");
  expect(outcome).toContain("pseudouser.localpart");
});

test("a homeserver that takes us for somebody else ends the start, naming whom", async () => {
  const homeserver = await fakeHomeserver();
  homeserver.registered.add(PSEUDOUSER);
  homeserver.whoami = `@_emissary:${SERVER}`;
  const service = await startService({ homeserver, untilReady: false });
  await expect(service.app.ready).rejects.toThrow(`@_emissary:${SERVER}`);
  expect(homeserver.profiles.size).toBe(0);
});

test("a configured localpart is honoured everywhere", async () => {
  const homeserver = await fakeHomeserver();
  homeserver.refusedLocalparts.set("", "no");
  const service = await startService({ homeserver, settings: { pseudouser: { localpart: "_server" } } });
  const own = `@_server:${SERVER}`;
  const room = homeserver.makeRoom();
  const tenant = await service.tenant("one");
  expect((await tenant.join(room.id)).status).toBe(200);
  expect(room.membership(own)).toBe("join");
  const { body } = await tenant.send(room.id, { body: "x" });
  expect(room.event(body["event_id"] as string)!.sender).toBe(own);
  expect(homeserver.requests.filter(({ query }) => query.get("user_id") === PSEUDOUSER)).toEqual([]);
  const users = (user: string) => service.intake("GET", `/_matrix/app/v1/users/${encodeURIComponent(user)}`);
  expect([(await users(own)).status, (await users(PSEUDOUSER)).status]).toEqual([200, 404]);
  await service.untilRoom(room.id, { load: "loaded" });
  const members = await service.admin("GET", `/rooms/${encodeURIComponent(room.id)}/members`);
  expect(members.body["members"]).toContainEqual(expect.objectContaining({ user_id: own, pseudouser: true }));
  homeserver.setMembership(room, own, "leave", "@creator:elsewhere.test");
  await service.untilRoom(room.id, { own_membership: "leave" });
});

test("a start and a stop leave nothing open", async () => {
  const homeserver = await fakeHomeserver();
  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((name) => /^TCP(Server|Socket)Wrap$/.test(name)).length;
  const before = sockets();
  const service = await startService({ homeserver });
  await (await service.tenant("one")).join(homeserver.makeRoom().id);
  await service.untilDelivered();
  await service.app.stop();
  await eventually("every socket being closed", () => sockets() <= before);
});
