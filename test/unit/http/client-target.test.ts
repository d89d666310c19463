import { describe, expect, test } from "vitest";
import { isClientTarget } from "../../../src/http/target.ts";

const PASSED = [
  "/_matrix/client/v3/sync?since=..%2f&filter=/../x",
  "/_matrix/client/versions",
  "/_matrix/client/v3/directory/room/%23a%2Fb%3Aexample.org",
  "/_matrix/client/v3/rooms/!a:b/state/m.room.topic/",
  "/_matrix/client/v3/profile/%40a..b%3Aexample.org",
  "/_matrix/client/v3/directory/room/%2523:b",
  `/_matrix/client/v3/rooms/!a/state/t/${encodeURIComponent("a/b?c%d#e+f ä€..//")}`,
  "/_matrix/client/v3/rooms/!a/state/t/%0A",
  "/_matrix/media/v3/download/example.org/abc",
  "/_matrix/static/client/login/",
  "/_matrix/consent?u=alice",
  "/_synapse/client/pick_idp",
  "/.well-known/matrix/client",
  "/.well-known/matrix/support",
];

const BEHIND = [
  "/_synapse/admin/v1/users",
  "/_synapse/metrics",
  "/_matrix/federation/v1/version",
  "/_dendrite/admin/x",
];

/** The ways in which what is not for clients may be asked for. */
const DISGUISES: readonly (readonly [how: string, disguise: (path: string) => string])[] = [
  ["as it is", (path) => path],
  [
    "with an encoded letter",
    (path) => path.replace(/_(.)/, (_all, letter: string) => `_%${letter.charCodeAt(0).toString(16)}`),
  ],
  ["with two slashes", (path) => `/${path}`],
  ["with a host", (path) => `http://localhost${path}`],
  ["in other letters", (path) => path.toUpperCase()],
  ["from below what is allowed", (path) => `/_matrix/client/../..${path}`],
  ["likewise, with dots encoded", (path) => `/_matrix/client/%2e%2E/%2e.${path}`],
  [
    "likewise, with slashes encoded",
    (path) => `/_matrix/client/v3/rooms/..%2f..%2f..%2f..${path.replaceAll("/", "%2f")}`,
  ],
  ["likewise, encoded twice", (path) => `/_matrix/client/%252e%252e/%252e%252e${path}`],
  ["likewise, encoded three times", (path) => `/_matrix/client/%25252e%25252e/%25252e%25252e${path}`],
  ["likewise, with backslashes", (path) => `/_matrix/client/..\\..${path}`],
  ["likewise, with encoded backslashes", (path) => `/_matrix/client/..%5c..${path}`],
  ["likewise, with path parameters", (path) => `/_matrix/client/..;a/..;b${path}`],
  ["after a beginning that only looks allowed", (path) => `/_matrix/clientx${path}`],
  [
    "likewise, encoded twice beside what is broken then",
    (path) => `/_matrix/client/%25zz/%252e%252e/%252e%252e${path}`,
  ],
  ["with broken encoding", (path) => `/_matrix/client/%${path}`],
];

describe("a request target", () => {
  test.each(PASSED)("that clients have is passed: %s", (target) => expect(isClientTarget(target)).toBe(true));

  test.each(DISGUISES)("that is not for clients is none, %s", (_how, disguise) => {
    for (const path of BEHIND)
      expect([disguise(path), isClientTarget(disguise(path))]).toEqual([disguise(path), false]);
  });

  test.each(["/", "", "*", "/_matrix/client", "/_matrix/key/v2/server", "/_matrix/app/v1/ping", "/metrics", "/health"])(
    "%s is none",
    (target) => expect(isClientTarget(target)).toBe(false),
  );
});
