import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { UserId } from "../../../src/model/ids.ts";
import { compileExpression } from "../../../src/platform/expressions.ts";
import { overlapOf, type Names } from "../../../src/policy/namespaces.ts";
import { tenant } from "../../support/tenants.ts";

const isNamed: Names = ({ users }, userId) => {
  const compiled = compileExpression(users ?? "");
  return users !== null && "expression" in compiled && compiled.expression.matches(userId);
};

const having = (users: string | null) => tenant("t", { users });

describe("two namespaces", () => {
  test.each([
    ["@_telegram_.*", "@_irc_.*"],
    ["@_telegram_.*:ours\\.example", "@_irc_.*:ours\\.example$"],
    ["^@_a_.*", "@_b_.*"],
    ["@_a_.*|@_b_.*", "@_c_.*|@_d_.*"],
    ["@bot:ours\\.example", "@bot2:ours\\.example"],
    ["@_ab?_.*", "@_c.*"],
    ["@_a[0-9]+", "@_b[0-9]+"],
  ])("%s and %s are apart", (one, other) => {
    expect(overlapOf(having(one), having(other), isNamed)).toBeNull();
    expect(overlapOf(having(other), having(one), isNamed)).toBeNull();
  });

  test.each([
    ["@_telegram_.*", "@_telegram_.*"],
    ["@_telegram_.*", "@_tele.*"],
    [".*", "@_irc_.*"],
    ["@_a_.*|@_b_.*", "@_c_.*|@_b_.*"],
    ["@(_a_|_b_).*", "@_b_.*"],
    ["@.*:ours\\.example", "@_irc_.*:ours\\.example"],
    ["@_a_[a-z]+", "@_a_.*"],
    ["@bot", "@bot:ours\\.example"],
  ])("%s and %s have users in common, and one is named", (one, other) => {
    for (const overlap of [
      overlapOf(having(one), having(other), isNamed),
      overlapOf(having(other), having(one), isNamed),
    ]) {
      const user = overlap?.user as UserId;
      expect([isNamed(having(one), user), isNamed(having(other), user)]).toEqual([true, true]);
    }
  });

  test.each([
    ["@_a_[0-9]{7}q:.*", "@_a_.*q:.*"],
    ["@(_a_|_b_).*", "@(_c_|_d_).*"],
    ["@_(a|b)_.*", "@_c_.*"],
  ])("%s and %s may have some", (one, other) => {
    expect(overlapOf(having(one), having(other), isNamed)).toEqual({ user: null });
  });

  test("without one there is nothing to have in common", () => {
    expect(overlapOf(having(null), having(".*"), isNamed)).toBeNull();
  });

  test("that are told to be apart never match the same user", () => {
    const piece = fc.constantFrom("a", "b", "_", ".*", "?", "+", "[ab]", "(a|b)", "|", "@", "\\.", "^", "x{2}", ":");
    const expression = fc
      .array(piece, { minLength: 1, maxLength: 6 })
      .map((pieces) => pieces.join(""))
      .filter((text) => {
        try {
          new RegExp(`^(?:${text})`);
          return true;
        } catch {
          return false;
        }
      });
    const user = fc
      .array(fc.constantFrom("a", "b", "_", "x", "."), { minLength: 1, maxLength: 4 })
      .map((letters) => `@${letters.join("")}:ours.example` as UserId);
    let apart = 0;
    fc.assert(
      fc.property(expression, expression, user, (one, other, userId) => {
        if (overlapOf(having(one), having(other), isNamed) !== null) return;
        apart += 1;
        expect([one, other, userId, isNamed(having(one), userId) && isNamed(having(other), userId)]).toContain(false);
      }),
      { numRuns: 5_000 },
    );
    expect(apart).toBeGreaterThan(100);
  });
});
