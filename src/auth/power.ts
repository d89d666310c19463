import { isFields, own } from "./json.ts";
import type { AuthState, StateEvent } from "./state.ts";
import { isUserId } from "./user-id.ts";

/** The power levels that the membership rules need. */
export interface Power {
  ofUser(userId: string): number;
  toInvite: number;
  toKick: number;
  toBan: number;
}

/** Returns the creators, with infinite power since version 12 (MSC4289). Null if the create event is invalid (1.4). */
export function creatorsOf(create: StateEvent): ReadonlySet<string> | null {
  const additional = Object.hasOwn(create.content, "additional_creators") ? create.content["additional_creators"] : [];
  if (!Array.isArray(additional) || !additional.every(isUserId)) return null;
  return new Set([create.sender, ...additional]);
}

/** Reads the power levels. Returns null if they are invalid (rules 10.1 and 10.3). */
export function readPower(state: AuthState, creators: ReadonlySet<string>): Power | null {
  const content = state.get("m.room.power_levels", "")?.content ?? {};
  const users = Object.hasOwn(content, "users") ? content["users"] : {};
  if (!isFields(users) || !Object.values(users).every(Number.isSafeInteger)) return null;

  const level = (name: string, otherwise: number): unknown =>
    Object.hasOwn(content, name) ? content[name] : otherwise;
  const [byDefault, toInvite] = [level("users_default", 0), level("invite", 0)];
  const [toKick, toBan] = [level("kick", 50), level("ban", 50)];
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
