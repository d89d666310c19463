import { neutral } from "../text.ts";
import type { Finding, Level } from "./finding.ts";

const LEVELS: readonly Level[] = ["failure", "warning", "skipped", "ok"];
const MARKS: Readonly<Record<Level, string>> = { ok: "ok", warning: "WARNING", failure: "FAILURE", skipped: "skipped" };
const MARK_WIDTH = 9;

/** Formats findings: one line for `ok` and `skipped`, a paragraph for a problem. */
export function report(findings: readonly Finding[]): string {
  const widest = Math.max(...findings.map(({ check }) => check.length));
  return findings.map((finding) => paragraph(finding, widest)).join("\n");
}

function paragraph(finding: Finding, widest: number): string {
  const { level, check, what, why, do: remedy, read } = finding;
  const head = `${MARKS[level].padEnd(MARK_WIDTH)}${check.padEnd(widest)}  `;
  if (level === "ok") return `${head}${lines(what)}`;
  if (level === "skipped") return `${head}${lines(why ?? what)}`;
  const rest = [
    ["Probably why", why],
    ["Do", remedy],
    ["Read", read],
  ].map(([name, text]) => `${" ".repeat(MARK_WIDTH)}${name ?? ""}: ${lines(text ?? "")}`);
  return [`${head}${lines(what)}`, ...rest].join("\n");
}

/** Keeps the lines of a list of mistakes in the configuration; escapes everything else that acts on a terminal. */
function lines(text: string): string {
  return text
    .split("\n")
    .map(neutral)
    .join(`\n${" ".repeat(MARK_WIDTH)}`);
}

/** `2 failures, 1 skipped, 13 ok`. */
export function summary(findings: readonly Finding[]): string {
  const counts = LEVELS.map((level) => ({ level, count: findings.filter((one) => one.level === level).length }));
  return counts
    .filter(({ count }) => count > 0)
    .map(({ level, count }) => `${count} ${level === "ok" || level === "skipped" || count === 1 ? level : `${level}s`}`)
    .join(", ");
}
