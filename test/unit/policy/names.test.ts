/**
 * A name is never a right: whatever rooms call themselves and are asked for by, and wherever aliases are pointed, no verdict is better for
 * a room than without those names, unless the directory says so of a glob, or the pin and the directory of one alias.
 */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import type { EventId, RoomAlias, RoomId, ServerName, UserId } from "../../../src/model/ids.ts";
import type { Room } from "../../../src/model/room.ts";
import type { Grant } from "../../../src/model/tenant.ts";
import { Budgets } from "../../../src/policy/budgets.ts";
import { matchesGlob } from "../../../src/policy/glob.ts";
import { refusalFor } from "../../../src/policy/permit.ts";
import { Pointers } from "../../../src/policy/pointers.ts";
import { Policy } from "../../../src/policy/policy.ts";
import type { PolicyRule } from "../../../src/policy/rule.ts";
import { RuleBook } from "../../../src/policy/rule-book.ts";
import { SqliteStorage } from "../../../src/app/stores.ts";
import { ManualClock } from "../../support/clock.ts";
import { PUBLIC } from "../../support/attending.ts";
import { OWN } from "../../support/events.ts";
import { FakeDirectory } from "../../support/pointers.ts";
import { tenant } from "../../support/tenants.ts";

const ROOMS = ["!one:x.example", "!two:y.example"] as RoomId[];
const ALIASES = ["#a:x.example", "#ab:x.example", "#c:y.example"] as RoomAlias[];
const PATTERNS = [...ALIASES, "#a*:x.example", "#*", "*:x.example"];
const PLENTY = { joins: 1_000, per: 1 };

const pointed = fc.dictionary(fc.constantFrom(...ALIASES), fc.constantFrom(...ROOMS));
const scenes = fc.record({
  roomId: fc.constantFrom(...ROOMS),
  isPublic: fc.boolean(),
  isIn: fc.boolean(),
  claim: fc.option(fc.constantFrom(...ALIASES)),
  asked: fc.option(fc.constantFrom(...ALIASES)),
  /** Where the aliases pointed when they were granted and excepted, and where they point now. */
  then: pointed,
  now: pointed,
  pattern: fc.constantFrom(...PATTERNS),
  isPinned: fc.boolean(),
});
type Scene = typeof scenes extends fc.Arbitrary<infer Value> ? Value : never;

function roomOf({ roomId, isPublic, isIn, claim }: Scene): Room {
  return {
    roomId,
    load: isIn ? "loaded" : "none",
    ownMembership: isIn ? "join" : null,
    ownMembershipEvent: "$own" as EventId,
    ownReason: null,
    createdFor: null,
    creator: "@maker:evil.example" as UserId,
    serverAcl: null,
    version: "11",
    roomType: null,
    name: null,
    canonicalAlias: claim,
    joinRule: isPublic ? "public" : "invite",
    historyVisibility: "shared",
    encryption: null,
    replacement: null,
    predecessor: null,
    via: [],
  };
}

function policyOf(
  scene: Scene,
  storage: SqliteStorage,
  rules: readonly PolicyRule[],
  grants: readonly Grant[],
): Policy {
  const [directory, clock, book] = [new FakeDirectory(), new ManualClock(), new RuleBook()];
  for (const [alias, room] of Object.entries(scene.now)) directory.points.set(alias, room);
  book.replace("operator", rules);
  const pointers = new Pointers({ directory, rules: book, server: "ours.example" as ServerName, clock });
  return new Policy({
    own: OWN,
    ledger: {
      room: async () => roomOf(scene),
      member: async () => null,
      members: async () => [],
      hasMemberOf: async () => false,
    },
    looker: { look: async () => ({ ...PUBLIC, joinRule: scene.isPublic ? "public" : "invite" }) },
    attended: storage.attendance,
    tenants: { byId: (id: string) => tenant(id, { grants }) },
    rules: book,
    pointers,
    coolDowns: storage.coolDowns,
    budgets: new Budgets({ room: PLENTY, user: PLENTY, tenant: PLENTY, server: PLENTY, all: PLENTY }, clock),
    limits: { maxRooms: 100, maxMembers: 100, maxJoinsUnderWay: 100, refuseVersions: [] },
    clock,
  });
}

