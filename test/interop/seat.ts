/** A person in Matrix who writes down what their client is given: invites, and the events of their rooms in order. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Json, MatrixUser, RoomEvent } from "../../homeservers/synapse/client.ts";
import { BOT, type Names } from "./names.ts";

type Stripped = { readonly type: string; readonly sender: string; readonly state_key: string; readonly content: Json };
type Answer = {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Record<string, { readonly timeline: { readonly events: RoomEvent[]; readonly limited?: boolean } }>;
    readonly invite?: Record<string, { readonly invite_state: { readonly events: Stripped[] } }>;
    readonly leave?: Record<string, { readonly timeline?: { readonly events: RoomEvent[] } }>;
  };
};
type Seen =
  | { readonly roomId: string; readonly event: RoomEvent }
  | { readonly roomId: string; readonly invite: readonly Stripped[] }
  | { readonly roomId: string; readonly note: string };

const HTML = "org.matrix.custom.html";
const FILTER = JSON.stringify({
  presence: { not_types: ["*"] },
  account_data: { not_types: ["*"] },
  room: { timeline: { limit: 200 }, account_data: { not_types: ["*"] }, ephemeral: { not_types: ["*"] } },
});

export class Seat {
  readonly user: MatrixUser;
  readonly name: string;
  readonly #names: Names;
  readonly #seen: Seen[] = [];
  readonly #stop = new AbortController();
  #reading: Promise<void> | null = null;

  constructor(name: string, user: MatrixUser, names: Names) {
    this.name = name;
    this.user = user;
    this.#names = names;
  }

  sitDown(): void {
    this.#reading = this.#read();
  }

  async standUp(): Promise<void> {
    this.#stop.abort();
    await this.#reading;
  }

  get count(): number {
    return this.#seen.length;
  }

  /** Something that this person notices beside the events, such as a refusal. */
  note(roomId: string, note: string): void {
    this.#seen.push({ roomId, note });
  }

  /** What was seen, by room. */
  lines(): Map<string, string[]> {
    for (const { roomId, ...seen } of this.#seen) {
      if ("invite" in seen) this.#names.nameRoom(roomId, nameIn(seen.invite) ?? "a room without a name");
    }
    const lines = new Map<string, string[]>();
    const shownAs = new Map<string, string>();
    for (const seen of this.#seen) {
      const room = this.#names.room(seen.roomId);
      lines.set(room, [...(lines.get(room) ?? []), ...this.#lines(seen, shownAs)]);
    }
    return lines;
  }

  #lines(seen: Seen, shownAs: Map<string, string>): readonly string[] {
    const names = this.#names;
    if ("note" in seen) return [names.text(seen.note)];
    if ("invite" in seen) {
      const own = seen.invite.find(({ type, state_key: key }) => type === "m.room.member" && key === this.user.userId);
      const direct = own?.content["is_direct"] === true ? ", as a direct chat" : "";
      return [`is invited by ${names.user(own?.sender ?? "nobody")}${direct}`];
    }
    const { event, roomId } = seen;
    const content = names.content(event);
    const key = event.state_key ?? "";
    if (event.type === "m.room.member") {
      const { membership, ...rest } = content;
      if (typeof rest["displayname"] === "string") shownAs.set(`${roomId} ${key}`, rest["displayname"]);
      // Whether the invited bot has been here before decides whether the inviter's server knows a name of it.
      if (membership === "invite" && names.user(key) === BOT) delete rest["displayname"];
      return [`${names.user(event.sender)} ${String(membership)} ${names.user(key)}${more(rest)}`];
    }
    const who = names.author(event, shownAs.get(`${roomId} ${event.sender}`));
    if (event.type === "m.room.message" && event.state_key === undefined) return says(who, content);
    const redacts = (event as { redacts?: string }).redacts;
    const of = redacts === undefined ? "" : ` of ${names.text(redacts)}`;
    return [`${who} ${event.type}${event.state_key === undefined ? "" : ` [${names.user(key)}]`}${of}${more(content)}`];
  }

  async #read(): Promise<void> {
    const { signal } = this.#stop;
    let since: string | undefined;
    while (!signal.aborted) {
      const url = new URL("/_matrix/client/v3/sync", this.user.homeserverUrl);
      url.searchParams.set("filter", FILTER);
      url.searchParams.set("timeout", "10000");
      if (since !== undefined) url.searchParams.set("since", since);
      try {
        const headers = { authorization: `Bearer ${this.user.accessToken}` };
        const response = await fetch(url, { headers, signal });
        const answer = (await response.json()) as Answer;
        if (!response.ok) throw new Error(JSON.stringify(answer));
        since = answer.next_batch;
        this.#take(answer);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#seen.push({ roomId: "", note: `cannot read: ${String(error)}` });
        await sleep(500);
      }
    }
  }

  #take({ rooms = {} }: Answer): void {
    for (const [roomId, { invite_state: state }] of Object.entries(rooms.invite ?? {})) {
      this.#seen.push({ roomId, invite: state.events });
    }
    for (const [roomId, room] of [...Object.entries(rooms.join ?? {}), ...Object.entries(rooms.leave ?? {})]) {
      for (const event of room.timeline?.events ?? []) {
        this.#names.noteEvent(event);
        this.#seen.push({ roomId, event });
      }
    }
  }
}

function nameIn(state: readonly Stripped[]): string | undefined {
  const name = state.find(({ type }) => type === "m.room.name")?.content["name"];
  return typeof name === "string" ? name : undefined;
}

/** A line each: software that says several things within a moment may send them in one message or in several. */
function says(who: string, { body, formatted_body: html, format, msgtype, ...rest }: Json): readonly string[] {
  const texts = typeof body === "string" ? body.split("\n") : [""];
  const htmls = typeof html === "string" ? html.split("<br>") : [];
  return texts.map((text, index) => {
    const formatted = htmls.length === texts.length ? htmls[index] : index === 0 ? html : undefined;
    const inner = {
      ...(formatted === undefined ? {} : format === HTML ? { html: formatted } : { format, html: formatted }),
      ...(index === 0 ? rest : {}),
    };
    return `${who} ${String(msgtype)} ${JSON.stringify(text)}${more(inner)}`;
  });
}

function more(rest: Json): string {
  return Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
}
