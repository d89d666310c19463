import { describe, expect, onTestFinished, test } from "vitest";
import type { ServerName, TenantId, UserId } from "../../../src/model/ids.ts";
import type { Grant } from "../../../src/model/tenant.ts";
import { MAX_GRANTS } from "../../../src/policy/grants.ts";
import { Tenants, type TenantWish } from "../../../src/policy/tenants.ts";
import { compileExpression } from "../../../src/platform/expressions.ts";
import { SqliteStorage } from "../../../src/app/stores.ts";
import { ManualClock, seededRandom, START } from "../../support/clock.ts";
import { OTHER_ROOM, OWN, ROOM } from "../../support/events.ts";

const TELEGRAM: TenantWish = {
  id: "telegram" as TenantId,
  url: "http://127.0.0.1:29317",
  users: null,
  actions: ["read"],
  ephemeral: false,
  maxTransaction: null,
  ca: null,
};
const INVITER = "@bob:b.example" as UserId;
const IRC: TenantWish = { ...TELEGRAM, id: "irc" as TenantId };

async function scene(secret = "the installation's own secret", seed = 1) {
  const storage = new SqliteStorage(":memory:");
  onTestFinished(() => storage.close());
  const make = async (): Promise<Tenants> => {
    const server = "ours.example" as ServerName;
    const parts = {
      store: storage.tenants,
      own: OWN,
      server,
      compile: compileExpression,
      secret,
      clock: new ManualClock(),
      random: seededRandom(seed),
    };
    const tenants = new Tenants(parts);
    await tenants.start();
    return tenants;
  };
  return { tenants: await make(), make };
}

