/**
 * Mentions of the pseudouser in others' events. The room knows no other user, so an answer to a tenant's message names
 * it. The tenant must see its own user instead.
 */
import type { UserId } from "./ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "./json.ts";

const MENTIONS = "m.mentions";

/**
 * A user in a link (spec, "matrix.to navigation" and "Matrix URIs"), up to its end in HTML, Markdown or plain text.
 */
const LINKS = /(matrix\.to\/#\/|matrix:u\/)([^"'<>\s?/)&]+)/g;

/** Returns the event that a content answers, or null. A thread's fallback is no answer (spec, "Threading"). */
export function answeredIn(content: JsonObject): string | null {
  const relation = content["m.relates_to"];
  if (!isJsonObject(relation) || relation["is_falling_back"] === true) return null;
  const answered = relation["m.in_reply_to"];
  return isJsonObject(answered) ? stringAt(answered, "event_id") : null;
}

/** Replaces the pseudouser in mentions, links and quotes. Returns the same content if it is in none. */
export function namingUser(content: JsonObject, own: UserId, user: UserId): JsonObject {
  const changes: JsonObject = {};
  const mentions = content[MENTIONS];
  const ids = isJsonObject(mentions) ? mentions["user_ids"] : null;
  if (isJsonObject(mentions) && Array.isArray(ids) && ids.includes(own)) {
    changes[MENTIONS] = { ...mentions, user_ids: renamed(ids, own, user) };
  }
  const body = stringAt(content, "body");
  if (body !== null) change(changes, "body", body, inLinks(quoting(body, own, user), own, user));
  const html = stringAt(content, "formatted_body");
  if (html !== null) {
    const linked = inLinks(html, own, user);
    change(
      changes,
      "formatted_body",
      html,
      linked.replaceAll(`>${own}</a>`, () => `>${escaped(user)}</a>`),
    );
  }
  return Object.keys(changes).length === 0 ? content : { ...content, ...changes };
}

function change(changes: JsonObject, key: string, before: string, after: string): void {
  if (after !== before) changes[key] = after;
}

function renamed(ids: readonly JsonValue[], own: UserId, user: UserId): JsonValue[] {
  return [...new Set(ids.map((id) => (id === own ? user : id)))];
}

/** The first line of a quote names its author (spec v1.12, "Fallbacks for rich replies"). */
function quoting(body: string, own: UserId, user: UserId): string {
  for (const start of ["> <", "> * <"]) {
    if (body.startsWith(`${start}${own}>`)) return `${start}${user}${body.slice(start.length + own.length)}`;
  }
  return body;
}

function inLinks(text: string, own: UserId, user: UserId): string {
  return text.replaceAll(LINKS, (link, before: string, id: string) => {
    const isUri = before.startsWith("matrix:");
    if (decoded(id) !== (isUri ? own.slice(1) : own)) return link;
    const encoded = encodeURIComponent(isUri ? user.slice(1) : user);
    return `${before}${/%40|%3A/i.test(id) ? encoded : encoded.replace("%40", "@").replaceAll("%3A", ":")}`;
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
