import { isFields, own, type Fields } from "./json.ts";

/** A state event, as far as authorization looks at it. */
export interface StateEvent {
  readonly sender: string;
  readonly content: Fields;
}

/** The state that an event is judged by. */
export interface AuthState {
  get(type: string, stateKey: string): StateEvent | undefined;
}

/**
 * Reads the state that an event is judged by; null where it cannot be a room's state: an entry that is no state event, or two
 * entries for one place (rules 3.1 and 3.3).
 */
export function readState(events: readonly unknown[]): AuthState | null {
  // Nested, since any text may be a type or a state key, and so no text can part the two.
  const places = new Map<string, Map<string, StateEvent>>();
  for (const event of events) {
    if (!isFields(event)) return null;
    const [type, stateKey, sender] = [own(event, "type"), own(event, "state_key"), own(event, "sender")];
    const content = own(event, "content");
    if (typeof type !== "string" || typeof stateKey !== "string" || typeof sender !== "string") return null;
    if (!isFields(content)) return null;
    const ofType = places.get(type) ?? new Map<string, StateEvent>();
    if (ofType.has(stateKey)) return null;
    places.set(type, ofType.set(stateKey, { sender, content }));
  }
  return { get: (type, stateKey) => places.get(type)?.get(stateKey) };
}

/** A user's membership; null where the state has none, or none that is a string. */
export function membershipOf(state: AuthState, userId: string): string | null {
  const member = state.get("m.room.member", userId);
  const membership = member && own(member.content, "membership");
  return typeof membership === "string" ? membership : null;
}

/** Whether a user is in the room or may enter it at once. */
export function isJoinedOrInvited(state: AuthState, userId: string): boolean {
  const membership = membershipOf(state, userId);
  return membership === "join" || membership === "invite";
}

/** The room's join rule, `invite` where it has none. What is no string is handed on, and matches no rule. */
export function joinRuleOf(state: AuthState): unknown {
  const rules = state.get("m.room.join_rules", "");
  if (rules === undefined || !Object.hasOwn(rules.content, "join_rule")) return "invite";
  return own(rules.content, "join_rule");
}
