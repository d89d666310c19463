import type { LinksPage } from "../../../src/peek/homeserver/room-links.ts";
import type { Link } from "../../../src/model/event-links.ts";
import type { RoomId } from "../../../src/model/ids.ts";

/** One event of a room, whether the homeserver has it or not. */
export interface Node extends Link {
  readonly roomId: RoomId;
  /** When the homeserver got it: it rises with what comes live, and falls with what is fetched later; null where it has not got it. */
  order: number | null;
  /** Of somebody whom the user ignores. */
  readonly isIgnored: boolean;
}

/** Rooms' events as they hang together, those among them that the homeserver missed while federation was cut. */
export class Graph {
  readonly nodes = new Map<string, Node>();
  /** Whether other servers still give what was missed. */
  canFill = false;
  /** Events that no other hangs on, as the homeserver knows them; and as the other servers do, where it misses some. */
  readonly #heads = new Map<RoomId, string[]>();
  readonly #beyond = new Map<RoomId, string>();
  #fetched = 0;

  /** An event that comes live. @param manner `cut` for one of our own server during an outage, `fork` for one that hangs on an older event */
  live(roomId: RoomId, eventId: string, order: number, manner: "plain" | "cut" | "fork" | "ignored" = "plain"): void {
    const heads = this.#heads.get(roomId) ?? [];
    const beyond = this.#beyond.get(roomId);
    const older = this.of(roomId).findLast((node) => node.order !== null && !heads.includes(node.eventId));
    if (manner === "fork" && older !== undefined) {
      this.#add(roomId, eventId, order, [older.eventId], false);
      this.#heads.set(roomId, [...heads, eventId]);
      return;
    }
    const isWhole = manner !== "cut" && beyond !== undefined;
    this.#add(roomId, eventId, order, isWhole ? [...heads, beyond] : heads, manner === "ignored");
    this.#heads.set(roomId, [eventId]);
    if (isWhole) this.#beyond.delete(roomId);
  }

  /** An event that other servers have, and the homeserver does not get. */
  miss(roomId: RoomId, eventId: string): void {
    const beyond = this.#beyond.get(roomId);
    this.#add(roomId, eventId, null, beyond === undefined ? (this.#heads.get(roomId) ?? []) : [beyond], false);
    this.#beyond.set(roomId, eventId);
  }

  of(roomId: RoomId): Node[] {
    return [...this.nodes.values()].filter((node) => node.roomId === roomId);
  }

  /** What the homeserver has up to a position of its stream, or of its list by depth, by depth, newest first. */
  before(roomId: RoomId, from: string, shown: number): Node[] {
    const has = this.of(roomId).filter(({ order }) => order !== null && order <= shown);
    return has.filter((node) => isBefore(node, from)).sort((a, b) => b.depth - a.depth || orderOf(b) - orderOf(a));
  }

  page(roomId: RoomId, span: { from: string; to?: string; limit: number }, shown: number): LinksPage {
    const { to } = span;
    const list = (): Node[] =>
      this.before(roomId, span.from, shown)
        .filter((node) => to === undefined || !isBefore(node, to))
        .slice(0, span.limit);
    if (this.canFill && span.to === undefined) this.#fill(list());
    const links = list();
    const last = links.at(-1);
    return { links, end: last === undefined ? null : below(last) };
  }

  /** The event and all that it hangs on. */
  ancestors(eventIds: readonly string[]): ReadonlySet<string> {
    const open = [...eventIds];
    const found = new Set<string>();
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (found.has(id)) continue;
      found.add(id);
      open.push(...(this.nodes.get(id)?.prev ?? []));
    }
    return found;
  }

  /** All at once, where one that stands in the list hangs on one that is missing. */
  #fill(list: readonly Node[]): void {
    for (const eventId of [...this.ancestors(list.map(({ eventId }) => eventId))].reverse()) {
      const node = this.nodes.get(eventId);
      if (node?.order === null) node.order = -(this.#fetched += 1);
    }
  }

  #add(roomId: RoomId, eventId: string, order: number | null, prev: readonly string[], isIgnored: boolean): void {
    const depth = 1 + Math.max(0, ...prev.map((id) => this.nodes.get(id)?.depth ?? 0));
    this.nodes.set(eventId, { roomId, eventId, order, prev, depth, isIgnored });
  }
}

/** The position right before an event in a list by depth. */
export function below({ depth, order }: Node): string {
  return `t${depth}:${(order ?? 0) - 1}`;
}

function orderOf({ order }: Node): number {
  return order ?? NaN;
}

function isBefore(node: Node, from: string): boolean {
  const order = orderOf(node);
  if (from.startsWith("s")) return order <= Number(from.slice(1));
  const [depth = 0, at = 0] = from.slice(1).split(":").map(Number);
  return node.depth < depth || (node.depth === depth && order <= at);
}
