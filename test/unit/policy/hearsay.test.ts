/** Outside a room, what the ledger holds of it is hearsay: only what never changes decides anything. */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import type { EventId } from "../../../src/model/ids.ts";
import { HOLDER_KINDS } from "../../../src/model/lease.ts";
import type { Room } from "../../../src/model/room.ts";
import { Budgets } from "../../../src/policy/budgets.ts";
import { Policy } from "../../../src/policy/policy.ts";
import type { RoomSummary } from "../../../src/policy/question.ts";
import type { PolicyRule } from "../../../src/policy/rule.ts";
import { RuleBook } from "../../../src/policy/rule-book.ts";
import { SqliteStorage } from "../../../src/app/stores.ts";
import { NO_LIMITS, PLENTY } from "../../support/attending.ts";
import { ManualClock } from "../../support/clock.ts";
import { ALICE, OWN, REMOTE, ROOM } from "../../support/events.ts";
import { NOWHERE } from "../../support/pointers.ts";
import { roundsOf, seedOf } from "../../support/soak.ts";
import { ANYBODY } from "../../support/tenants.ts";

/** As a room stands in the ledger of which only the unchanging is known. */
const BARE: Room = {
  roomId: ROOM,
  load: "none",
  ownMembership: "leave",
  ownMembershipEvent: "$out" as EventId,
  ownReason: null,
  createdFor: null,
  creator: ALICE,
  serverAcl: null,
  version: "11",
  roomType: null,
  name: null,
  canonicalAlias: null,
  joinRule: null,
  historyVisibility: null,
  encryption: null,
  replacement: null,
  predecessor: null,
  via: [REMOTE],
};

const ACLS = [
  { allow: ["*"], deny: ["ours.example"], allow_ip_literals: true },
  { allow: ["*"], deny: ["remote.example"], allow_ip_literals: true },
  { allow: [], deny: [], allow_ip_literals: true },
];

/** What whoever is in a room may change at any time, and a room heard of long ago may say. */
const heard = fc.record({
  serverAcl: fc.option(fc.constantFrom(...ACLS.map((acl) => JSON.stringify(acl)))),
  name: fc.option(fc.constantFrom("a", "b")),
  canonicalAlias: fc.option(fc.constantFrom("#bad:remote.example", "#good:remote.example")),
  joinRule: fc.option(fc.constantFrom("public", "invite", "knock", "restricted", "peekable")),
  historyVisibility: fc.option(fc.constantFrom("world_readable", "shared", "joined")),
  encryption: fc.option(fc.constant("m.megolm.v1.aes-sha2")),
  replacement: fc.option(fc.constant("!other:remote.example")),
  load: fc.constantFrom("none", "stale", "loaded", "wanted"),
  ownMembership: fc.constantFrom(null, "leave", "ban", "knock"),
}) as fc.Arbitrary<Partial<Room>>;

const seen = fc.record({
  joinRule: fc.constantFrom("public", "invite"),
  worldReadable: fc.boolean(),
  joinedMembers: fc.constant(2),
  version: fc.constant("11"),
  encryption: fc.constant(null),
}) as fc.Arbitrary<RoomSummary>;

test(
  "whatever it is, the verdict and the routes are those of a room that we never heard of since",
  { timeout: 60_000 },
  async () => {
    const storage = new SqliteStorage(":memory:");
    onTestFinished(() => storage.close());
    const clock = new ManualClock();
    const denied = { kind: "room", verdict: "deny", hashed: false, reason: null, source: "operator" } as const;
    const rules: readonly PolicyRule[] = [{ ...denied, entity: "#bad*" }];
    const policyOf = (room: Room, look: RoomSummary | null): Policy => {
      const book = new RuleBook();
      book.replace("operator", rules);
      return new Policy({
        own: OWN,
        ledger: {
          room: async () => room,
          member: async () => null,
          members: async () => [],
          hasMemberOf: async () => false,
        },
        looker: { look: async () => look },
        attended: storage.attendance,
        tenants: ANYBODY,
        rules: book,
        pointers: NOWHERE,
        coolDowns: storage.coolDowns,
        budgets: new Budgets(PLENTY, clock),
        limits: NO_LIMITS,
        clock,
      });
    };
    const allowed = new Set<boolean>();
    await fc.assert(
      fc.asyncProperty(
        heard,
        fc.option(seen),
        fc.constantFrom(...HOLDER_KINDS),
        fc.constantFrom("take", "join"),
        async (hearsay, look, kind, stage) => {
          const [told, untold] = [policyOf({ ...BARE, ...hearsay }, look), policyOf(BARE, look)];
          const ask = { roomId: ROOM, holder: { kind, name: "somebody" }, via: [REMOTE] } as const;
          const judged = async (policy: Policy) => {
            if (stage === "join") return { verdict: await policy.judge(ask, stage), booked: null };
            return policy.admit(ask, async (via) => via);
          };
          const [{ verdict, booked }, other] = [await judged(told), await judged(untold)];
          expect([verdict.code, verdict.reason, booked]).toEqual([
            other.verdict.code,
            other.verdict.reason,
            other.booked,
          ]);
          expect(await told.inputs.routes(ROOM, [REMOTE])).toEqual(await untold.inputs.routes(ROOM, [REMOTE]));
          allowed.add(verdict.allowed);
        },
      ),
      { numRuns: roundsOf(500), seed: seedOf(14_3) },
    );
    expect(allowed).toEqual(new Set([true, false]));
  },
);
