/** A tenant behind a real nginx with its default of one megabyte for a request: what it refuses comes in smaller transactions. */
import { describe, expect, onTestFinished, test } from "vitest";
import { isJsonObject, stringAt } from "../../src/model/json.ts";
import { findProxies, Proxy } from "../support/proxy.ts";
import { eventually, startService, TenantClient } from "../support/service-app.ts";
import { TenantListener } from "../support/tenant-listener.ts";

const { here, missing } = await findProxies();
const nginx = here.filter(({ name }) => name === "nginx");

test.each(nginx)("a tenant behind $name has 3 MB of events that came while it was away", async (kind) => {
  const service = await startService();
  const listener = await new TenantListener().listen();
  const { host } = new URL(listener.url);
  // Its own files for the gateway give way to the shortest that anybody has before an appservice.
  const edit = (text: string): string => (/^upstream /m.test(text) ? "" : `location / { proxy_pass http://${host}; }`);
  const proxy = await Proxy.start(kind, { gateway: host, homeserver: host, edit });
  onTestFinished(() => proxy.end());
  const { body } = await service.admin("POST", "/tenants", { id: "one", url: proxy.url });
  const { tenant, registration } = body;
  if (!isJsonObject(tenant) || !isJsonObject(registration)) throw new Error(JSON.stringify(body));
  const token = stringAt(registration, "as_token") ?? "";
  const client = new TenantClient(service, "one", stringAt(tenant, "sender") ?? "", token);
  const room = service.homeserver.makeRoom();
  expect((await client.join(room.id)).status).toBe(200);
  await service.untilRoom(room.id, { load: "loaded" });
  await service.admin("POST", "/tenants/one/pause");
  const ids = Array.from({ length: 120 }, (_, at) => {
    return service.homeserver.say(room, "@creator:elsewhere.test", `${at} ${"x".repeat(25_000)}`).event_id;
  });
  await service.untilDelivered();
  await service.admin("POST", "/tenants/one/resume");
  await eventually("the tenant having all", () => listener.events.at(-1) === ids.at(-1));
  expect(listener.events.filter((id) => ids.includes(id))).toEqual(ids);
  const { delivery } = (await service.admin("GET", "/tenants/one")).body;
  expect(isJsonObject(delivery) ? delivery["last_error"] : null).toContain("client_max_body_size");
});

describe.each(missing.filter(({ name }) => name === "nginx"))("$name, which is not here: $why", ({ why }) => {
  test.skipIf(process.env["CI"] !== "true")("is left out", () => expect.fail(why));
});
