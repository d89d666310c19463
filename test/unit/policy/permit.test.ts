import { describe, expect, test } from "vitest";
import type { RoomAlias, RoomId, TenantId } from "../../../src/model/ids.ts";
import {
  TENANT_ACTIONS,
  type Grant,
  type GrantPin,
  type Tenant,
  type TenantAction,
} from "../../../src/model/tenant.ts";
import {
  movedAlias,
  refusalFor,
  reachFor,
  type Deed,
  type GrantedRoom,
  type Reach,
} from "../../../src/policy/permit.ts";
import { tenant } from "../../support/tenants.ts";

const ID = "!room:remote.example" as RoomId;
const ALIAS = "#ops:remote.example" as RoomAlias;
/** The room, asked for by its alias, which the directory points to it. */
const HERE: GrantedRoom = { id: ID, alias: ALIAS, isPublic: true };
const BY_ID: GrantedRoom = { ...HERE, alias: null };
const PIN: GrantPin = { alias: ALIAS, roomId: ID, at: 0, moved: null };

function may(...actions: TenantAction[]): Grant {
  return { rooms: ["*"], actions, types: null, source: "operator" };
}

function inRooms(rooms: readonly string[], ...actions: TenantAction[]): Grant {
  // Aliases are granted as the operator grants them: for the room that they point to then.
  return { ...may(...actions), rooms, ...(rooms.includes(ALIAS) ? { pins: [PIN] } : {}) };
}

function ofTypes(types: readonly string[], ...actions: TenantAction[]): Grant {
  return { ...may(...actions), types };
}

function granted(...grants: Grant[]): Tenant {
  return tenant("telegram", { grants });
}

function deed(action: TenantAction, more: Partial<Deed> = {}): Deed {
  return { action, room: HERE, type: null, createdFor: null, ...more };
}

describe("in which rooms", () => {
  const other = "!other:remote.example" as RoomId;
  test.each<[pattern: string, room: GrantedRoom, covered: boolean]>([
    ["*", BY_ID, true],
    [ID, BY_ID, true],
    [ID, HERE, true],
    [ID, { ...BY_ID, id: other }, false],
    // An alias stands for the room that it was granted for, by whatever name that is asked for, and for no other.
    [ALIAS, BY_ID, true],
    [ALIAS, HERE, true],
    [ALIAS, { ...HERE, id: other }, false],
    ["#ops:*", HERE, true],
    ["#ops:*", BY_ID, false],
    ["#ops:*", { ...HERE, isPublic: false }, false],
    ["#o?s:remote.example", HERE, true],
    ["#ops", HERE, false],
    ["!*", BY_ID, true],
    ["!*", { ...BY_ID, isPublic: false }, true],
    ["!*:remote.example", BY_ID, true],
    ["!*:remote.example", { ...BY_ID, id: "!room:remote.example.evil" as RoomId }, false],
    ["!*:remote.example", { ...BY_ID, id: "!room:remoteXexample" as RoomId }, false],
    ["*:remote.example", BY_ID, true],
    ["*:remote.example", { ...HERE, id: "!v12" as RoomId }, true],
    ["*:remote.example", { ...HERE, id: "!v12" as RoomId, isPublic: false }, false],
    ["#OPS:remote.example", HERE, false],
  ])("%s covers %j: %s", (pattern, room, covered) => {
    const objection = refusalFor(granted(inRooms([pattern], "send")), deed("send", { room }));
    expect(objection).toBe(covered ? null : "no grant covers this room");
  });

  test("an alias that nobody noted the room of covers nothing", () => {
    const grant: Grant = { rooms: [ALIAS], actions: ["send"], types: null, source: "operator" };
    expect(refusalFor(granted(grant), deed("send"))).toBe("no grant covers this room");
    expect(reachFor(granted(grant), HERE)).toBe("none");
    expect(movedAlias(granted(grant), ALIAS, ID)).toEqual({ alias: ALIAS, roomId: null });
  });

  test("whether an alias moved goes by all grants of it", () => {
    const two = granted(inRooms([ALIAS], "read"), { ...inRooms([ALIAS], "send"), pins: [{ ...PIN, roomId: other }] });
    expect(movedAlias(two, ALIAS, ID)).toBeNull();
    expect(movedAlias(two, ALIAS, other)).toBeNull();
    expect(movedAlias(two, ALIAS, "!third" as RoomId)).toEqual({ alias: ALIAS, roomId: ID });
    expect(movedAlias(two, "#x:y" as RoomAlias, ID)).toBeNull();
  });

  test("what lies in no room yet needs the action alone", () => {
    expect(refusalFor(granted(inRooms([ID], "create")), deed("create", { room: null }))).toBeNull();
    expect(refusalFor(granted(may("send")), deed("create", { room: null }))).toContain("not create");
  });

  test("nowhere without grants", () => {
    expect(refusalFor(granted(), deed("read"))).toBe("no grant covers this room");
  });
});

