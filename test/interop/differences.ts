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
  /** Set where the moment decides whether it differs at all: such a row is never idle. */
  readonly byChance?: true;
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
    programs: APPSERVICES,
    place: /^the program of /,
    line: new RegExp(`^\\w+ m\\.room\\.member of (?:${GHOST}|@BOT) `),
    becomes: null,
  },
  {
    what: "a user that was given no name has none",
    why: "A Synapse names an account after its localpart; a tenant's users have the profile that the tenant sets.",
    programs: ["plainbot"],
    place: /^the program of cellar$/,
    line: /^(echo m\.room\.member of @BOT \{)"displayname":"plainbot2-bot",("membership":"join"\})$/,
    becomes: "$1$2",
  },
  {
    what: "a change of its own name is no event to a program",
    why: "A tenant's user is a member of no room; its profile goes with what it says.",
    programs: ["plainbot"],
    place: /^the program of cellar$/,
    line: /^echo m\.room\.member of @BOT \{.*"displayname":"(?:Anna|Ben)","membership":"join"\}$/,
    becomes: null,
  },
  {
    what: "two ghosts with the same reaction are one reaction",
    why: "A homeserver lets the one sender react once; the second is told to tenants, and so is its end (decision 0027).",
    programs: APPSERVICES,
    place: / in cellar$/,
    line: /^@\w+_ben:OURS (?:“.*?” )?(?:m\.reaction|m\.room\.redaction of \$m\.reaction) /,
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
    what: "a room is not left while a ghost is in it",
    why: "The bridge leaves, and its ghost stays, at a Synapse, too; the pseudouser is there for both.",
    programs: ["heisenbridge"],
    place: /^alice in (?:carol|david) \(/,
    line: /^@BOT leave @BOT$/,
    becomes: null,
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
    what: "a bot does not answer old messages again when it is started",
    why: "It asks for the full state since where it was; a Synapse sends the timeline from before that, too, which the specification has limited by `since`.",
    programs: ["simplematrixbotlib"],
    place: / in /,
    line: /^@BOT m\.text "again: /,
    becomes: null,
  },
  {
    what: "who is no person is said in rooms that it makes",
    why: "Clients that know io.element.functional_members name a room after the people in it. One that was read while it was being made is left as it is.",
    programs: [...APPSERVICES, "plainbot", "heisenbridge"],
    line: /^(?:heard io\.element\.functional_members of @:OURS|@BOT io\.element\.functional_members \[\]) \{"service_members":\["[^"]+"\]\}$/,
    becomes: ADDED,
    byChance: true,
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
    .filter(({ byChance }) => byChance !== true)
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
