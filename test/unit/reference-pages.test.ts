import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { actPage } from "../../scripts/act-page.ts";
import { configPage } from "../../scripts/config-page.ts";
import { boundsPage } from "../../scripts/bounds-page.ts";
import { BOUNDS } from "../../scripts/bounds.ts";
import { constantOf } from "../../scripts/constants.ts";
import { adminPage } from "../../scripts/admin-page.ts";
import { peekPage } from "../../scripts/peek-page.ts";
import { CLIENT_V3 } from "../../src/http/client-paths.ts";
import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { PEEK_ENDPOINTS } from "../../src/peek/routes.ts";
import { LARGEST } from "../../src/tenants/delivery/piece.ts";
import { MOST_STEPS } from "../../src/policy/glob-index.ts";
import { ERROR_CODES } from "../../src/model/errors.ts";
import { LEASE_ENDS } from "../../src/model/lease.ts";
import { VERDICT_CODES } from "../../src/model/verdict.ts";
import { MATRIX_ERRORS } from "../../src/http/matrix-errors.ts";
import { makeMetrics } from "../../src/platform/metrics.ts";

const root = new URL("../../", import.meta.url);
const page = (name: string): string => readFileSync(new URL(`docs/reference/${name}.md`, root), "utf8");

/** The rows of a page's tables, as the texts of their cells. */
function rowsOf(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|") && !line.startsWith("|---"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.replaceAll("`", "").trim()),
    );
}

const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

/** All TypeScript files, from src on. */
function files(): string[] {
  const all = readdirSync(new URL("src/", root), { recursive: true, encoding: "utf8" });
  return all.filter((file) => file.endsWith(".ts")).map((file) => file.replaceAll("\\", "/"));
}

/** All TypeScript files below src, as one text. */
function source(): string {
  return files()
    .map((file) => read(`src/${file}`))
    .join("\n");
}

/** Constants of the daemon that bound something, by their names. */
const BOUND =
  /^(?:export )?const ((?:MAX|MOST)_[A-Z_]+|[A-Z_]*(?:LIMIT|KEPT|REMEMBERED|_BYTES)) = (?:[\d_.* +-]+|[A-Z_]+ [-+*] [\d_]+);/gm;
/** Named so, and no bounds: lengths of hashes and names, and what another bound says. */
const NO_BOUNDS: ReadonlySet<string> = new Set([
  "src/admin/handlers.ts MAX_BODY",
  "src/ledger/comparing/timelines.ts REMEMBERED",
  "src/ledger/store/openings.ts NAME_BYTES",
  "src/peek/msc2753/token.ts MAX_PLAIN",
  "src/policy/policy-list.ts HASH_BYTES",
]);

describe("the reference pages say what the code does", () => {
  it("errors: every code with its status and errcode, and none besides", () => {
    const rows = rowsOf(page("errors")).filter(([, status]) => /^\d{3}$/.test(status ?? ""));
    expect(rows.map(([code, status, errcode]) => [code, Number(status), errcode])).toEqual(
      ERROR_CODES.map((code) => [code, ...MATRIX_ERRORS[code]]),
    );
  });

  it.each([
    ["verdicts", VERDICT_CODES],
    ["lease ends", LEASE_ENDS],
  ])("errors: all %s", (_what, codes) => {
    const first = rowsOf(page("errors")).map(([cell]) => cell);
    expect(first).toEqual(expect.arrayContaining([...codes]));
  });

  it("act-api: every endpoint, as generated (npm run sample)", () => {
    expect(actPage(page("act-api"), ENDPOINTS)).toBe(page("act-api"));
  });

  it("bounds: every table, as generated (npm run sample)", () => {
    expect(boundsPage(page("bounds"))).toBe(page("bounds"));
  });

  it("bounds: no bound stands twice", () => {
    const names = Object.values(BOUNDS).flatMap((rows) => rows.map(([what, file]) => `${what} ${file}`));
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  it("bounds: every constant that is named like one has a row", () => {
    const listed = Object.values(BOUNDS).flatMap((rows) =>
      rows.flatMap(([, file, bound]) => [...bound.matchAll(/\{([A-Z_]+)/g)].map(([, name]) => `${file} ${name ?? ""}`)),
    );
    const named = files()
      .filter((file) => !/^(bridge|cli)\//.test(file))
      .flatMap((file) => [...read(`src/${file}`).matchAll(BOUND)].map(([, name]) => `src/${file} ${name ?? ""}`));
    expect(named.length).toBeGreaterThan(100);
    expect(named.filter((name) => !listed.includes(name) && !NO_BOUNDS.has(name))).toEqual([]);
  });

  it("bounds: a constant is read with its parts, and what is none is named", () => {
    expect(constantOf("src/tenants/delivery/piece.ts", "LARGEST.bytes")).toBe(LARGEST.bytes);
    expect(constantOf("src/policy/glob-index.ts", "MOST_STEPS.byGram")).toBe(MOST_STEPS.byGram);
    expect(() => constantOf("src/policy/glob-index.ts", "NONE")).toThrow("has no constant NONE");
    expect(() => constantOf("src/policy/glob-index.ts", "MOST_STEPS.none")).toThrow("no part none");
    expect(() => constantOf("src/policy/glob-index.ts", "MOST_STEPS")).toThrow("not made of numbers");
  });

  it("act-api: no endpoint stands twice", () => {
    const names = ENDPOINTS.flatMap(({ method, path, under }) =>
      (under ?? CLIENT_V3).map((prefix) => `${method} ${prefix}${path}`),
    );
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  it("peek-api: every endpoint, as generated (npm run sample)", () => {
    expect(peekPage(page("peek-api"), PEEK_ENDPOINTS)).toBe(page("peek-api"));
  });

  it("peek-api: no endpoint stands twice", () => {
    const names = PEEK_ENDPOINTS.flatMap(({ method, path, under }) =>
      under.map((prefix) => `${method} ${prefix}${path}`),
    );
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  it("admin-api: every endpoint with what it takes and answers, as generated (npm run sample)", () => {
    expect(adminPage(page("admin-api"))).toBe(page("admin-api"));
  });

  it("metrics: every metric of ours", async () => {
    const ours = (await makeMetrics().registry.getMetricsAsJSON()).map(({ name }) => name);
    const written = rowsOf(page("metrics")).map(([name]) => name);
    expect(written.filter((name) => name?.startsWith("emissary_"))).toEqual(
      ours.filter((name) => name.startsWith("emissary_")),
    );
  });

  it("config: every key, as generated (npm run sample)", () => {
    expect(configPage(page("config"))).toBe(page("config"));
  });

  it("log: every entry that is written somewhere, and none besides", () => {
    const used = [...source().matchAll(/log\.(?:error|warn|info|debug)\(\s*"([a-z.-]+)"/g)].map(
      ([, name]) => name ?? "",
    );
    const written = rowsOf(page("log"))
      .map(([, name]) => name ?? "")
      .filter((name) => name.includes("."));
    expect([...new Set(written)].sort()).toEqual([...new Set(used)].sort());
  });
});
