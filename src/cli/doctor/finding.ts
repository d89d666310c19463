/** In order of gravity, except `skipped`, which says nothing either way. */
export type Level = "ok" | "warning" | "failure" | "skipped";

/** The result of one check. The keys are those of `--json`, and so part of the manual. */
export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** What is wrong; for `ok`, what was seen. */
  readonly what: string;
  /** The probable cause; for `skipped`, what the check lacked. Null for `ok`. */
  readonly why: string | null;
  readonly do: string | null;
  /** The place in the manual. */
  readonly read: string;
}

interface Problem {
  readonly what: string;
  readonly why: string;
  readonly do: string;
}

export function findingsOf(check: string) {
  const read = `docs/reference/doctor.md#${check}`;
  return {
    ok: (what: string): Finding => ({ check, level: "ok", what, why: null, do: null, read }),
    warning: (problem: Problem): Finding => ({ check, level: "warning", read, ...problem }),
    failure: (problem: Problem): Finding => ({ check, level: "failure", read, ...problem }),
    /** @param why a clause that begins small and ends without a full stop */
    skipped: (why: string): Finding => ({ check, level: "skipped", what: "not looked at", why, do: null, read }),
  };
}

export type Found = ReturnType<typeof findingsOf>;

/** Shortens another program's words inside our sentence: a proxy's HTML page would bury what matters. */
export function quoted(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return `“${line.length > 200 ? `${line.slice(0, 200)}…` : line}”`;
}
