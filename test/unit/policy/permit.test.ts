import { describe, expect, test } from "vitest";
import type { TenantId } from "../../../src/model/ids.ts";
import { TENANT_ACTIONS, type Grant, type Tenant, type TenantAction } from "../../../src/model/tenant.ts";
import { objectionTo, wordFor, type Deed, type Word } from "../../../src/policy/permit.ts";
import { tenant } from "../../support/tenants.ts";

const ID = "!room:remote.example";
const ALIAS = "#ops:remote.example";

function may(...actions: TenantAction[]): Grant {
  return { rooms: ["*"], actions, types: null, source: "operator" };
}

function inRooms(rooms: readonly string[], ...actions: TenantAction[]): Grant {
  return { ...may(...actions), rooms };
}

function ofTypes(types: readonly string[], ...actions: TenantAction[]): Grant {
  return { ...may(...actions), types };
}

function granted(...grants: Grant[]): Tenant {
  return tenant("telegram", { grants });
}

function deed(action: TenantAction, more: Partial<Deed> = {}): Deed {
  return { action, names: [ID, ALIAS], type: null, createdFor: null, ...more };
}

describe("in which rooms", () => {
  test.each<[pattern: string, names: string[], covered: boolean]>([
    ["*", [ID], true],
    [ID, [ID], true],
    [ID, [ID, ALIAS], true],
    [ID, ["!other:remote.example"], false],
    [ALIAS, [ID, ALIAS], true],
    [ALIAS, [ID], false],
    ["#ops:*", [ID, ALIAS], true],
    ["#o?s:remote.example", [ID, ALIAS], true],
    ["#ops", [ID, ALIAS], false],
    ["!*", [ID], true],
    ["!*:remote.example", [ID], true],
    ["!*:remote.example", ["!room:remote.example.evil"], false],
    ["!*:remote.example", ["!room:remoteXexample"], false],
    ["*:remote.example", [ID], true],
    ["#OPS:remote.example", [ID, ALIAS], false],
  ])("%s covers %j: %s", (pattern, names, covered) => {
    const objection = objectionTo(granted(inRooms([pattern], "send")), deed("send", { names }));
    expect(objection).toBe(covered ? null : "no grant covers this room");
  });

  test("what lies in no room yet needs the action alone", () => {
    expect(objectionTo(granted(inRooms([ID], "create")), deed("create", { names: [] }))).toBeNull();
    expect(objectionTo(granted(may("send")), deed("create", { names: [] }))).toContain("not create");
  });

  test("nowhere without grants", () => {
    expect(objectionTo(granted(), deed("read"))).toBe("no grant covers this room");
  });
});

describe("which actions", () => {
  test.each(TENANT_ACTIONS)("%s needs a grant of its own", (action) => {
    const others = TENANT_ACTIONS.filter((other) => other !== action);
    expect(objectionTo(granted(may(action)), deed(action))).toBeNull();
    expect(objectionTo(granted(may(...others)), deed(action))).toBe(
      `it is allowed ${others.join(", ")} here, and not ${action}`,
    );
  });

  test("one grant is to allow room and action: two halves make no whole", () => {
    const halves = granted(inRooms(["#elsewhere:a.example"], "send"), inRooms([ID], "read"));
    expect(objectionTo(halves, deed("send"))).toContain("not send");
  });

  test("what any grant allows is allowed", () => {
    const both = granted(may("read"), inRooms([ID], "send"));
    expect(objectionTo(both, deed("send"))).toBeNull();
    expect(objectionTo(both, deed("read"))).toBeNull();
    expect(objectionTo(both, deed("send", { names: ["!other:remote.example"] }))).toContain("not send");
  });
});

describe("which event types", () => {
  test.each<[types: string[], type: string, allowed: boolean]>([
    [["m.room.message"], "m.room.message", true],
    [["m.room.message"], "m.reaction", false],
    [["m.room.message", "m.reaction"], "m.reaction", true],
    [["com.example.*"], "com.example.config", true],
    [["com.example.*"], "com.example", false],
    [["com.example.*"], "comXexample.config", false],
    [["*"], "anything", true],
  ])("%j for %s: %s", (types, type, allowed) => {
    for (const action of ["send", "state", "room-state"] as const) {
      const objection = objectionTo(granted(ofTypes(types, action)), deed(action, { type }));
      expect(objection).toBe(allowed ? null : `no grant allows to ${action} events of the type ${type} here`);
    }
  });

  test("they bind what has a type, and nothing else", () => {
    expect(objectionTo(granted(ofTypes(["m.room.message"], "read")), deed("read"))).toBeNull();
  });

  test("the grant that allows the type is to be one that allows the action", () => {
    const grants = granted(ofTypes(["com.example.*"], "send"), may("read"));
    expect(objectionTo(grants, deed("send", { type: "m.room.message" }))).toContain("m.room.message");
  });
});

