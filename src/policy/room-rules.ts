import { isRoomAlias, type RoomAlias, type RoomId } from "../model/ids.ts";
import { isOneAlias } from "./pins.ts";
import type { Pointers } from "./pointers.ts";
import type { Entity, PolicyRule, RuleMatch } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";

export interface RoomMatches {
  readonly matches: readonly RuleMatch[];
  /** Exceptions by an alias that concern the room and do not count, each with the reason. */
  readonly notExcepted: readonly string[];
}

/**
 * Finds the rules about a room. An alias that a room is asked for by, or claims, counts against the room. It counts in
 * the room's favour only if the directory agrees: anybody can claim an alias.
 */
export class RoomRules {
  readonly #rules: RuleBook;
  readonly #pointers: Pick<Pointers, "pointing">;

  constructor(rules: RuleBook, pointers: Pick<Pointers, "pointing">) {
    this.#rules = rules;
    this.#pointers = pointers;
  }

  /**
   * @param names aliases that somebody gives the room
   * @param isHeld whether we are in the room already: then an exception outlasts a short failure of the directory
   * @param asked the alias by which somebody asks for the room. Outside the room, any other alias is hearsay: it
   *   counts against the room, too, only if the directory agrees
   */
  async of(
    roomId: RoomId,
    names: readonly string[],
    isHeld: boolean,
    asked: string | null = null,
  ): Promise<RoomMatches> {
    const rules = this.#rules;
    const matches = rules.matches([{ kind: "room", text: roomId }]).slice();
    const notExcepted: string[] = [];
    // Exceptions that count if their alias points to the room.
    const candidates = rules.pinnedTo(roomId).map((rule) => ({ alias: rule.entity as RoomAlias, rule }));
    for (const name of new Set(names)) {
      const entity: Entity = { kind: "room", text: name };
      const rule = rules.ruleFor(entity);
      if (rule === null) continue;
      const denying = rule.verdict === "deny" ? rule : rules.denialOf(entity);
      if (denying !== null && (isHeld || name === asked || (await this.#isThere(name, roomId)))) {
        matches.push({ entity, rule: denying });
      }
      if (rule.verdict === "deny") continue;
      if (!isOneAlias(rule.entity) && isRoomAlias(name)) candidates.push({ alias: name, rule });
      else if (rule.pin !== roomId) notExcepted.push(`${rule.entity}: ${madeFor(rule)}`);
    }
    for (const { alias, rule } of candidates) {
      const pointing = await this.#pointers.pointing(alias, roomId, isHeld);
      // The room of a pin was checked when the exception was made. For a glob, only the directory knows the room.
      if (pointing === "there" || (pointing === "unknown" && isHeld && rule.pin === roomId)) {
        matches.push({ entity: { kind: "room", text: alias }, rule });
      } else {
        const why = pointing === "unknown" ? "it cannot be told now where it points" : "it does not point to this room";
        notExcepted.push(`${alias}: ${why}`);
      }
    }
    return { matches, notExcepted };
  }

  async #isThere(name: string, roomId: RoomId): Promise<boolean> {
    return isRoomAlias(name) && (await this.#pointers.pointing(name, roomId, false)) === "there";
  }

  /** Finds the rules about an invite. Names only count against the room, unverified, since anybody can invite. */
  async ofInvite(roomId: RoomId, names: readonly string[]): Promise<readonly RuleMatch[]> {
    const { matches } = await this.of(roomId, [], false);
    const denied = names.flatMap((text): RuleMatch[] => {
      const entity: Entity = { kind: "room", text };
      const rule = this.#rules.denialOf(entity);
      return rule === null ? [] : [{ entity, rule }];
    });
    return [...matches, ...denied];
  }
}

function madeFor({ pin }: PolicyRule): string {
  return pin === undefined ? "it is not known which room it was made for" : `it was made for ${pin}`;
}
