/** Media of tenants: uploads and downloads pass through as the pseudouser, whatever their size. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { AS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import { PSEUDOUSER, startService } from "../support/service-app.ts";

test.each([
  ["POST", "/_matrix/media/v3/upload?filename=cat.png", "/_matrix/media/v3/upload"],
  ["POST", "/_matrix/media/r0/upload?filename=cat.png", "/_matrix/media/v3/upload"],
  ["PUT", `/_matrix/media/v3/upload/${SERVER}/later?filename=cat.png`, `/_matrix/media/v3/upload/${SERVER}/later`],
])("%s %s passes through byte by byte", async (method, target, path) => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const later = { status: 200, body: { content_uri: `mxc://${SERVER}/later` } };
  service.homeserver.fault("POST", /create$/, later);
  const reserved = await service.gateway("POST", "/_matrix/media/v1/create", { token: tenant.token, body: {} });
  expect(reserved.body).toEqual(later.body);
  const picture = Buffer.alloc(3 * 1024 * 1024, "picture");
  const answer = await service.gateway(method, target, {
    token: tenant.token,
    body: picture,
    headers: { "content-type": "image/png" },
  });
  expect(answer.status).toBe(200);
  const seen = service.homeserver.requests.at(-1)!;
  expect([seen.path, seen.size, seen.headers["content-type"]]).toEqual([path, picture.length, "image/png"]);
  expect(seen.digest).toBe(createHash("sha256").update(picture).digest("hex"));
  expect(seen.headers.authorization).toBe(`Bearer ${AS_TOKEN}`);
  expect([seen.query.get("user_id"), seen.query.get("filename")]).toEqual([PSEUDOUSER, "cat.png"]);
});

test("an address for a later upload is asked for", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const answer = await service.gateway("POST", "/_matrix/media/v1/create", { token: tenant.token, body: {} });
  expect(answer.status).toBe(200);
});

test("whoever may not send uploads nothing", async () => {
  const service = await startService();
  const reader = await service.tenant("reader", ["read"]);
  const upload = await service.gateway("POST", "/_matrix/media/v3/upload", { token: reader.token, body: "x" });
  expect(upload.status).toBe(403);
  expect(service.homeserver.seen("POST", /upload/)).toEqual([]);
});

test.each([
  [`/_matrix/client/v1/media/download/${SERVER}/id?allow_redirect=true`, `media/download/${SERVER}/id`],
  [`/_matrix/client/v1/media/download/${SERVER}/id/cat.png`, `media/download/${SERVER}/id/cat.png`],
  [`/_matrix/client/v1/media/thumbnail/${SERVER}/id?width=1&height=1`, `media/thumbnail/${SERVER}/id`],
  ["/_matrix/client/v1/media/config", "media/config"],
  ["/_matrix/client/v1/media/preview_url?url=https%3A%2F%2Fa.test%2F%3Fb", "media/preview_url"],
  [`/_matrix/media/v3/download/${SERVER}/id?allow_remote=false`, `media/download/${SERVER}/id`],
  [`/_matrix/media/r0/thumbnail/${SERVER}/id?width=1&height=1&method=crop`, `media/thumbnail/${SERVER}/id`],
  ["/_matrix/media/r0/config", "media/config"],
])("GET %s is asked under its present name, as the pseudouser", async (target, path) => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const answer = await service.gateway("GET", target, { token: tenant.token });
  expect([answer.status, answer.body["path"]]).toEqual([200, path]);
  const asked = new URLSearchParams(target.split("?")[1] ?? "");
  asked.append("user_id", PSEUDOUSER);
  expect(answer.body["query"]).toBe(asked.toString());
});

test("the homeserver's refusals come back as they are, and unknown parameters are ignored", async () => {
  const service = await startService();
  const tenant = await service.tenant("one");
  const missing = { errcode: "M_NOT_FOUND", error: "No such file", more: ["kept"] };
  service.homeserver.fault("GET", /download/, { status: 404, body: missing });
  const target = `/_matrix/client/v1/media/download/${SERVER}/id`;
  expect((await service.gateway("GET", target, { token: tenant.token })).body).toEqual(missing);
  expect((await service.gateway("GET", `${target}?odd=1`, { token: tenant.token })).status).toBe(200);
  expect(service.homeserver.seen("GET", /download/).at(-1)?.url).not.toContain("odd");
  expect((await service.gateway("GET", target)).status).toBe(401);
});
