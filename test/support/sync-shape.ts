import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";

/** Whose answers are compared, and of which room. */
export interface ShapeOf {
  readonly user: string;
  readonly roomId: string;
}

/** A line for each thing that an answer to `/sync` has: keys, which events stand where, and what these have. */
export function shapeOf(answer: Json, { user, roomId }: ShapeOf): Set<string> {
  const lines = new Set<string>();
  const rooms = objectIn(answer["rooms"]);
  for (const [key, value] of Object.entries(answer)) {
    if (key !== "rooms") lines.add(`${key}: ${typeof value}`);
  }
  for (const kind of ["join", "invite", "leave"]) {
    const room = objectIn(rooms[kind])[roomId];
    if (room === undefined) continue;
    for (const [part, value] of Object.entries(objectIn(room))) {
      lines.add(`${kind}.${part}`);
      for (const [key, inner] of Object.entries(objectIn(value))) {
        if (key !== "events") lines.add(`${kind}.${part}.${key}${typeof inner === "boolean" ? ` ${inner}` : ""}`);
      }
      const events = objectIn(value)["events"];
      for (const event of Array.isArray(events) ? events : [])
        addEvent(lines, `${kind}.${part}`, objectIn(event), user);
    }
  }
  return lines;
}

function addEvent(lines: Set<string>, where: string, event: Json, user: string): void {
  const type = String(event["type"]);
  const content = objectIn(event["content"]);
  const member = event["state_key"] === user ? "own" : "others'";
  const what = type === "m.room.member" ? `${type} (${member} ${String(content["membership"])})` : type;
  lines.add(`${where}: ${what}`);
  for (const key of Object.keys(event)) if (key !== "unsigned") lines.add(`${where}: events' ${key}`);
  for (const key of Object.keys(objectIn(event["unsigned"]))) lines.add(`${where}: ${what}: unsigned.${key}`);
}

/** What one answer has and the other has not. */
export function differences(ours: ReadonlySet<string>, theirs: ReadonlySet<string>): string[] {
  const more = [...ours].filter((line) => !theirs.has(line)).map((line) => `+ ${line}`);
  const less = [...theirs].filter((line) => !ours.has(line)).map((line) => `- ${line}`);
  return [...more, ...less].sort();
}

export async function syncAs(user: MatrixUser, query: Record<string, string | Json> = {}): Promise<Json> {
  const asked = Object.entries(query).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const { status, body } = await user.request(
    "GET",
    "/_matrix/client/v3/sync",
    Object.fromEntries(asked) as Record<string, string>,
  );
  if (status !== 200) throw new Error(`GET /sync as ${user.userId}: ${status} ${JSON.stringify(body)}`);
  return body;
}

function objectIn(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
