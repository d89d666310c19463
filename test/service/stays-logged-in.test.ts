/**
 * A client forgets its session and its keys when it is told that its token is unknown. Only the homeserver says so, whatever a proxy sends
 * here: this asks for every path there is, of ours and of the homeserver's, with every kind of token.
 */
import { expect, test } from "vitest";
import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { PEEK_ENDPOINTS } from "../../src/peek/routes.ts";
import { CLIENT_V3 } from "../../src/http/client-paths.ts";
import { AS_TOKEN } from "../support/fake-homeserver.ts";
import { startService, type Answer } from "../support/service-app.ts";

const V3 = "/_matrix/client/v3";
/** What a client asks of its homeserver that neither of our APIs has, as far as it is of a kind of its own. */
const THEIRS: readonly string[] = [
  `${V3}/login`,
  `${V3}/logout`,
  `${V3}/refresh`,
  `${V3}/register`,
  `${V3}/account/3pid`,
  `${V3}/keys/upload`,
  `${V3}/keys/changes`,
  `${V3}/room_keys/version`,
  `${V3}/devices`,
  `${V3}/sendToDevice/m.room_key/t1`,
  `${V3}/pushrules/`,
  `${V3}/pushers`,
  `${V3}/search`,
  `${V3}/notifications`,
  `${V3}/knock/!room:elsewhere.test`,
  `${V3}/rooms/!room:elsewhere.test/report/$event`,
  `${V3}/user/@alice:here.test/openid/request_token`,
  `${V3}/thirdparty/protocols`,
  `${V3}/voip/turnServer`,
  `${V3}/no/such/thing`,
  "/_matrix/client/v1/auth_metadata",
  "/_matrix/client/v1/media/download/elsewhere.test/id",
  "/_matrix/client/v2_alpha/sync",
  "/_matrix/client/api/v1/initialSync",
  "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
  "/_matrix/media/v3/upload",
  "/_matrix/media/v3/config",
  "/_synapse/client/pick_username",
  "/.well-known/matrix/client",
];
const METHODS = ["GET", "PUT", "POST", "DELETE"] as const;

/** Every path with every method, whether it has that or not. */
const PATHS: readonly string[] = [
  ...new Set([
    ...ENDPOINTS.flatMap(({ path, under }) => (under ?? CLIENT_V3).map((prefix) => `${prefix}${path}`)),
    ...PEEK_ENDPOINTS.flatMap(({ path, under }) => under.map((prefix) => `${prefix}${path}`)),
    ...THEIRS,
  ]),
];
const VALUES: Readonly<Record<string, string>> = {
  roomId: "!room:elsewhere.test",
  roomIdOrAlias: "#room:elsewhere.test",
  alias: "#room:elsewhere.test",
  eventId: "$event",
  userId: "@somebody:elsewhere.test",
};
const filled = (path: string): string =>
  path.replaceAll(/:(\w+)/g, (_all, name: string) => encodeURIComponent(VALUES[name] ?? "x"));

const isLoggedOut = ({ status, body }: Answer): boolean => status === 401 && body["errcode"] !== "M_MISSING_TOKEN";

test.each([true, false])(
  "with front_door: %s, no path logs a user out whom the homeserver knows",
  async (frontDoor) => {
    const service = await startService({ settings: { gateway: { frontDoor }, peek: { wait: 1_000 } } });
    service.homeserver.expired.add("expired");
    const found: string[] = [];
    let passed = 0;
    const ask = async (method: string, path: string): Promise<void> => {
      const answerTo = (token: string | null): Promise<Answer> =>
        service.gateway(method, filled(path), { token, ...(method === "GET" ? {} : { body: {} }) });
      // A user's, and an appservice's that is nobody's here.
      for (const token of [null, "token-of-alice", AS_TOKEN]) {
        const answer = await answerTo(token);
        if (isLoggedOut(answer)) found.push(`${method} ${path} with ${token}: ${answer.raw.toString()}`);
      }
      // What the homeserver itself says of a token is passed in its own words: who is to log in again keeps all.
      const over = await answerTo("expired");
      if (!isLoggedOut(over)) return;
      passed += 1;
      if (over.body["soft_logout"] !== true) found.push(`${method} ${path}: ${over.raw.toString()}`);
    };
    for (const path of PATHS) await Promise.all(METHODS.map((method) => ask(method, path)));
    expect(found).toEqual([]);
    expect(passed).toBeGreaterThan(100);
  },
  120_000,
);

test("without the front door, what is nobody's path here is not there, and whose token it is is asked of nobody", async () => {
  const service = await startService();
  const before = service.homeserver.requests.length;
  for (const token of [null, "token-of-alice", AS_TOKEN, "nobodys"]) {
    for (const method of METHODS) {
      const { status, body } = await service.gateway(method, `${V3}/no/such/thing`, { token });
      expect([token, method, status, body["errcode"]]).toEqual([token, method, 404, "M_UNRECOGNIZED"]);
    }
  }
  expect(service.homeserver.requests.slice(before)).toEqual([]);
});

test("where the homeserver is away, nobody is logged out either", async () => {
  const service = await startService();
  await service.homeserver.shut();
  for (const path of [`${V3}/rooms/!room:elsewhere.test/send/m.room.message/t1`, `${V3}/sync`, `${V3}/login`]) {
    const { status } = await service.gateway("PUT", path, { token: "token-of-alice", body: {} });
    expect([path, status]).not.toEqual([path, 401]);
  }
});
