/** In growing order of gravity, except `skipped`, which says nothing either way. */
export type Level = "ok" | "warning" | "failure" | "skipped";

/** What one check found. The keys are those of `--json`: part of the manual. */
export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** What is wrong; for `ok`, what was seen. */
  readonly what: string;
  /** Probably why; for `skipped`, what the check lacked. Null for `ok`. */
  readonly why: string | null;
  readonly do: string | null;
  /** Where the manual says more. */
  readonly read: string;
}

interface Problem {
  readonly what: string;
  readonly why: string;
  readonly do: string;
}

/** The findings that one check can come to. */
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

/** Words of strangers inside our sentences: a page of HTML from a proxy would bury what matters. */
export function quoted(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return `“${line.length > 200 ? `${line.slice(0, 200)}…` : line}”`;
}
