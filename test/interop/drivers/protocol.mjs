// @ts-check
/** What the drivers in JavaScript have in common: the protocol of ../driver.ts, on their side. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";

export const HOST = "127.0.0.1";

/** An image of one pixel, as a ghost's avatar. */
export const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

/** @type {{ homeserver: string, server: string, registration: string, port: number, state: string }} */
export const config = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));

/** @param {string} name */
export function stateFile(name) {
  return path.join(config.state, name);
}

/** @param {object} line */
function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * @param {boolean} isOwn whether the SDK's own means tell it to be of the bridge's own making
 * @param {Record<string, any>} event
 */
export function tellOf(isOwn, event) {
  const { event_id: id, type, sender, room_id: room, content = {} } = event;
  tell({ event: isOwn ? "echo" : "heard", id, type, sender, room, content });
}

/**
 * Says that the driver is there, and obeys until its input ends.
 * @param {Record<string, (command: any) => Promise<unknown>>} commands
 */
export function serve(commands) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, do: name, ...rest } = JSON.parse(line);
    try {
      const command = commands[name];
      if (command === undefined) throw new Error(`there is no command ${name}`);
      tell({ id, result: (await command(rest)) ?? null });
    } catch (error) {
      tell({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  lines.on("close", () => process.exit());
  tell({ event: "ready" });
}

/** @param {{ name: string, version: string | null, levels: Record<string, number> }} asked */
export function newRoom({ name, version, levels }) {
  return {
    preset: /** @type {const} */ ("public_chat"),
    room_alias_name: name,
    power_level_content_override: { users: levels },
    ...(version === null ? {} : { room_version: version }),
  };
}

/** @param {string} text */
export function textMessage(text) {
  return { msgtype: "m.text", body: text };
}

/** @param {string} eventId @param {string} text */
export function editMessage(eventId, text) {
  const content = textMessage(text);
  return {
    ...textMessage(`* ${text}`),
    "m.new_content": content,
    "m.relates_to": { rel_type: "m.replace", event_id: eventId },
  };
}

/** @param {string} eventId @param {string} key */
export function reaction(eventId, key) {
  return { "m.relates_to": { rel_type: "m.annotation", event_id: eventId, key } };
}
