import { describe, expect, test } from "vitest";
import { refusalOfAll } from "../../../src/attendance/mover.ts";
import type { RoomAlias } from "../../../src/model/ids.ts";
import type { HolderKind, Lease } from "../../../src/model/lease.ts";
import type { Verdict } from "../../../src/model/verdict.ts";
import type { Ask } from "../../../src/policy/inputs.ts";
import { ROOM } from "../../support/events.ts";

function lease(id: number, kind: HolderKind, name: string, alias: string | null = null): Lease {
  const holder = { kind, name };
  return { id, roomId: ROOM, holder, alias: alias as RoomAlias | null, takenAt: 0, upgrades: 0, expiresAt: null };
}

/** Policy that denies those who came by one of these aliases; and whom it was asked for. */
function denying(...aliases: readonly string[]) {
  const asked: (readonly [name: string, alias: string | null])[] = [];
  const judge = async ({ holder, alias = null }: Ask): Promise<Verdict> => {
    asked.push([holder.name, alias]);
    const allowed = alias === null || !aliases.includes(alias);
    return { allowed, code: allowed ? "allowed" : "denied", reason: "a rule", retryAfter: null, inputs: {} };
  };
  return { asked, judge };
}

describe("a join is made if it is allowed to one of those who want it", () => {
  test("whoever came by a name that is denied does not keep out who came by another", async () => {
    const leases = [lease(1, "alias", "#a", "#a:ours.example"), lease(2, "alias", "#b", "#b:ours.example")];
    expect(await refusalOfAll(denying("#a:ours.example"), ROOM, leases, [])).toBeNull();
  });

  test("and is refused where none may", async () => {
    const leases = [lease(1, "peek", "one", "#a:b"), lease(2, "alias", "#a", "#a:b")];
    expect(await refusalOfAll(denying("#a:b"), ROOM, leases, [])).toMatchObject({
      outcome: "refused",
      code: "denied",
    });
  });

  test("those whom policy does not tell apart are asked for once", async () => {
    const policy = denying("#a:b");
    const leases = Array.from({ length: 100 }, (_, nr) => lease(nr, "peek", `user${nr}`, "#a:b"));
    await refusalOfAll(policy, ROOM, [...leases, lease(100, "tenant", "irc", "#a:b")], []);
    expect(policy.asked).toEqual([
      ["user0", "#a:b"],
      ["irc", "#a:b"],
    ]);
  });
});
