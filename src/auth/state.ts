import { isFields, own, type Fields } from "./json.ts";

/** The fields of a state event that authorization reads. */
export interface StateEvent {
  readonly sender: string;
  readonly content: Fields;
}

/** The state by which an event is judged. */
export interface AuthState {
  get(type: string, stateKey: string): StateEvent | undefined;
}

/**
 * Reads the state by which an event is judged. Returns null if it cannot be a room's state: it has an entry that is no
 * state event, or two entries for one type and state key (rules 3.1 and 3.3).
 */
export function readState(events: readonly unknown[]): AuthState | null {
  // Nested, since types and state keys may be any text: no separator is safe.
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

/** Returns a user's membership; null if the state has none, or if it is no string. */
export function membershipOf(state: AuthState, userId: string): string | null {
  const member = state.get("m.room.member", userId);
  const membership = member && own(member.content, "membership");
  return typeof membership === "string" ? membership : null;
}

export function isJoinedOrInvited(state: AuthState, userId: string): boolean {
  const membership = membershipOf(state, userId);
  return membership === "join" || membership === "invite";
}

/** Returns the room's join rule, or `invite` if it has none. A value that is no string matches no rule. */
export function joinRuleOf(state: AuthState): unknown {
  const rules = state.get("m.room.join_rules", "");
  if (rules === undefined || !Object.hasOwn(rules.content, "join_rule")) return "invite";
  return own(rules.content, "join_rule");
}
