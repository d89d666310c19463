import { describe, expect, test } from "vitest";
import { TokenChecks } from "../../../../src/peek/shared/token-checks.ts";
import type { UserId } from "../../../../src/model/ids.ts";
import { ManualClock } from "../../../support/clock.ts";

const DORA = "@dora:x" as UserId;
const NEVER = new AbortController().signal;

/** A homeserver that says whom somebody ignores, at once or when a test lets it. */
class Homeserver {
  ignored: readonly string[] = [];
  isKnown = true;
  questions = 0;
  answered: Promise<void> = Promise.resolve(undefined);

  async ignoredBy(): Promise<ReadonlySet<string> | null> {
    this.questions += 1;
    const said = this.isKnown ? new Set(this.ignored) : null;
    await this.answered;
    return said;
  }
}

function setUp() {
  const clock = new ManualClock();
  const homeserver = new Homeserver();
  const checks = new TokenChecks(() => homeserver.ignoredBy(), clock);
  const ask = (token = "token"): Promise<ReadonlySet<string> | null> => checks.ignoredBy(token, DORA, NEVER);
  return { clock, homeserver, checks, ask };
}

describe("what the homeserver said of a token", () => {
  test("is good for half a minute after it was asked", async () => {
    const { clock, homeserver, checks, ask } = setUp();
    await ask();
    await clock.advance(29_999);
    await ask();
    expect([homeserver.questions, checks.isProven("token")]).toEqual([1, true]);
    await clock.advance(1);
    expect(checks.isProven("token")).toBe(false);
    homeserver.isKnown = false;
    expect(await ask()).toBeNull();
    expect([homeserver.questions, checks.isProven("token")]).toEqual([2, false]);
  });

  test("is not good for another token of the same user", async () => {
    const { homeserver, checks, ask } = setUp();
    await ask();
    expect(checks.isProven("other")).toBe(false);
    await ask("other");
    expect(homeserver.questions).toBe(2);
  });

  const DOUBTS: readonly (readonly [what: string, doubt: (checks: TokenChecks) => void])[] = [
    ["the homeserver has something for the token", (checks) => checks.doubt("token")],
    ["the user writes whom to ignore", (checks) => checks.doubtUser(DORA)],
  ];

  test.each(DOUBTS)("is asked anew when %s", async (_what, doubt) => {
    const { homeserver, checks, ask } = setUp();
    await ask();
    homeserver.ignored = ["@carol:x"];
    doubt(checks);
    expect(await ask()).toEqual(new Set(["@carol:x"]));
  });

  test.each(DOUBTS)("is not kept where %s while it is asked", async (_what, doubt) => {
    const { homeserver, checks, ask } = setUp();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    homeserver.answered = promise;
    const under = ask();
    homeserver.ignored = ["@carol:x"];
    doubt(checks);
    resolve(undefined);
    await under;
    expect(await ask()).toEqual(new Set(["@carol:x"]));
  });

  test("is not kept where it is long", async () => {
    const { homeserver, ask } = setUp();
    homeserver.ignored = Array.from({ length: 51 }, (_, n) => `@${n}:x`);
    for (let n = 0; n < 3; n += 1) expect((await ask())?.size).toBe(51);
    expect(homeserver.questions).toBe(3);
  });
});
