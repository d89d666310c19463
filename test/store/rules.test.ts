import { describe, expect, test } from "vitest";
import type { RoomId } from "../../src/model/ids.ts";
import { MAX_OPERATOR_RULES, Rules } from "../../src/policy/rules.ts";
import type { OperatorRule } from "../../src/policy/store/rules.ts";
import type { PolicyRule } from "../../src/policy/rule.ts";
import { ManualClock } from "../support/clock.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const LIST = "!list:lists.example" as RoomId;
const OTHER = "!other:lists.example" as RoomId;
const EVIL: OperatorRule = { kind: "server", entity: "evil.example", verdict: "deny", reason: "spam" };

function listed(entity: string, more: Partial<PolicyRule> = {}): PolicyRule {
  return { kind: "user", entity, verdict: "deny", hashed: false, reason: null, source: LIST, ...more };
}

async function rulesOver({ rules, pins }: Pick<Stores, "rules" | "pins">): Promise<Rules> {
  const made = new Rules(rules, pins, new ManualClock());
  await made.start();
  return made;
}

async function auditOf({ audit }: Stores): Promise<unknown[]> {
  return (await audit.newest(null, 100)).map(({ actor, action, roomId, detail }) => [actor, action, roomId, detail]);
}

describe.each(DATABASES)("rules on $name", ({ make }) => {
  test("that the operator makes hold at once, and after a crash", async () => {
    const database = make();
    const rules = await rulesOver(database.open());
    expect(await rules.set(EVIL)).toBe("added");
    expect(rules.book.ruleFor({ kind: "server", text: "evil.example" })).toMatchObject(EVIL);
    const again = await rulesOver(database.openAfterCrash());
    expect(again.all()).toEqual([{ ...EVIL, hashed: false, source: "operator" }]);
    expect(again.book.ruleFor({ kind: "server", text: "evil.example" })).toMatchObject(EVIL);
  });

  test("are one for each entity: the newest word counts, and the same word again changes nothing", async () => {
    const stores = make().open();
    const rules = await rulesOver(stores);
    await rules.set(EVIL);
    expect(await rules.set({ ...EVIL, entity: "EVIL.example" })).toBe("unchanged");
    expect(await rules.set({ ...EVIL, reason: null })).toBe("changed");
    expect(await rules.set({ ...EVIL, verdict: "allow" })).toBe("changed");
    expect(rules.all()).toEqual([{ ...EVIL, verdict: "allow", hashed: false, source: "operator" }]);
    expect(await stores.rules.all()).toEqual(rules.all());
  });

  test("leave a trace with the change, and none without", async () => {
    const stores = make().open();
    const rules = await rulesOver(stores);
    await rules.set(EVIL);
    await rules.set(EVIL);
    await rules.set({ kind: "room", entity: "!a:x.org", verdict: "allow", reason: null });
    await rules.remove("server", "Evil.example");
    expect(await rules.remove("server", "evil.example")).toBe(false);
    expect((await auditOf(stores)).toReversed()).toEqual([
      ["operator", "policy.deny", null, { kind: "server", entity: "evil.example", reason: "spam" }],
      ["operator", "policy.allow", "!a:x.org", { kind: "room", entity: "!a:x.org", reason: null }],
      ["operator", "policy.remove", null, { kind: "server", entity: "evil.example" }],
    ]);
  });

  test("that are taken back hold no more, also after a crash", async () => {
    const database = make();
    const rules = await rulesOver(database.open());
    await rules.set(EVIL);
    expect(await rules.remove("server", "evil.example")).toBe(true);
    expect(rules.all()).toEqual([]);
    expect((await rulesOver(database.openAfterCrash())).all()).toEqual([]);
  });

  test("tell whoever waits for it when they change", async () => {
    const rules = await rulesOver(make().open());
    let changes = 0;
    const watch = async (): Promise<void> => {
      for (;;) {
        await rules.changed.next(new AbortController().signal);
        changes += 1;
      }
    };
    void watch();
    await rules.set(EVIL);
    expect(changes).toBe(1);
    await rules.set(EVIL);
    expect(changes).toBe(1);
    await rules.remove("server", "evil.example");
    expect(changes).toBe(2);
    await rules.replaceList(LIST, [listed("@a:x.org")]);
    await rules.replaceList(LIST, [listed("@a:x.org")]);
    expect(changes).toBe(3);
    rules.configure([]);
    await Promise.resolve();
    expect(changes).toBe(4);
  });

  test("that nothing can match are refused with a sentence", async () => {
    const rules = await rulesOver(make().open());
    await expect(rules.set({ ...EVIL, entity: "https://evil.example" })).rejects.toMatchObject({
      code: "bad-request",
      message: expect.stringMatching(/^This is no rule: "https:.* matches no server: .*\.$/) as string,
    });
    await expect(rules.set({ ...EVIL, reason: "r".repeat(1_001) })).rejects.toMatchObject({ code: "bad-request" });
    expect(rules.all()).toEqual([]);
  });

  test("of the operator are bounded in number, and one that is there can still be changed", async () => {
    const stores = make().open();
    const full = Array.from({ length: MAX_OPERATOR_RULES }, (_, n) => ({ ...EVIL, entity: `s${n}.example` }));
    const rules = await rulesOver({
      pins: stores.pins,
      rules: Object.assign(Object.create(stores.rules), {
        all: async () => full.map((rule) => ({ ...rule, hashed: false, source: "operator" })),
      }) as Stores["rules"],
    });
    await expect(rules.set(EVIL)).rejects.toMatchObject({ code: "bad-request" });
    expect(await stores.rules.all()).toEqual([]);
    expect(await rules.set({ ...EVIL, entity: "s1.example", verdict: "allow" })).toBe("added");
    expect(rules.all()).toHaveLength(MAX_OPERATOR_RULES);
  });

  test("of a list are replaced as a whole, those of others stay", async () => {
    const database = make();
    const stores = database.open();
    const rules = await rulesOver(stores);
    await rules.set(EVIL);
    await rules.replaceList(OTHER, [listed("@other:x.org", { source: OTHER })]);
    await rules.replaceList(LIST, [listed("@a:x.org"), listed("@b:x.org"), listed("h", { hashed: true })]);
    const next = [listed("@b:x.org", { reason: "now with a reason" }), listed("@c:x.org")];
    await rules.replaceList(LIST, next);
    expect(rules.book.rules(LIST)).toEqual(next);
    const again = await rulesOver(database.openAfterCrash());
    expect(again.book.rules(LIST)).toEqual(next);
    expect(again.book.rules(OTHER)).toHaveLength(1);
    expect(again.book.rules("operator")).toHaveLength(1);
    await again.replaceList(LIST, []);
    expect(again.book.sources()).toEqual([OTHER, "operator"]);
  });

  test("of a list leave no trace in the audit: they are others' deeds", async () => {
    const stores = make().open();
    await (await rulesOver(stores)).replaceList(LIST, [listed("@a:x.org")]);
    expect(await auditOf(stores)).toEqual([]);
  });
});