describe("a room that the pseudouser created for a tenant", () => {
  const [own, other] = ["telegram" as TenantId, "irc" as TenantId];
  const POWERS: readonly TenantAction[] = ["state", "room-state", "invite", "kick", "ban"];

  test.each(TENANT_ACTIONS)("%s there", (action) => {
    const everywhere = granted(may(action));
    expect(objectionTo(everywhere, deed(action, { createdFor: own }))).toBeNull();
    expect(objectionTo(everywhere, deed(action, { createdFor: null }))).toBeNull();
    const objection = objectionTo(everywhere, deed(action, { createdFor: other }));
    if (POWERS.includes(action)) expect(objection).toContain("created for another tenant");
    else expect(objection).toBeNull();
  });

  test.each(TENANT_ACTIONS)("%s in its own, with no grant but to make rooms", (action) => {
    const maker = granted(inRooms(["#elsewhere:a.example"], "create"));
    const isFree = action !== "create" && action !== "timestamp";
    expect(objectionTo(maker, deed(action, { createdFor: own })) === null).toBe(isFree);
    expect(objectionTo(maker, deed(action, { createdFor: other }))).toBe("no grant covers this room");
    expect(objectionTo(granted(), deed(action, { createdFor: own }))).toBe("no grant covers this room");
  });

  test.each<[rooms: string[], allowed: boolean]>([
    [["*"], false],
    [["!*"], false],
    [["#ops:*"], false],
    [[ID], true],
    [[ALIAS], true],
    [["#elsewhere:a.example", ID], true],
  ])("the other's power is lent by a grant that names the room itself: %j", (rooms, allowed) => {
    const objection = objectionTo(granted(inRooms(rooms, "kick")), deed("kick", { createdFor: other }));
    expect(objection === null).toBe(allowed);
  });

  test("the grant that names the room is to be the one that allows the action", () => {
    const grants = granted(may("kick"), inRooms([ID], "read"));
    expect(objectionTo(grants, deed("kick", { createdFor: other }))).toContain("created for another tenant");
  });
});

describe("what the operator said of a room", () => {
  test.each<[rooms: string[][], word: Word]>([
    [[], "none"],
    [[["#elsewhere:a.example"]], "none"],
    [[["*"]], "any"],
    [[["*"], ["#elsewhere:a.example"]], "any"],
    [[[ID]], "named"],
    [[["*"], [ALIAS]], "named"],
    [[["*:remote.example"]], "named"],
    [[["!*"]], "named"],
  ])("grants for %j: %s", (patterns, word) => {
    const grants = patterns.map((rooms) => inRooms(rooms, "read"));
    expect(wordFor(granted(...grants), [ID, ALIAS])).toBe(word);
  });

  test("a room of its own making is as if named, for as long as it may make rooms", () => {
    const own = "telegram" as TenantId;
    expect(wordFor(granted(may("create")), [ID], own)).toBe("named");
    expect(wordFor(granted(may("create")), [ID], "irc" as TenantId)).toBe("any");
    expect(wordFor(granted(may("send")), [ID], own)).toBe("any");
    expect(wordFor(granted(), [ID], own)).toBe("none");
  });

  test("an invite's grant is as good as the operator's", () => {
    expect(wordFor(granted({ ...inRooms([ID], "read"), source: "invite" }), [ID])).toBe("named");
  });
});

describe("in a room that was made for it", () => {
  const OWN = { createdFor: "telegram" as TenantId };

  test.each<[action: TenantAction, allowed: boolean]>([
    ["read", true],
    ["send", true],
    ["redact", true],
    ["state", true],
    ["room-state", true],
    ["invite", true],
    ["kick", true],
    ["ban", true],
    ["timestamp", false],
  ])("a tenant that may make rooms may %s: %s", (action, allowed) => {
    expect(objectionTo(granted(may("create")), deed(action, OWN)) === null).toBe(allowed);
    expect(objectionTo(granted(may("create")), deed(action, { createdFor: "other" as TenantId }))).not.toBeNull();
  });

  test("the right ends when the tenant may make no more", () => {
    expect(objectionTo(granted(may("read")), deed("room-state", OWN))).not.toBeNull();
    expect(wordFor(granted(may("read")), [ID], OWN.createdFor)).toBe("any");
  });

  test("a private one is open to it as if it was named", () => {
    expect(wordFor(granted(may("create")), [ID], OWN.createdFor)).toBe("named");
    expect(wordFor(granted(may("create")), [ID], "other" as TenantId)).toBe("any");
  });
});