/** Whether the room may count as what the pattern means: by the directory for a glob, by pin and directory for one alias. */
function isMeant({ roomId, pattern, then, now, claim, asked, isPinned }: Scene, needsNow: boolean): boolean {
  if (matchesGlob([pattern], roomId)) return true;
  if (!/[*?]/.test(pattern)) return isPinned && then[pattern] === roomId && (!needsNow || now[pattern] === roomId);
  return [claim, asked].some((name) => name !== null && matchesGlob([pattern], name) && now[name] === roomId);
}

function stored(): SqliteStorage {
  const storage = new SqliteStorage(":memory:");
  onTestFinished(() => storage.close());
  return storage;
}

test("no exception by alias spares a room that is not the one which is meant", async () => {
  const storage = stored();
  const denied: PolicyRule = {
    kind: "user",
    entity: "@maker:evil.example",
    verdict: "deny",
    hashed: false,
    reason: null,
    source: "operator",
  };
  await fc.assert(
    fc.asyncProperty(scenes, fc.constantFrom("take", "hold"), async (scene, stage) => {
      const pin = scene.isPinned ? scene.then[scene.pattern] : undefined;
      const excepting: PolicyRule = {
        ...denied,
        kind: "room",
        entity: scene.pattern,
        verdict: "allow",
        ...(pin === undefined ? {} : { pin }),
      };
      const policy = policyOf(scene, storage, [denied, excepting], []);
      const ask = { roomId: scene.roomId, holder: { kind: "alias", name: "x" }, via: [], alias: scene.asked } as const;
      const { code } = await policy.judge(ask, stage === "take" ? "join" : "hold");
      const isSpared = code !== "denied";
      expect(isSpared && !isMeant(scene, true)).toBe(false);
      // And the one that is meant is spared: the property is not one of a policy that spares nobody.
      if (isMeant(scene, true)) expect(isSpared).toBe(true);
      expect(await policy.inputs.isExcepted(scene.roomId)).toBe(isMeant({ ...scene, asked: null }, true));
    }),
    { numRuns: 500 },
  );
});

test("no grant by alias covers a room that is not the one which is meant, nor opens a private one for a glob", async () => {
  const storage = stored();
  await fc.assert(
    fc.asyncProperty(scenes, async (scene) => {
      const roomId = scene.isPinned ? scene.then[scene.pattern] : undefined;
      const pins = roomId === undefined ? [] : [{ alias: scene.pattern as RoomAlias, roomId, at: 0, moved: null }];
      const grant: Grant = {
        rooms: [scene.pattern],
        actions: ["read", "state"],
        types: null,
        source: "operator",
        pins,
      };
      const policy = policyOf(scene, storage, [], [grant]);
      const ask = { roomId: scene.roomId, holder: { kind: "tenant", name: "t" }, via: [], alias: scene.asked } as const;
      const { allowed } = await policy.judge(ask, "join");
      // What a room calls itself is not even looked at.
      const isMeantHere = isMeant({ ...scene, claim: null }, false);
      const isByGlob = /[*?]/.test(scene.pattern) && !matchesGlob([scene.pattern], scene.roomId);
      expect(allowed && !isMeantHere).toBe(false);
      if (isByGlob && !scene.isPublic) expect(allowed).toBe(false);
      if (isMeantHere && (scene.isPublic || !isByGlob)) expect(allowed).toBe(true);
      const alias = scene.asked !== null && scene.now[scene.asked] === scene.roomId ? scene.asked : null;
      const room = { id: scene.roomId, alias, isPublic: scene.isPublic };
      const objection = refusalFor(tenant("t", { grants: [grant] }), {
        action: "state",
        room,
        type: "x",
        createdFor: null,
      });
      expect(objection === null).toBe(isMeantHere && (scene.isPublic || !isByGlob));
    }),
    { numRuns: 500 },
  );
});
