import { isFields, isUserId, own, type Fields } from "./basics.ts";

/** The fields of a state event that authorization reads. */
export interface StateEvent {
  readonly sender: string;
  readonly content: Fields;
}

/** The state by which an event is judged. */
export interface AuthState {
  get(type: string, stateKey: string): StateEvent | undefined;
}

/** Reads the state by which an event is judged; null if it has no state event or two for a key (rules 3.1 and 3.3). */
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
  return own(state.get("m.room.join_rules", "")?.content ?? {}, "join_rule", "invite");
}

/** The power levels that the membership rules need. */
export interface Power {
  ofUser(userId: string): number;
  toInvite: number;
  toKick: number;
  toBan: number;
}

/** Returns the creators, with infinite power since version 12 (MSC4289). Null if the create event is invalid (1.4). */
export function creatorsOf(create: StateEvent): ReadonlySet<string> | null {
  const additional = own(create.content, "additional_creators", []);
  if (!Array.isArray(additional) || !additional.every(isUserId)) return null;
  return new Set([create.sender, ...additional]);
}

/** Reads the power levels. Returns null if they are invalid (rules 10.1 and 10.3). */
export function readPower(state: AuthState, creators: ReadonlySet<string>): Power | null {
  const content = state.get("m.room.power_levels", "")?.content ?? {};
  const users = own(content, "users", {});
  if (!isFields(users) || !Object.values(users).every(Number.isSafeInteger)) return null;

  const [byDefault, toInvite] = [own(content, "users_default", 0), own(content, "invite", 0)];
  const [toKick, toBan] = [own(content, "kick", 50), own(content, "ban", 50)];
  if (!isLevel(byDefault) || !isLevel(toInvite) || !isLevel(toKick) || !isLevel(toBan)) return null;

  const ofUser = (userId: string): number => {
    if (creators.has(userId)) return Infinity;
    const named = own(users, userId);
    return isLevel(named) ? named : byDefault;
  };
  return { ofUser, toInvite, toKick, toBan };
}

function isLevel(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
