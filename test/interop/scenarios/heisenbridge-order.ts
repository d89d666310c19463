/** In which order heisenbridge does some things is not its own doing. */
import type { Record } from "../record.ts";

/** A room in what STATUS says, indented below its network. */
const IN_LIST = /^@BOT m\.notice "(?:&nbsp;){24}\S/;

/** The record without what the moment decides. */
export function settled(record: Record): Record {
  return Object.fromEntries(
    Object.entries(record).map(([place, lines]) => [place, withJoinFirst(withListsSorted(lines))]),
  );
}

/** Its list of rooms is in the order in which a server lists what a user is in, which is any. */
function withListsSorted(lines: readonly string[]): readonly string[] {
  const sorted: string[] = [];
  let list: string[] = [];
  for (const line of lines) {
    if (IN_LIST.test(line)) {
      list.push(line);
      continue;
    }
    sorted.push(...list.toSorted(), line);
    list = [];
  }
  return [...sorted, ...list.toSorted()];
}

/** When a room is whole into which she is invited she cannot see, so she may come while the bridge still greets her. */
function withJoinFirst(lines: readonly string[]): readonly string[] {
  const invite = lines.findIndex((line) => /^\S+ invite @alice:/.test(line));
  const join = lines.findIndex((line, at) => at > invite && /^@alice:OURS join @alice:/.test(line));
  if (invite === -1 || join === -1) return lines;
  const joined = lines[join] ?? "";
  return [...lines.slice(0, invite + 1), joined, ...lines.slice(invite + 1, join), ...lines.slice(join + 1)];
}
