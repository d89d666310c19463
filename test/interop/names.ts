/**
 * What a record calls things, so that two runs on different servers can be compared: servers, rooms and events have random names,
 * and the bot is another user under Emissary.
 */
import type { Json, RoomEvent } from "../../homeservers/synapse/client.ts";

const ON_BEHALF_OF = "org.matrix.msc1777.on_behalf_of";
const PERSONA = "org.matrix.msc1777.persona";
const PERSONA_LEVELS = "org.matrix.msc1777.persona_levels";
const PROFILE = "com.beeper.per_message_profile";
/** What says whose an event is, and is told as its author. */
const MARKS = new Set([ON_BEHALF_OF, PERSONA, PERSONA_LEVELS, PROFILE]);
const HTML_FALLBACK = /<strong data-mx-profile-fallback>.*?<\/strong>/;
/** The program itself, or who stands for it. */
export const BOT = "@BOT";

export interface Cast {
  /** Names of both servers. */
  readonly ours: string;
  readonly theirs: string;
  /** The program's own user. */
  readonly bot: string;
  /** The user that acts for it under Emissary. */
  readonly pseudouser: string | null;
  /** Further texts that differ between runs, such as ports. */
  readonly texts?: readonly (readonly [text: string | RegExp, name: string])[];
}

export class Names {
  readonly #cast: Cast;
  readonly #rooms = new Map<string, string>();
  readonly #events = new Map<string, string>();

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  /** A room that already has a name keeps it. */
  nameRoom(roomId: string, name: string): void {
    if (!this.#rooms.has(roomId)) this.#rooms.set(roomId, name);
  }

  roomNamed(name: string): string | undefined {
    return [...this.#rooms].find(([, known]) => known === name)?.[0];
  }

  room(roomId: string): string {
    return this.#rooms.get(roomId) ?? "a room without a name";
  }

  noteEvent(event: RoomEvent): void {
    const { body } = withoutFallback(event.content);
    this.nameEvent(event.event_id, typeof body === "string" ? JSON.stringify(body) : event.type);
  }

  nameEvent(eventId: string, name: string): void {
    this.#events.set(eventId, name);
  }

  /**
   * Who a client that knows per-message profiles (MSC4144) shows as the author.
   * @param shownAs the name that the room has for the sender
   */
  author(event: RoomEvent, shownAs: string | undefined): string {
    const profile = event.content[PROFILE] as { id?: string; displayname?: string } | undefined;
    const user = this.user(profile?.id ?? event.sender);
    const name = profile?.id === undefined ? shownAs : profile.displayname;
    return name === undefined || user === BOT ? user : `${user} “${name}”`;
  }

  /** A user as people see it, to whom the pseudouser is the bot. */
  user(userId: string): string {
    return userId === this.#cast.pseudouser ? BOT : this.text(userId);
  }

  /** The content as such a client shows it. */
  content(event: RoomEvent): Json {
    const { pseudouser } = this.#cast;
    const { body, formatted_body: html, ...rest } = withoutFallback(event.content);
    const users = (text: string): string => (pseudouser === null ? text : text.replaceAll(pseudouser, BOT));
    const shown = JSON.parse(this.text(users(JSON.stringify(sorted(rest))))) as Json;
    return {
      ...(typeof body === "string" ? { body: this.text(body) } : {}),
      ...(typeof html === "string" ? { formatted_body: this.text(html) } : {}),
      ...shown,
    };
  }

  /** What the program was told, of whose own users the pseudouser is none. */
  told(content: Json): string {
    return this.text(JSON.stringify(sorted(withoutNull(content))));
  }

  /** The names for whatever of random names is in a text. */
  text(text: string): string {
    const { ours, theirs, bot, texts = [] } = this.#cast;
    let out = text;
    for (const [roomId, name] of this.#rooms) out = out.replaceAll(roomId, `!${name}`);
    for (const [eventId, name] of this.#events) out = out.replaceAll(eventId, `$${name.replaceAll('"', "”")}`);
    out = out.replaceAll(bot, BOT).replaceAll(ours, "OURS").replaceAll(theirs, "THEIRS");
    for (const [found, name] of texts) out = out.replaceAll(found, name);
    return out.replaceAll(/mxc:\/\/(OURS|THEIRS)\/\w+/g, "mxc://$1/ID");
  }
}

/** Without the marks of whose it is, and the name before the text that is for other clients. */
function withoutFallback(content: Json): Json {
  const profile = content[PROFILE] as { displayname?: string; has_fallback?: boolean } | undefined;
  const name = profile?.has_fallback === true ? profile.displayname : undefined;
  const { body, formatted_body: html, "m.new_content": edited, ...rest } = content;
  const start = `${name ?? ""}: `;
  return withoutNull({
    ...Object.fromEntries(Object.entries(rest).filter(([key]) => !MARKS.has(key))),
    ...(typeof body === "string"
      ? { body: name !== undefined && body.startsWith(start) ? body.slice(start.length) : body }
      : {}),
    ...(typeof html === "string" ? { formatted_body: html.replace(HTML_FALLBACK, "") } : {}),
    ...(typeof edited === "object" && edited !== null ? { "m.new_content": withoutFallback(edited as Json) } : {}),
  });
}

/** To say that there is no picture is to say nothing of it. */
function withoutNull(content: Json): Json {
  return Object.fromEntries(Object.entries(content).filter(([, value]) => value !== null));
}

/** Objects whose keys have an order of their own on each server. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
