import { describe, expect, test } from "vitest";
import type { ServerName } from "../../../src/model/ids.ts";
import { ServerAcls } from "../../../src/policy/server-acl.ts";

const EVERYBODY = { allow: ["*"] };

describe("a room's access list (spec, m.room.server_acl)", () => {
  test.each<[string, unknown, string, boolean]>([
    ["lets in whom it allows", { allow: ["ours.example"] }, "ours.example", false],
    ["keeps out whom it does not name", { allow: ["others.example"] }, "ours.example", true],
    ["keeps out whom it denies, allowed or not", { allow: ["*"], deny: ["ours.example"] }, "ours.example", true],
    ["knows globs", { allow: ["*"], deny: ["*.evil.example", "e??l.example"] }, "very.evil.example", true],
    ["knows the other glob", { allow: ["*"], deny: ["*.evil.example", "e??l.example"] }, "evil.example", true],
    ["takes a name whole", { allow: ["*"], deny: ["evil.example"] }, "not-evil.example", false],
    ["takes a dot for a dot", { allow: ["*"], deny: ["evil.example"] }, "evilXexample", false],
    ["does not look at capitals in the name", { allow: ["*"], deny: ["evil.example"] }, "EVIL.example", true],
    ["nor at its own", { allow: ["*"], deny: ["EVIL.example"] }, "evil.example", true],
    ["does not look at the port", { allow: ["*"], deny: ["evil.example"] }, "evil.example:8448", true],
    ["does not know ports", { allow: ["*"], deny: ["evil.example:8448"] }, "evil.example:8448", false],
    ["allows nobody where it does not say whom", {}, "ours.example", true],
    ["allows nobody where it only denies", { deny: ["evil.example"] }, "ours.example", true],
    ["allows nobody where its list is none", { allow: "*" }, "ours.example", true],
    ["denies nobody where that list is none", { ...EVERYBODY, deny: "*" }, "ours.example", false],
    ["passes over what is no text", { allow: [1, null, ["*"], "ours.example"], deny: [{}] }, "ours.example", false],
    ["allows addresses by default", EVERYBODY, "192.0.2.1", false],
    ["allows addresses where it does not say yes or no", { ...EVERYBODY, allow_ip_literals: "no" }, "192.0.2.1", false],
    ["keeps out an address of IPv4", { ...EVERYBODY, allow_ip_literals: false }, "192.0.2.1", true],
    ["keeps out one with a port", { ...EVERYBODY, allow_ip_literals: false }, "192.0.2.1:8448", true],
    ["keeps out an address of IPv6", { ...EVERYBODY, allow_ip_literals: false }, "[2001:db8::1]", true],
    ["keeps out one with a port, too", { ...EVERYBODY, allow_ip_literals: false }, "[2001:db8::1]:8448", true],
    ["keeps no name out for that", { ...EVERYBODY, allow_ip_literals: false }, "ours.example:8448", false],
    ["knows that this is no address", { ...EVERYBODY, allow_ip_literals: false }, "999.0.2.1", false],
    ["denies an address of IPv6 by name", { ...EVERYBODY, deny: ["[2001:DB8::*]"] }, "[2001:db8::1]:8448", true],
    ["is read for what it is not", [], "ours.example", true],
    ["is read where it is nothing", null, "ours.example", true],
  ])("%s", (_what, content, server, isOut) => {
    const acls = new ServerAcls();
    expect(acls.keepsOut(JSON.stringify(content), server as ServerName)).toBe(isOut);
    expect(acls.keepsOut(JSON.stringify(content), server as ServerName)).toBe(isOut);
  });

  test("that is no JSON allows nobody", () => {
    expect(new ServerAcls().keepsOut("{", "ours.example" as ServerName)).toBe(true);
  });

  test("is told from another one, also where more pass by than are kept", () => {
    const acls = new ServerAcls();
    const aclOf = (n: number): string => JSON.stringify({ allow: ["*"], deny: [`s${n}.example`] });
    for (const round of [1, 2]) {
      for (let n = 0; n < 200; n += 1) {
        expect([round, acls.keepsOut(aclOf(n), `s${n}.example` as ServerName)]).toEqual([round, true]);
        expect(acls.keepsOut(aclOf(n), `s${n + 1}.example` as ServerName)).toBe(false);
      }
    }
  });
});
