import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileExpression, faultInExpression, MAX_EXPRESSION } from "../../src/platform/expressions.ts";

function matches(regex: string, text: string): boolean {
  const compiled = compileExpression(regex);
  if ("fault" in compiled) throw new Error(`${regex} ${compiled.fault}`);
  return compiled.expression.matches(text);
}

/** As homeservers match: Python's re.match, and JavaScript with ^. */
describe("an expression matches as in a homeserver", () => {
  test.each<[string, string, boolean]>([
    ["@telegram_.*", "@telegram_cat:ours.example", true],
    ["@telegram_", "@telegram_cat:ours.example", true],
    ["@telegram_", "@x@telegram_cat:ours.example", false],
    ["@telegram_.*:ours\\.example", "@telegram_cat:oursXexample", false],
    ["@(irc|xmpp)_[a-z0-9._=/-]+:ours\\.example$", "@xmpp_a.b/c:ours.example", true],
    ["@(irc|xmpp)_[a-z0-9._=/-]+:ours\\.example$", "@xmpp_A:ours.example", false],
    ["^@irc_.*|@xmpp_", "@xmpp_x:ours.example", true],
    ["@irc_|@xmpp_", "x@xmpp_x:ours.example", false],
    ["(?i)@IRC_", "@irc_x:ours.example", true],
    ["@\\_irc\\-x\\:", "@_irc-x:ours.example", true],
    ["@(?<who>[^:]+):", "@who:ours.example", true],
    ["@ü.*", "@ürgen:ours.example", true],
    ["", "@anybody:ours.example", true],
  ])("%s on %s: %s", (regex, text, wanted) => {
    expect(matches(regex, text)).toBe(wanted);
    expect(new RegExp(`^(?:${regex.replace("(?i)", "")})`, regex.startsWith("(?i)") ? "i" : "").test(text)).toBe(
      wanted,
    );
  });

  test("as JavaScript has it, for whatever is written with what they share", () => {
    const part = fc.oneof(
      fc.constantFrom("a", "b", "@", ":", ".", "[ab]", "[^a]", "\\.", "(?:ab|b)", "^", "$"),
      fc.constantFrom("a*", "b+", ".?", "(?:a|b)*", "[ab]{1,3}", ".*?"),
    );
    const regex = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
    const text = fc.string({ unit: fc.constantFrom("a", "b", "@", ":", "."), maxLength: 12 });
    fc.assert(
      fc.property(regex, text, (written, given) => {
        expect(matches(written, given)).toBe(new RegExp(`^(?:${written})`).test(given));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what can take longer than anybody waits", () => {
  const text = `@${"a".repeat(240)}!:x.org`;
  test.each(["@(a+)+:.*", "@(a|a)*:y", "@(a|aa)+$", "@(.*)*:y", "@(.*a){20}:y", "@([a-z]+)*:y", "(((@a*)*)*)*:y"])(
    "%s is answered at once",
    (regex) => {
      expect(matches(regex, text)).toBe(matches(regex, `@${"a".repeat(20)}!:x.org`));
    },
  );

  test.each<[string, RegExp]>([
    ["@_(?!admin).*", /^looks around \(\(\?!…\), .*write it without$/],
    ["@_(?=x)", /^looks around/],
    ["(?<=@)x", /^looks around/],
    ["(?<!@)x", /^looks around/],
    ["@(a)\\1", /^refers back .*\(\\1\).*write it without$/],
    ["@(?<n>a)\\k<n>", /^refers back/],
    ["@[", /^is no regular expression \(missing closing \]/],
    ["a)(b", /^is no regular expression/],
    ["@\\Z", /^is no regular expression \(invalid escape sequence: `\\Z`\)$/],
    ["@.{5000}", /^is no regular expression \(invalid repeat count/],
    ["(.{100}){100}", /^is (?:no regular expression|too large)/],
    [".{900}", /^is too large: its repetitions unfold to more than 500 steps$/],
    ["(".repeat(500) + ")".repeat(500), /^is /],
    ["a".repeat(MAX_EXPRESSION + 1), /^is longer than 1,000 characters$/],
  ])("%s is refused by name", (regex, wanted) => {
    expect(faultInExpression(regex)).toMatch(wanted);
  });

  test("nothing that is written makes it fail in another way", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 40 }),
        fc.string({ unit: "binary", maxLength: 40 }),
        (regex, given) => {
          const compiled = compileExpression(regex);
          if ("expression" in compiled) expect(typeof compiled.expression.matches(given)).toBe("boolean");
          else expect(compiled.fault).toMatch(/^(?:is|looks|refers) /);
        },
      ),
      { numRuns: 400 },
    );
  });
});
