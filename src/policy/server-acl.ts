import type { ServerName } from "../model/ids.ts";
import { parsedObject, type JsonValue } from "../model/json.ts";
import { remember } from "../concurrency/remember.ts";
import { GlobIndex } from "./glob-index.ts";

/** Parsed access lists that are cached. One has up to 64 KiB, and rooms that we are in need theirs often. */
const KEPT = 64;

interface AccessList {
  readonly allow: GlobIndex;
  readonly deny: GlobIndex;
  readonly allowsLiterals: boolean;
}

/** Evaluates rooms' access lists (spec, `m.room.server_acl`). */
export class ServerAcls {
  readonly #lists = new Map<string, AccessList>();

  /** Whether an access list (the event's content, as JSON) bans a server. A list that allows nobody bans all. */
  keepsOut(acl: string, server: ServerName): boolean {
    const { allow, deny, allowsLiterals } = this.#listOf(acl);
    const host = hostOf(server.toLowerCase());
    if (!allowsLiterals && (host.startsWith("[") || isIPv4(host))) return true;
    return deny.first(host) !== Infinity || allow.first(host) === Infinity;
  }

  #listOf(acl: string): AccessList {
    const list = this.#lists.get(acl) ?? parsed(acl);
    remember(this.#lists, acl, list, KEPT);
    return list;
  }
}

/** Returns a server name without its port. Text in brackets is an IPv6 address. */
export function hostOf(server: string): string {
  return server.replace(/:\d+$/, "");
}

function isIPv4(host: string): boolean {
  const parts = host.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function parsed(acl: string): AccessList {
  const content = parsedObject(Buffer.from(acl));
  return {
    allow: new GlobIndex(globsIn(content["allow"])),
    deny: new GlobIndex(globsIn(content["deny"])),
    allowsLiterals: content["allow_ip_literals"] !== false,
  };
}

function globsIn(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string").map((one) => one.toLowerCase()) : [];
}
