import { ON_BEHALF_OF } from "./attribution.ts";
import { isUserId, localpartOf, type TenantId, type UserId } from "./ids.ts";
import { isJsonObject, stringAt, without, type JsonObject } from "./json.ts";
import { answeredIn, escaped } from "./references.ts";

/** MSC4144's field, and its name after acceptance, which tenants may already send. */
export const MESSAGE_PROFILE = "com.beeper.per_message_profile";
const PROFILES = [MESSAGE_PROFILE, "m.per_message_profile"] as const;

const HTML = "org.matrix.custom.html";
const TEXTS: ReadonlySet<string> = new Set(["m.text", "m.notice", "m.emote"]);
const MEDIA: ReadonlySet<string> = new Set(["m.image", "m.file", "m.audio", "m.video"]);

const REPLY = "<mx-reply>";
const REPLY_END = "</mx-reply>";

/** Most bytes of a display name (MSC4144, "Field limits"). */
const MAX_NAME = 255;

/** A tenant's user as shown to others. Fields as in the spec's profiles; either may be missing. */
export interface Profile {
  readonly displayname: string | null;
  readonly avatarUrl: string | null;
}

/** The author that a message must show. */
export interface ShownAuthor {
  readonly tenant: TenantId;
  readonly user: UserId;
  readonly profile: Profile;
  /** Whether the user is one of the tenant's. */
  readonly isPersona: (userId: UserId) => boolean;
  /** Whether to put the name before the text, for clients without per-message profiles. */
  readonly fallback: boolean;
}

/** Returns whether a content may show another author: messages and stickers may (MSC4144). */
export function takesProfile(type: string, content: JsonObject): boolean {
  return type === "m.sticker" || (type === "m.room.message" && typeof content["msgtype"] === "string");
}

/**
 * Adds a per-message profile, with the tenant's mark, by which `removeProfile` finds it. An existing profile is the
 * sender's own and stays (see ownProfiles).
 */
export function addProfile(content: JsonObject, { tenant, user, profile, fallback }: ShownAuthor): JsonObject {
  if (PROFILES.some((key) => Object.hasOwn(content, key))) return content;
  const displayname = shownName(user, profile.displayname);
  const isPrefixed = fallback && takesFallback(content);
  return {
    ...(isPrefixed ? prefixed(content, displayname) : content),
    [MESSAGE_PROFILE]: {
      id: user,
      displayname,
      // Without an address clients would show the pseudouser's avatar; an empty one shows none.
      avatar_url: profile.avatarUrl ?? "",
      has_fallback: isPrefixed,
      [ON_BEHALF_OF]: tenant,
    },
  };
}

/**
 * Returns a tenant's own per-message profiles as sent to the room. Name and picture stay: relays name people with
 * them. An `id` other than the tenant's own users gets its prefix: it still identifies the author, but is no user.
 */
export function ownProfiles(content: JsonObject, { tenant, isPersona }: ShownAuthor): JsonObject {
  return withProfileIds(content, (id) => (isUserId(id) && isPersona(id) ? id : `${prefixOf(tenant)}${id}`));
}

/** Returns the tenant's own profiles as it sent them: the inverse of `ownProfiles`. */
export function sentProfiles(content: JsonObject, tenant: TenantId): JsonObject {
  const prefix = prefixOf(tenant);
  return withProfileIds(content, (id) => (id.startsWith(prefix) ? id.slice(prefix.length) : id));
}

/** No tenant ID contains a `~`, nor begins like a user ID. */
function prefixOf(tenant: TenantId): string {
  return `${tenant}~`;
}

function withProfileIds(content: JsonObject, change: (id: string) => string): JsonObject {
  let next = content;
  for (const key of PROFILES) {
    const profile = Object.hasOwn(content, key) ? content[key] : null;
    if (!isJsonObject(profile)) continue;
    const id = profile["id"];
    if (typeof id === "string") next = { ...next, [key]: { ...profile, id: change(id) } };
    // A reader that turns numbers and lists into texts could still find a user ID there.
    else if (id !== undefined) next = { ...next, [key]: without(profile, "id") };
  }
  return next;
}

/** Removes a profile that `addProfile` added, and its fallback. Any other stays. */
export function removeProfile(content: JsonObject): JsonObject {
  const profile = content[MESSAGE_PROFILE];
  if (!isJsonObject(profile) || !Object.hasOwn(profile, ON_BEHALF_OF)) return content;
  const rest = without(content, MESSAGE_PROFILE);
  const displayname = stringAt(profile, "displayname");
  return profile["has_fallback"] === true && displayname !== null ? unprefixed(rest, displayname) : rest;
}

/** Only a text can have a name before it. A file's `body` is one if it is a caption beside a file name (MSC2530). */
function takesFallback(content: JsonObject): boolean {
  const body = stringAt(content, "body");
  const msgtype = stringAt(content, "msgtype") ?? "";
  if (body === null) return false;
  if (TEXTS.has(msgtype)) return true;
  const filename = stringAt(content, "filename");
  return MEDIA.has(msgtype) && filename !== null && filename !== body;
}

function prefixed(content: JsonObject, name: string): JsonObject {
  const html = htmlOf(content);
  const [quoted, body] = textParts(content, stringAt(content, "body") ?? "");
  const [quotedHtml, rest] = htmlParts(content, html ?? "");
  return {
    ...content,
    body: `${quoted}${plainPrefix(name)}${body}`,
    ...(html === null ? {} : { formatted_body: `${quotedHtml}${htmlPrefix(name)}${rest}` }),
  };
}

function unprefixed(content: JsonObject, name: string): JsonObject {
  const body = stringAt(content, "body");
  const html = htmlOf(content);
  return {
    ...content,
    ...(body === null ? {} : { body: cutOff(textParts(content, body), plainPrefix(name)) }),
    ...(html === null ? {} : { formatted_body: cutOff(htmlParts(content, html), htmlPrefix(name)) }),
  };
}

/** A rich reply's quote and its own text (spec v1.12, "Fallbacks for rich replies"). Clients remove the quote. */
type Parts = readonly [quoted: string, own: string];

function textParts(content: JsonObject, body: string): Parts {
  const quoted = answeredIn(content) === null ? null : /^(?:> .*\n)+\n/.exec(body);
  return partedAt(body, quoted?.[0].length ?? 0);
}

function htmlParts(content: JsonObject, html: string): Parts {
  const end = answeredIn(content) !== null && html.startsWith(REPLY) ? html.indexOf(REPLY_END) : -1;
  return partedAt(html, end === -1 ? 0 : end + REPLY_END.length);
}

function partedAt(text: string, at: number): Parts {
  return [text.slice(0, at), text.slice(at)];
}

function htmlOf(content: JsonObject): string | null {
  return content["format"] === HTML ? stringAt(content, "formatted_body") : null;
}

function plainPrefix(name: string): string {
  return `${name}: `;
}

function htmlPrefix(name: string): string {
  return `<strong data-mx-profile-fallback>${escaped(name)}: </strong>`;
}

function cutOff([quoted, text]: Parts, prefix: string): string {
  return `${quoted}${text.startsWith(prefix) ? text.slice(prefix.length) : text}`;
}

/** Returns the name in MSC4144's form: never empty, without null bytes and half characters, cut to its limit. */
function shownName(user: UserId, displayname: string | null): string {
  const name = (displayname ?? "").toWellFormed().replaceAll("\0", "");
  let kept = "";
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_NAME) break;
    kept += character;
  }
  if (kept !== "") return kept;
  const localpart = localpartOf(user);
  return localpart === "" ? user : localpart;
}