describe("a tenant", () => {
  test("is known by its token, and nobody by another", async () => {
    const { tenants } = await scene();
    const { tenant, tokens } = await tenants.add(TELEGRAM);
    expect(tenant).toMatchObject({ id: "telegram", sender: "@_emissary_telegram:ours.example" });
    expect(tenants.byToken(tokens.asToken)).toEqual(tenant);
    for (const wrong of ["", "x", tokens.hsToken, `${tokens.asToken}x`, tokens.asToken.toLowerCase()]) {
      expect(tenants.byToken(wrong)).toBeNull();
    }
  });

  test("is known after a restart as before, with the same tokens", async () => {
    const { tenants, make } = await scene();
    const { tenant, tokens } = await tenants.add(TELEGRAM);
    const later = await make();
    expect(later.byToken(tokens.asToken)).toEqual(tenant);
    expect(later.hsTokenOf(tenant.id)).toBe(tokens.hsToken);
  });

  test("has tokens of its own, and none of them is guessed from the others", async () => {
    const { tenants } = await scene();
    const [telegram, irc] = [await tenants.add(TELEGRAM), await tenants.add(IRC)];
    const tokens = [telegram.tokens.asToken, telegram.tokens.hsToken, irc.tokens.asToken, irc.tokens.hsToken];
    expect(new Set(tokens).size).toBe(4);
    for (const token of tokens) expect(token.length).toBeGreaterThanOrEqual(43);
  });

  test("is shown another token by another installation, though the database be the same", async () => {
    const [ours, theirs] = [await scene("ours"), await scene("theirs")];
    const [a, b] = [await ours.tenants.add(TELEGRAM), await theirs.tenants.add(TELEGRAM)];
    expect(a.tokens.asToken).toBe(b.tokens.asToken);
    expect(a.tokens.hsToken).not.toBe(b.tokens.hsToken);
  });

  test("takes an ID that is free", async () => {
    const { tenants } = await scene();
    const { tokens } = await tenants.add(TELEGRAM);
    await expect(tenants.add({ ...TELEGRAM, url: null })).rejects.toMatchObject({ code: "in-use" });
    expect(tenants.byToken(tokens.asToken)?.url).toBe(TELEGRAM.url);
  });

  test("with new tokens is not known by the old ones", async () => {
    const { tenants } = await scene();
    const before = await tenants.add(TELEGRAM);
    const after = await tenants.rotate("telegram");
    expect(tenants.byToken(before.tokens.asToken)).toBeNull();
    expect(tenants.byToken(after.tokens.asToken)).toEqual(before.tenant);
    expect(after.tokens.hsToken).not.toBe(before.tokens.hsToken);
  });

  test("that was removed is not known", async () => {
    const { tenants } = await scene();
    const { tokens } = await tenants.add(TELEGRAM);
    expect(await tenants.remove("telegram")).toEqual({ leasesEnded: 0 });
    expect(tenants.byToken(tokens.asToken)).toBeNull();
    expect(tenants.byId("telegram")).toBeNull();
  });

  test.each(["rotate", "remove"] as const)("that does not exist: %s says so", async (deed) => {
    const { tenants } = await scene();
    await expect(tenants[deed]("nobody")).rejects.toMatchObject({ code: "not-found" });
  });

  test("is allowed more, or something else in place of all", async () => {
    const { tenants, make } = await scene();
    const { tenant } = await tenants.add(TELEGRAM);
    const inRoom: Grant = { rooms: ["#ops:a.example"], actions: ["send"], types: ["m.room.*"], source: "operator" };
    expect((await tenants.allow("telegram", inRoom)).grants).toEqual([...tenant.grants, inRoom]);
    expect((await tenants.allow("telegram", inRoom)).grants).toHaveLength(2);
    expect((await make()).byId("telegram")?.grants).toEqual([...tenant.grants, inRoom]);
    expect((await tenants.allow("telegram", inRoom, true)).grants).toEqual([inRoom]);
    await expect(tenants.allow("nobody", inRoom)).rejects.toMatchObject({ code: "not-found" });
  });

  test("has no more grants than its requests can look through, unless they replace the others", async () => {
    const { tenants } = await scene();
    await tenants.add(TELEGRAM);
    const grant = (n: number): Grant => ({ rooms: [`!${n}`], actions: ["send"], types: null, source: "operator" });
    for (let n = 1; n < MAX_GRANTS; n += 1) await tenants.allow("telegram", grant(n));
    await expect(tenants.allow("telegram", grant(MAX_GRANTS))).rejects.toMatchObject({ code: "bad-request" });
    expect((await tenants.allow("telegram", grant(MAX_GRANTS), true)).grants).toHaveLength(1);
  });

  test("that is invited may do in that room what it may in public ones, with the same bounds", async () => {
    const { tenants } = await scene();
    await tenants.add(TELEGRAM);
    const bound: Grant = { rooms: ["*"], actions: ["state"], types: ["com.example.*"], source: "operator" };
    const { grants: before } = await tenants.allow("telegram", bound);
    for (let times = 0; times < 2; times += 1) await tenants.allowInvited(tenants.byId("telegram")!, ROOM, INVITER);
    expect(tenants.byId("telegram")?.grants).toEqual([
      ...before,
      { rooms: [ROOM], actions: ["read"], types: null, source: "invite" },
      { rooms: [ROOM], actions: ["state"], types: ["com.example.*"], source: "invite" },
    ]);
  });

  test("that may be in certain rooms only gets no further by an invite", async () => {
    const { tenants } = await scene();
    await tenants.add(TELEGRAM);
    const only: Grant = { rooms: [OTHER_ROOM], actions: ["read"], types: null, source: "operator" };
    const tenant = await tenants.allow("telegram", only, true);
    await tenants.allowInvited(tenant, ROOM, INVITER);
    expect(tenants.byId("telegram")?.grants).toEqual([only]);
  });

  test("has its deliveries held back, and no longer", async () => {
    const { tenants } = await scene();
    await tenants.add(TELEGRAM);
    expect((await tenants.pause("telegram", true)).pausedAt).toBe(START);
    expect((await tenants.pause("telegram", false)).pausedAt).toBeNull();
    await expect(tenants.pause("nobody", true)).rejects.toMatchObject({ code: "not-found" });
  });

  test("stands in the list by its ID", async () => {
    const { tenants } = await scene();
    await tenants.add(TELEGRAM);
    await tenants.add(IRC);
    expect(tenants.all().map(({ id }) => id)).toEqual(["irc", "telegram"]);
    expect(tenants.byId("irc")).toMatchObject({ id: "irc" });
    expect(tenants.byId("constructor")).toBeNull();
  });
});

test("a tenant from before whose namespace is not read has its sender, and nobody else", async () => {
  const { tenants } = await scene();
  const { tenant } = await tenants.add({ ...TELEGRAM, users: "@telegram_(?!admin).*" });
  const { tenant: sound } = await tenants.add({ ...IRC, users: "@(i+)+rc_.*" });
  expect(tenants.faultIn(tenant)).toMatch(/^looks around/);
  expect(tenants.faultIn(sound)).toBeNull();
  expect(tenants.isPersona(tenant, tenant.sender)).toBe(true);
  expect(tenants.isPersona(tenant, "@telegram_cat:ours.example" as UserId)).toBe(false);
  expect(tenants.isPersona(sound, "@iirc_cat:ours.example" as UserId)).toBe(true);
  expect(tenants.isPersona(sound, `@${"i".repeat(200)}:ours.example` as UserId)).toBe(false);
});
