/** What stands in a request line, sent byte by byte: none but plain paths come to a handler, or go on to the homeserver. */
import { connect } from "node:net";
import { expect, test } from "vitest";
import { AS_TOKEN, HS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import { ADMIN_TOKEN, startService, type Service } from "../support/service-app.ts";

/** The answer to one request, as text. */
function raw(port: number, line: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      const head = [`${line} HTTP/1.1`, "Host: ours.example", `Authorization: Bearer ${token}`, "Connection: close"];
      socket.end(`${head.join("\r\n")}\r\n\r\n`, "latin1");
    });
    let answer = "";
    socket.setEncoding("utf8").on("data", (text: string) => (answer += text));
    socket.on("end", () => resolve(answer)).on("error", reject);
  });
}

const TARGETS: readonly string[] = [
  "GET http://evil.example/_matrix/client/v3/joined_rooms",
  "GET HTTP://127.0.0.1/_matrix/client/versions",
  "GET https://evil.example/",
  "GET ftp://evil.example/_matrix/client/versions",
  "GET evil.example:80",
  "GET //evil.example/_matrix/client/versions",
  "GET /_matrix//client/versions",
  "GET /_matrix/client/../../_synapse/admin/v1/server_version",
  "GET /_matrix/client/%2e%2e/%2E%2e/_synapse/admin/v1/server_version",
  "GET /_matrix/client/x%2f..%2f..%2f..%2f_synapse/admin/v1/server_version",
  "GET /_matrix\\client\\versions",
  "GET /_matrix/client/versions#fragment",
  "GET /_matrix/client/versions?x=1#fragment",
  "GET /_matrix/client/v3/rooms/%00/state",
  "GET /_matrix/client/v3/rooms/%ff/state",
  "GET /_matrix/client/v3/rooms/%zz/state",
  "GET /_matrix/client/v3/rooms/\xfc/state",
  "OPTIONS *",
  "PUT http://evil.example/_matrix/app/v1/transactions/1",
  "GET http://evil.example/_emissary/v1/status",
  "CONNECT evil.example:443",
];

test.each(TARGETS)("%s goes nowhere, on any listener", async (line) => {
  const service: Service = await startService({ settings: { gateway: { frontDoor: true } } });
  const { body } = await service.admin("POST", "/tenants", { id: "one" });
  const tenant = (body["registration"] as { as_token: string }).as_token;
  const before = service.homeserver.requests.length;
  const { appservice, gateway, admin } = service.app.ports;
  for (const [port, token] of [
    [appservice, HS_TOKEN],
    [gateway, tenant],
    [gateway, "token-of-alice"],
    [gateway, AS_TOKEN],
    [admin, ADMIN_TOKEN],
  ] as const) {
    const answer = await raw(port, line, token);
    // Of what is not passed on a segment may hold anything once it is decoded, and there is nothing at these paths.
    if (port !== gateway && /%00|x%2f\.\./.test(line)) {
      expect(answer).toMatch(/^HTTP\/1\.1 404 /);
      continue;
    }
    // Node itself hangs up on CONNECT where nobody serves it.
    if (line.startsWith("CONNECT ")) expect(answer).toBe("");
    else expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  }
  expect(service.homeserver.requests.slice(before).filter(({ url }) => url !== "/")).toEqual([]);
});

test("what stands for a slash inside a segment goes on as it came", async () => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  const target = `/_matrix/client/v3/directory/room/%23a%2Fb%3A${SERVER}?x=%2F..%2F`;
  const { status } = await service.gateway("GET", target, { token: "token-of-alice" });
  expect(status).toBe(404);
  expect(service.homeserver.requests.at(-1)!.url).toBe(target);
});
