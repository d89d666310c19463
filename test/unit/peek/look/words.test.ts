import { describe, expect, test } from "vitest";
import type { Askers } from "../../../../src/peek/shared/contracts.ts";
import { AskersWords } from "../../../../src/peek/shared/words.ts";
import type { UserId } from "../../../../src/model/ids.ts";
import { ManualClock } from "../../../support/clock.ts";

const DORA = "@dora:x" as UserId;
const NEVER = new AbortController().signal;

/** A homeserver that says whom somebody ignores, at once or when a test lets it. */
class Homeserver implements Askers {
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
  const words = new AskersWords(homeserver, clock);
  const ask = (token = "token"): Promise<ReadonlySet<string> | null> => words.ignoredBy(token, DORA, NEVER);
  return { clock, homeserver, words, ask };
}

describe("what the homeserver said of a token", () => {
  test("is good for half a minute after it was asked", async () => {
    const { clock, homeserver, words, ask } = setUp();
    await ask();
    await clock.advance(29_999);
    await ask();
    expect([homeserver.questions, words.isProven("token")]).toEqual([1, true]);
    await clock.advance(1);
    expect(words.isProven("token")).toBe(false);
    homeserver.isKnown = false;
    expect(await ask()).toBeNull();
    expect([homeserver.questions, words.isProven("token")]).toEqual([2, false]);
  });

  test("is not good for another token of the same user", async () => {
    const { homeserver, words, ask } = setUp();
    await ask();
    expect(words.isProven("other")).toBe(false);
    await ask("other");
    expect(homeserver.questions).toBe(2);
  });

  const DOUBTS: readonly (readonly [what: string, doubt: (words: AskersWords) => void])[] = [
    ["the homeserver has something for the token", (words) => words.doubt("token")],
    ["the user writes whom to ignore", (words) => words.doubtUser(DORA)],
  ];

  test.each(DOUBTS)("is asked anew when %s", async (_what, doubt) => {
    const { homeserver, words, ask } = setUp();
    await ask();
    homeserver.ignored = ["@carol:x"];
    doubt(words);
    expect(await ask()).toEqual(new Set(["@carol:x"]));
  });

  test.each(DOUBTS)("is not kept where %s while it is asked", async (_what, doubt) => {
    const { homeserver, words, ask } = setUp();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    homeserver.answered = promise;
    const under = ask();
    homeserver.ignored = ["@carol:x"];
    doubt(words);
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
