import { describe, expect, test } from "vitest";
import { InviteBlock } from "../../../../src/attendance/invites/block.ts";
import { knowsInvitePermission, type InvitePermission } from "../../../../src/attendance/invites/invite-permission.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { JsonObject } from "../../../../src/model/json.ts";
import { silent } from "../../../support/attending.ts";
import { ManualClock } from "../../../support/clock.ts";

const NEVER = new AbortController().signal;

/** A homeserver's account data. */
class Account implements Pick<InvitePermission, "isKnown" | "read" | "write"> {
  content: JsonObject | null = null;
  isThere = true;
  writes = 0;
  readonly #knows: boolean;

  constructor(knows = true) {
    this.#knows = knows;
  }

  async isKnown(): Promise<boolean> {
    return this.#knows;
  }

  async read(): Promise<JsonObject | null> {
    if (!this.isThere) throw new EmissaryError("homeserver-unreachable", "It is not there.");
    return this.content;
  }

  async write(content: JsonObject): Promise<void> {
    this.writes += 1;
    this.content = content;
  }
}

function blockOf(permission: Account, setting: "decline" | "block" | "keep", clock = new ManualClock()): InviteBlock {
  return new InviteBlock(setting, { permission, clock, log: silent });
}

describe("the homeserver", () => {
  test("is asked to refuse all invites, once, and beside what else is written there", async () => {
    const account = new Account();
    account.content = { "org.example.more": 1 };
    for (let start = 0; start < 2; start += 1) {
      const block = blockOf(account, "block");
      await block.tell(NEVER);
      expect(block.holds).toBe("blocked");
    }
    expect(account).toMatchObject({ writes: 1, content: { default_action: "block", "org.example.more": 1 } });
  });

  test("is asked to take them again when the setting changes, also after a start", async () => {
    const account = new Account();
    const block = blockOf(account, "block");
    await block.tell(NEVER);
    block.choose("decline");
    await block.tell(NEVER);
    expect([account.content, block.holds]).toEqual([{}, "declined"]);
    account.content = { default_action: "block" };
    const later = blockOf(account, "keep");
    await later.tell(NEVER);
    expect([account.content, later.holds]).toEqual([{}, "kept"]);
  });

  test("that was never asked is not written to", async () => {
    const account = new Account();
    await blockOf(account, "decline").tell(NEVER);
    expect(account).toMatchObject({ writes: 0, content: null });
  });

  test("that does not know how is not written to, and what it lets through is declined", async () => {
    const account = new Account(false);
    const block = blockOf(account, "block");
    await block.tell(NEVER);
    expect([account.writes, block.holds]).toEqual([0, "declined"]);
  });

  test("that is not there is asked again", async () => {
    const account = new Account();
    account.isThere = false;
    const clock = new ManualClock();
    const block = blockOf(account, "block", clock);
    const told = block.tell(NEVER);
    await clock.advance(60_000);
    expect(block.holds).toBe("declined");
    account.isThere = true;
    await clock.advance(60_000);
    await told;
    expect(block.holds).toBe("blocked");
  });
});

test.each<[JsonObject, boolean]>([
  [{ versions: ["v1.1", "v1.17"] }, false],
  [{ versions: ["v1.18"] }, true],
  [{ versions: ["v1.1", "v1.20"] }, true],
  [{ versions: ["v2.0"] }, true],
  [{ versions: ["r0.6.1"] }, false],
  [{ versions: ["v1.11"], unstable_features: { "org.matrix.msc4380.stable": true } }, true],
  [{ versions: ["v1.11"], unstable_features: { "org.matrix.msc4380.stable": false } }, false],
  [{ versions: "v1.18" }, false],
  [{}, false],
])("a homeserver of versions %j goes by m.invite_permission_config: %s", (versions, knows) => {
  expect(knowsInvitePermission(versions)).toBe(knows);
});
