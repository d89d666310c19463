import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { faultInTarget } from "../../../src/http/target.ts";

/** What clients and homeservers ask for. */
const SOUND = [
  "/",
  "/_matrix/client/versions",
  "/_matrix/client/v3/sync?filter=0&since=s1_2",
  "/_matrix/client/v3/rooms/!a:b.example/state/m.room.topic/",
  "/_matrix/client/v3/rooms/!a%3Ab.example/event/$abc%2Fdef+x%3D",
  "/_matrix/client/v3/directory/room/%23a%2F..b:c.example",
  "/_matrix/client/v3/rooms/!a:b.example/state/im.vector.modular.widgets/https%3A%2F%2Fx.example%2Fy",
  "/_matrix/client/v3/profile/@a.b.:c.example/displayname",
  "/_matrix/client/v3/profile/.a/displayname",
  "/_matrix/media/v3/download/c.example/a..b",
  "/_matrix/client/v3/rooms/!%C3%BC:b.example/members?at=%2e%2e/%2F//&x=http://y/..\\",
];

const UNSOUND: readonly (readonly [string, RegExp])[] = [
  ["http://evil.example/_matrix/client/versions", /must be a path/],
  ["HTTPS://evil.example", /must be a path/],
  ["evil.example:80", /must be a path/],
  ["*", /must be a path/],
  ["", /must be a path/],
  ["?x=/", /must be a path/],
  ["_matrix/client/versions", /must be a path/],
  ["//evil.example/_matrix/client/versions", /two slashes/],
  ["/_matrix//client", /two slashes/],
  ["/_matrix/client//", /two slashes/],
  ["/..", /dots/],
  ["/_matrix/../_synapse/admin", /dots/],
  ["/_matrix/./client", /dots/],
  ["/_matrix/%2e%2e/_synapse/admin", /dots/],
  ["/_matrix/.%2E/_synapse/admin", /dots/],
  ["/_matrix/%2e", /dots/],
  ["/_matrix/x%2f..%2f..%2f_synapse/admin", /dots/],
  ["/_matrix/..%5c_synapse", /dots/],
  ["/_matrix\\..\\_synapse", /percent-encoded/],
  ["/_matrix/client#/x", /percent-encoded/],
  ["/_matrix/client?x#y", /percent-encoded/],
  ["/_matrix/\u00fc", /percent-encoded/],
  ["/_matrix/a b", /percent-encoded/],
  ["/_matrix/%zz", /UTF-8/],
  ["/_matrix/%ff", /UTF-8/],
  ["/_matrix/%c0%ae%c0%ae/_synapse", /UTF-8/],
  ["/_matrix/a%00b", /NUL/],
];

describe("a request's target", () => {
  test.each(SOUND)("%s is a path", (target) => expect(faultInTarget(target, true)).toBeNull());
  test.each(UNSOUND)("%s is refused", (target, why) => expect(faultInTarget(target, true)).toMatch(why));

  test("that is let through means one path to everybody, decoded or resolved as they may", () => {
    const piece = fc.constantFrom(
      "/",
      "a",
      "..",
      ".",
      "%2e",
      "%2F",
      "%5c",
      "\\",
      "?",
      "#",
      ":",
      "//",
      "http:",
      "%00",
      "%25",
      "é",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const target = `/${pieces.join("")}`;
        if (faultInTarget(target, true) !== null) return;
        const url = new URL(target, "http://ours.example");
        expect(url.host).toBe("ours.example");
        expect(url.pathname).toBe(target.split("?")[0]);
        const read = decodeURIComponent(url.pathname);
        expect(read.split(/[/\\]/)).not.toContain("..");
        expect(read).not.toContain("\0");
      }),
      { numRuns: 5_000 },
    );
  });

  test("that ends here may have in a segment what is no path once decoded: a homeserver's transaction IDs are its own", () => {
    for (const id of ["%00", "..%2F..", "a%5C.."]) {
      expect(faultInTarget(`/_matrix/app/v1/transactions/${id}`, false)).toBeNull();
      expect(faultInTarget(`/_matrix/app/v1/transactions/${id}`, true)).not.toBeNull();
    }
    for (const target of ["/_matrix/../x", "/_matrix/%2e%2e/x", "//x/y", "http://x/y"]) {
      expect(faultInTarget(target, false)).not.toBeNull();
    }
  });
});
