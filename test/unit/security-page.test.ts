/** The security page names the test for each threat. It is checked here that none of these was renamed or taken away. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { KINDS } from "../support/onlooker.ts";

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/security.md", root), "utf8");
const [threats = "", proofs = ""] = page.split("### Threat by threat");

/** The rows of all tables with this heading, as the texts of their cells. */
function rowsUnder(text: string, heading: string): string[][] {
  const tables = text.split("\n\n").filter((part) => part.startsWith(heading));
  return tables.flatMap((table) =>
    table
      .trim()
      .split("\n")
      .slice(2)
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  );
}

test("every kind of request that may bear a name has its row, with what becomes of it", () => {
  const rows = rowsUnder(threats, "| request | what happens | why |");
  expect(rows.map(([title]) => title)).toEqual(KINDS.map(({ title }) => title));
  for (const [at, [, happens = ""]] of rows.entries()) {
    const begins = { quiet: "names nobody", refused: "refused", named: "**names the user**" }[
      KINDS[at]?.outcome ?? "quiet"
    ];
    expect(happens.startsWith(begins), happens).toBe(true);
  }
});

const ROWS = rowsUnder(proofs, "| threat | shown by |").map(([threat = "", shown = ""]) => {
  const [, file = "", title = ""] = /^`(test\/[\w/.-]+\.test\.ts)` › (.+)$/.exec(shown) ?? [];
  return { threat, shown, file, title };
});

describe("each threat is shown to be met", () => {
  test("by a test, for every line of the tables", () => {
    const named = rowsUnder(threats, "| threat | what is done | to turn |").map(([threat]) => threat);
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((threat) => !ROWS.some((row) => row.threat === threat))).toEqual([]);
  });

  test.each(ROWS)("$threat: $shown", ({ file, title }) => {
    expect([file, file !== "" && existsSync(new URL(file, root))]).toEqual([file, true]);
    const source = readFileSync(new URL(file, root), "utf8");
    // As a title stands: the whole of a string.
    expect(
      [`"${title}"`, `\`${title}\``].some((text) => source.includes(text)),
      title,
    ).toBe(true);
  });
});
