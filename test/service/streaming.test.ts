/**
 * What passes through the gateway passes as a stream: it is never held whole, it arrives as it was sent, and it ends where
 * either side ends it. The front door lets requests that are no tenant's through to the homeserver.
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { AS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import { ask, eventually, startService, type Service } from "../support/service-app.ts";

const MEBIBYTE = 1024 * 1024;

/** A tenant's read of a history of so many bytes, its answer not yet read. */
async function openHistory(service: Service, bytes: number): Promise<IncomingMessage> {
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("one");
  expect((await tenant.join(room.id)).status).toBe(200);
  const asked = request({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    path: `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/messages?dir=b&limit=${bytes}`,
    headers: { authorization: `Bearer ${tenant.token}` },
    agent: false,
  });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return answer;
}

test("an answer of 50 MiB arrives identical", async () => {
  const service = await startService();
  const answer = await openHistory(service, 50 * MEBIBYTE);
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    hash.update(chunk);
  }
  expect(size).toBe(50 * MEBIBYTE);
  expect(hash.digest("hex")).toBe(
    createHash("sha256")
      .update(Buffer.alloc(50 * MEBIBYTE, "m"))
      .digest("hex"),
  );
});

test("a caller that does not read holds the homeserver back: nothing piles up in between", async () => {
  const service = await startService();
  const answer = await openHistory(service, 400 * MEBIBYTE);
  answer.pause();
  let before = -1;
  await eventually("the stream standing still", async () => {
    const still = before === service.homeserver.streamed;
    before = service.homeserver.streamed;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return still;
  });
  // What is on its way lies in the buffers of four sockets.
  expect(service.homeserver.streamed).toBeLessThan(64 * MEBIBYTE);
  answer.destroy();
});

test("a caller that goes away ends the homeserver's answer, too", async () => {
  const service = await startService();
  const answer = await openHistory(service, 400 * MEBIBYTE);
  await once(answer, "data");
  answer.destroy();
  const [asked] = service.homeserver.seen("GET", /\/messages$/);
  await eventually("the answer being broken off", () => asked!.aborted);
  expect(service.homeserver.streamed).toBeLessThan(400 * MEBIBYTE);
  expect(service.log.events("error")).toEqual([]);
});

test("a caller that goes away before the answer begins ends the question", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  service.homeserver.fault("GET", /\/messages$/, "hang");
  const asked = request({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    path: `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/messages`,
    headers: { authorization: `Bearer ${tenant.token}` },
    agent: false,
  });
  asked.once("error", () => undefined);
  asked.end();
  await eventually("the question", () => service.homeserver.seen("GET", /\/messages$/).length === 1);
  asked.destroy();
  await eventually("the question being broken off", () => service.homeserver.seen("GET", /\/messages$/)[0]!.aborted);
  expect(service.log.events("error")).toEqual([]);
});

test("an answer that the homeserver breaks off is not passed for a whole one", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  const read = () => tenant.ask("GET", `/rooms/${encodeURIComponent(room.id)}/messages`);
  service.homeserver.fault("GET", /\/messages$/, { cutAfter: 20 });
  const answer = await read();
  expect([answer.status, answer.body["errcode"]]).toEqual([502, "M_UNKNOWN"]);
  expect((await read()).status).toBe(200);
});

test("one that is on its way to the caller already is broken off there, too", async () => {
  const service = await startService();
  const answer = await openHistory(service, 400 * MEBIBYTE);
  await once(answer, "data");
  await service.homeserver.shut();
  answer.resume();
  await once(answer, "error");
  expect(answer.complete).toBe(false);
});

test("an answer that trickles in is passed on as it comes", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  service.homeserver.fault("GET", /\/joined_members$/, { trickle: 8, pause: 5 });
  const { status, body } = await tenant.ask("GET", `/rooms/${encodeURIComponent(room.id)}/joined_members`);
  expect(status).toBe(200);
  expect(Object.keys(body["joined"] ?? {})).toHaveLength(2);
});

test("without the front door, requests of the homeserver's users are refused", async () => {
  const service = await startService();
  for (const target of ["/_matrix/client/v3/account/whoami", "/_matrix/media/v3/upload"]) {
    const answer = await service.gateway("GET", target, { token: "token-of-alice" });
    expect([answer.status, answer.body["errcode"]]).toEqual([404, "M_UNRECOGNIZED"]);
  }
  expect(service.homeserver.seen("GET", /upload/)).toEqual([]);
});

test("with the front door, the homeserver answers its users itself, with their own token and no other", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  const token = "token-of-alice";
  const whoami = await service.gateway("GET", "/_matrix/client/v3/account/whoami", { token });
  expect(whoami.body).toEqual({ user_id: `@alice:${SERVER}`, device_id: "ALICE" });
  expect((await service.gateway("GET", `/_matrix/client/v3/sync?access_token=${token}&timeout=0`)).body).toMatchObject({
    user: `@alice:${SERVER}`,
  });
  expect(service.homeserver.seen("GET", /sync$/).at(-1)!.url).toBe(
    `/_matrix/client/v3/sync?access_token=${token}&timeout=0`,
  );
  const stranger = await service.gateway("GET", "/_matrix/client/v3/sync", { token: "unknown" });
  expect([stranger.status, stranger.body["errcode"]]).toEqual([401, "M_UNKNOWN_TOKEN"]);
  expect((await service.gateway("GET", "/_matrix/client/v3/sync")).body["errcode"]).toBe("M_MISSING_TOKEN");
  for (const { headers } of service.homeserver.seen("GET", /sync|whoami$/).slice(-4)) {
    expect(headers.authorization ?? "").not.toContain(AS_TOKEN);
  }
});

test("with the front door, a tenant is still a tenant", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  const tenant = await service.tenant("one");
  expect((await tenant.ask("GET", "/account/whoami")).body["user_id"]).toBe(tenant.sender);
  expect((await tenant.ask("GET", "/sync")).body).toHaveProperty("next_batch");
  expect(service.homeserver.seen("GET", /sync$/)).toEqual([]);
});

test("with the front door, an upload of 20 MiB passes as a stream and arrives identical", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  const file = randomBytes(20 * MEBIBYTE);
  const answer = await ask(service.app.ports.gateway, "POST", "/_matrix/media/v3/upload?filename=f", {
    token: "token-of-alice",
    body: file,
    headers: { "content-type": "image/png" },
  });
  expect(answer.status).toBe(200);
  const seen = service.homeserver.requests.at(-1)!;
  expect([seen.size, seen.digest]).toEqual([file.length, createHash("sha256").update(file).digest("hex")]);
  expect(seen.headers["content-type"]).toBe("image/png");
});

test("with the front door, an upload without a type or a length passes, too", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  const outgoing = request({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    method: "POST",
    path: "/_matrix/media/v3/upload",
    headers: { authorization: "Bearer token-of-alice", "transfer-encoding": "chunked" },
    agent: false,
  });
  for (let n = 0; n < 10; n += 1) outgoing.write(Buffer.alloc(100_000, n));
  outgoing.end();
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  answer.resume();
  expect(answer.statusCode).toBe(200);
  expect(service.homeserver.requests.at(-1)!.size).toBe(1_000_000);
});
