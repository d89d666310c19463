import type { RoomEvent } from "../../model/event.ts";
import type { UserId } from "../../model/ids.ts";
import { stringAt, type JsonObject } from "../../model/json.ts";
import type { PersonaInRoom } from "../../model/persona.ts";

/** Members that name a room without a name of its own (spec, CS API, "m.heroes"). */
export const HEROES = 5;

/** A room's members as the tenant sees them: with its own users, without the pseudouser. */
export interface Heads {
  readonly joined: number;
  readonly invited: number;
  /** Others than the tenant's own user; five at most. */
  readonly heroes: readonly UserId[];
  readonly isNamed: boolean;
}

/** Returns a room's `summary`. Only rooms without a name of their own have heroes. */
export function summaryOf({ joined, invited, heroes, isNamed }: Heads): JsonObject {
  return {
    ...(isNamed ? {} : { "m.heroes": [...heroes] }),
    "m.joined_member_count": joined,
    "m.invited_member_count": invited,
  };
}

export class HeadCount {
  readonly #user: UserId;
  readonly #uncounted: ReadonlySet<string>;
  readonly #heroes: UserId[];
  readonly #left: UserId[] = [];
  #joined: number;
  #invited = 0;
  #isNamed = false;

  constructor(own: UserId, user: UserId, personas: readonly PersonaInRoom[]) {
    this.#user = user;
    this.#uncounted = new Set([own, ...personas.map(({ userId }) => userId)]);
    this.#joined = personas.length;
    this.#heroes = personas.flatMap(({ userId }) => (userId === user ? [] : [userId])).slice(0, HEROES);
  }

  /** Whether the tenant gets this member in another way, or not at all. */
  hides(member: string): boolean {
    return member === this.#user || this.#uncounted.has(member);
  }

  isHero(member: string): boolean {
    return this.#heroes.some((hero) => hero === member);
  }

  see({ type, state_key: key, content }: RoomEvent): void {
    if (type === "m.room.member") this.#seeMember(key as UserId, content["membership"]);
    if (key !== "") return;
    const named = type === "m.room.name" ? "name" : type === "m.room.canonical_alias" ? "alias" : null;
    if (named !== null && (stringAt(content, named) ?? "") !== "") this.#isNamed = true;
  }

  get summary(): JsonObject {
    // A room that all others have left is named by former members (spec, "Calculating the display name for a room").
    const heroes = this.#heroes.length > 0 ? this.#heroes : this.#left;
    return summaryOf({ joined: this.#joined, invited: this.#invited, heroes, isNamed: this.#isNamed });
  }

  #seeMember(user: UserId, membership: unknown): void {
    if (this.#uncounted.has(user)) return;
    const isThere = membership === "join" || membership === "invite";
    if (membership === "join") this.#joined += 1;
    if (membership === "invite") this.#invited += 1;
    const names = isThere ? this.#heroes : this.#left;
    if (user !== this.#user && names.length < HEROES) names.push(user);
  }
}
