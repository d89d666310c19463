/**
 * Where people see something else of a program under Emissary than of the same program at a Synapse, on purpose. Everything else
 * that differs is a fault, and so is a row here that no longer does.
 */
import type { Record } from "./record.ts";

export interface Difference {
  readonly what: string;
  readonly why: string;
  /** The programs of whose record it is a part. */
  readonly programs: readonly string[];
  /** Where the lines are seen; everywhere without it. */
  readonly place?: RegExp;
  /** The lines of the run with Synapse, or of the other that have no counterpart there … */
  readonly line: RegExp;
  /** … and what they are under Emissary; null: nothing; `added`: they are seen only there. */
  readonly becomes: string | null | typeof ADDED;
}

const ADDED = Symbol("seen under Emissary only");

const APPSERVICES = ["bridge", "botsdk", "mautrixpy", "mautrixgo"] as const;
/** A ghost of any of the programs, with its name. */
const GHOST = String.raw`@(?:irc|_\w+?)_\w+:OURS`;

export const DIFFERENCES: readonly Difference[] = [
  {
    what: "ghosts are no members",
    why: "That is what Emissary is for: the pseudouser alone is in the room (MSC1777).",
    programs: [...APPSERVICES, "heisenbridge"],
    place: / in /,
    line: new RegExp(`^\\S+ (invite|join|leave) ${GHOST}( |$)`),
    becomes: null,
  },
  {
    what: "a program is not told of joins of its own users",
    why: "There are none; what an SDK keeps of memberships it keeps when it asks for the join.",
    programs: [...APPSERVICES, "plainbot"],
    place: /^the program$/,
    line: new RegExp(`^\\w+ m\\.room\\.member of (?:${GHOST}|@BOT) `),
    becomes: null,
  },
  {
    what: "what is no message bears the server's name",
    why: "Per-message profiles (MSC4144) are for messages; whose reaction or topic it is, its mark says to tenants only.",
    programs: APPSERVICES,
    place: / in /,
    line: new RegExp(`^${GHOST}(?: “.*?”)? (m\\.reaction|m\\.room\\.redaction|m\\.room\\.topic)`),
    becomes: "@BOT $1",
  },
  {
    what: "a ghost's topic is set",
    why: "What a tenant may do is the operator's to say (room-state), with the pseudouser's power; a ghost without a level is refused at a Synapse.",
    programs: ["heisenbridge"],
    place: / in #/,
    line: /^@BOT m\.room\.topic \[\] \{"topic":"a (new )?topic/,
    becomes: ADDED,
  },
  {
    what: "a bot that is invited by its own ID has the pseudouser come, and goes",
    why: "Nobody but the pseudouser stays in a room; it can be invited only by somebody who is in.",
    programs: ["nio", "simplematrixbotlib", "heisenbridge"],
    place: / in /,
    line: /^@BOT (?:join @BOT \{"displayname":"_emissary_\w+"\}|invite @BOT( \{.*\})?|leave @BOT \{"reason":"Accepted: .*\})$/,
    becomes: ADDED,
  },
  {
    what: "a bot's own name and picture are not shown",
    why: "Without a persona it speaks as the pseudouser, whose name and picture are the operator's.",
    programs: ["plainbot"],
    place: / in /,
    line: /^@BOT join @BOT \{.*"displayname":"(?:Anna|Ben)"\}$/,
    becomes: null,
  },
  {
    what: "the member is called as the server is",
    why: "All tenants share the pseudouser, whose name and picture are the operator's.",
    programs: [...APPSERVICES, "plainbot", "nio", "simplematrixbotlib", "heisenbridge"],
    place: / in /,
    line: /^@BOT join @BOT( \{.*\})?$/,
    becomes: '@BOT join @BOT {"displayname":"OURS"}',
  },
  {
    what: "who is no person is said in rooms that it makes",
    why: "Clients that know io.element.functional_members name a room after the people in it.",
    programs: ["heisenbridge"],
    line: /^\S+ io\.element\.functional_members /,
    becomes: ADDED,
  },
];

/** The record of the run with Synapse as it is to be under Emissary. */
export function expected(record: Record, rows: readonly Difference[]): Record {
  return mapped(record, (place, line) => {
    let now = line;
    for (const { place: where = /./, line: found, becomes } of rows) {
      if (becomes === ADDED || !where.test(place) || !found.test(now)) continue;
      if (becomes === null) return null;
      now = now.replace(found, becomes);
    }
    return now;
  });
}

/** The record of the run with Emissary without what is on purpose seen there only. */
export function shared(record: Record, rows: readonly Difference[]): Record {
  const added = rows.filter(({ becomes }) => becomes === ADDED);
  return mapped(record, (place, line) =>
    added.some(({ place: where = /./, line: found }) => where.test(place) && found.test(line)) ? null : line,
  );
}

/** The rows that are for a program. */
export function differencesOf(program: string): readonly Difference[] {
  return DIFFERENCES.filter(({ programs }) => programs.includes(program));
}

/** The rows without which both records would be expected to be the same: what they name does not differ. */
export function idle(program: string, synapse: Record, emissary: Record): readonly string[] {
  const rows = differencesOf(program);
  const all = JSON.stringify([expected(synapse, rows), shared(emissary, rows)]);
  return rows
    .filter((row) => {
      const others = rows.filter((other) => other !== row);
      return JSON.stringify([expected(synapse, others), shared(emissary, others)]) === all;
    })
    .map(({ what }) => what);
}

function mapped(record: Record, change: (place: string, line: string) => string | null): Record {
  const places = Object.entries(record).map(([place, lines]): [string, string[]] => [
    place,
    lines.map((line) => change(place, line)).filter((line) => line !== null),
  ]);
  return Object.fromEntries(places.filter(([, lines]) => lines.length > 0));
}