describe("which actions", () => {
  test.each(TENANT_ACTIONS)("%s needs a grant of its own", (action) => {
    const others = TENANT_ACTIONS.filter((other) => other !== action);
    expect(refusalFor(granted(may(action)), deed(action))).toBeNull();
    expect(refusalFor(granted(may(...others)), deed(action))).toBe(
      `it is allowed ${others.join(", ")} here, and not ${action}`,
    );
  });

  test("one grant is to allow room and action: two halves make no whole", () => {
    const halves = granted(inRooms(["#elsewhere:a.example"], "send"), inRooms([ID], "read"));
    expect(refusalFor(halves, deed("send"))).toContain("not send");
  });

  test("what any grant allows is allowed", () => {
    const both = granted(may("read"), inRooms([ID], "send"));
    expect(refusalFor(both, deed("send"))).toBeNull();
    expect(refusalFor(both, deed("read"))).toBeNull();
    expect(refusalFor(both, deed("send", { room: { ...BY_ID, id: "!other:remote.example" as RoomId } }))).toContain(
      "not send",
    );
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
      const objection = refusalFor(granted(ofTypes(types, action)), deed(action, { type }));
      expect(objection).toBe(allowed ? null : `no grant allows to ${action} events of the type ${type} here`);
    }
  });

  test("they bind what has a type, and nothing else", () => {
    expect(refusalFor(granted(ofTypes(["m.room.message"], "read")), deed("read"))).toBeNull();
  });

  test("the grant that allows the type is to be one that allows the action", () => {
    const grants = granted(ofTypes(["com.example.*"], "send"), may("read"));
    expect(refusalFor(grants, deed("send", { type: "m.room.message" }))).toContain("m.room.message");
  });
});

describe("a room that the pseudouser created for a tenant", () => {
  const [own, other] = ["telegram" as TenantId, "irc" as TenantId];
  const POWERS: readonly TenantAction[] = ["redact-others", "state", "room-state", "invite", "kick", "ban"];

  test.each(TENANT_ACTIONS)("%s there", (action) => {
    const everywhere = granted(may(action));
    expect(refusalFor(everywhere, deed(action, { createdFor: own }))).toBeNull();
    expect(refusalFor(everywhere, deed(action, { createdFor: null }))).toBeNull();
    const objection = refusalFor(everywhere, deed(action, { createdFor: other }));
    if (POWERS.includes(action)) expect(objection).toContain("created for another tenant");
    else expect(objection).toBeNull();
  });

  test.each(TENANT_ACTIONS)("%s in its own, with no grant but to make rooms", (action) => {
    const maker = granted(inRooms(["#elsewhere:a.example"], "create"));
    const isFree = action !== "create" && action !== "timestamp";
    expect(refusalFor(maker, deed(action, { createdFor: own })) === null).toBe(isFree);
    expect(refusalFor(maker, deed(action, { createdFor: other }))).toBe("no grant covers this room");
    expect(refusalFor(granted(), deed(action, { createdFor: own }))).toBe("no grant covers this room");
  });

  test.each<[rooms: string[], allowed: boolean]>([
    [["*"], false],
    [["!*"], false],
    [["#ops:*"], false],
    [[ID], true],
    [[ALIAS], true],
    [["#elsewhere:a.example", ID], true],
  ])("the other's power is lent by a grant that names the room itself: %j", (rooms, allowed) => {
    const objection = refusalFor(granted(inRooms(rooms, "kick")), deed("kick", { createdFor: other }));
    expect(objection === null).toBe(allowed);
  });

  test("the grant that names the room is to be the one that allows the action", () => {
    const grants = granted(may("kick"), inRooms([ID], "read"));
    expect(refusalFor(grants, deed("kick", { createdFor: other }))).toContain("created for another tenant");
  });
});

describe("what the operator said of a room", () => {
  test.each<[rooms: string[][], word: Reach]>([
    [[], "none"],
    [[["#elsewhere:a.example"]], "none"],
    [[["*"]], "any"],
    [[["*"], ["#elsewhere:a.example"]], "any"],
    [[[ID]], "named"],
    [[["*"], [ALIAS]], "named"],
    [[["*:remote.example"]], "named"],
    [[["!*"]], "named"],
    // Whoever owns such aliases says which room they mean: it is never the operator's word for a private one.
    [[["#ops:*"]], "any"],
    [[["#*"], ["#elsewhere:a.example"]], "any"],
  ])("grants for %j: %s", (patterns, word) => {
    const grants = patterns.map((rooms) => inRooms(rooms, "read"));
    expect(reachFor(granted(...grants), HERE)).toBe(word);
  });

  test("a room of its own making is as if named, for as long as it may make rooms", () => {
    const own = "telegram" as TenantId;
    expect(reachFor(granted(may("create")), BY_ID, own)).toBe("named");
    expect(reachFor(granted(may("create")), BY_ID, "irc" as TenantId)).toBe("any");
    expect(reachFor(granted(may("send")), BY_ID, own)).toBe("any");
    expect(reachFor(granted(), BY_ID, own)).toBe("none");
  });

  test("an invite's grant is as good as the operator's", () => {
    expect(reachFor(granted({ ...inRooms([ID], "read"), source: "invite" }), BY_ID)).toBe("named");
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
    expect(refusalFor(granted(may("create")), deed(action, OWN)) === null).toBe(allowed);
    expect(refusalFor(granted(may("create")), deed(action, { createdFor: "other" as TenantId }))).not.toBeNull();
  });

  test("the right ends when the tenant may make no more", () => {
    expect(refusalFor(granted(may("read")), deed("room-state", OWN))).not.toBeNull();
    expect(reachFor(granted(may("read")), BY_ID, OWN.createdFor)).toBe("any");
  });

  test("a private one is open to it as if it was named", () => {
    expect(reachFor(granted(may("create")), BY_ID, OWN.createdFor)).toBe("named");
    expect(reachFor(granted(may("create")), BY_ID, "other" as TenantId)).toBe("any");
  });
});
