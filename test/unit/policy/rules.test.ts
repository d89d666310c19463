import { describe, expect, test } from "vitest";
import { faultInEntity } from "../../../src/policy/entities.ts";
import type { EntityKind } from "../../../src/policy/rule.ts";

describe("what the operator makes a rule about", () => {
  test.each<[EntityKind, string]>([
    ["room", "!abc"],
    ["room", "!abc:x.org"],
    ["room", "#name:x.org"],
    ["room", "#spam*"],
    ["room", "*:x.org"],
    ["room", "*"],
    ["server", "x.org"],
    ["server", "x.org:8448"],
    ["server", "*.x.org"],
    ["server", "[2001:db8::*]"],
    ["server", "*"],
    ["user", "@bad:x.org"],
    ["user", "@:x.org"],
    ["user", "@bad*"],
    ["user", "*:x.org"],
    ["tenant", "telegram"],
    ["tenant", "tele*"],
  ])("%s %s can be meant", (kind, entity) => {
    expect(faultInEntity(kind, entity)).toBeNull();
  });

  test.each<[EntityKind, string, string]>([
    ["room", "", "an empty text"],
    ["room", "x".repeat(256), "longer than 255"],
    ["room", "@user:x.org", '"@user:x.org" matches no room'],
    ["room", "x*", "a glob begins with"],
    ["room", "#name", "an alias (#name:server)"],
    ["server", "https://x.org", "a server is a name as in user IDs"],
    ["server", "@*:x.org", "matches no server"],
    ["server", "x.org/*", "matches no server"],
    ["user", "bad:x.org", "matches no user"],
    ["user", "bad*", "begins with @ or a wildcard"],
    ["user", "@bad", "matches no user"],
    ["tenant", "Telegram", "matches no tenant"],
    ["tenant", "@tele*", "matches no tenant"],
  ])("%s %s cannot, and it is said why", (kind, entity, why) => {
    expect(faultInEntity(kind, entity)).toContain(why);
  });
});
