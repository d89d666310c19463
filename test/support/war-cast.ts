import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { TENANT_ACTIONS } from "../../src/model/tenant.ts";
import { SERVER, type FakeHomeserver } from "./fake-homeserver.ts";
import type { FakeEvent, FakeRoom } from "./fake-homeserver-rooms.ts";
import { PSEUDOUSER, startService, TenantClient, type Answer, type Service, type Settings } from "./service-app.ts";
import { TenantListener } from "./tenant-listener.ts";

export const OWNER = "org.matrix.msc1777.on_behalf_of";
export const PERSONA = "org.matrix.msc1777.persona";
export const PERSONA_LEVELS = "org.matrix.msc1777.persona_levels";
export const PROFILE = "com.beeper.per_message_profile";

/** Of the attacked tenant's rooms, and of others that trust it. */
export const FRIEND = "@friend:elsewhere.test";
/** A remote user who helps the attacker: not as the attacker's tenant, but by what rooms and aliases of its own say. */
export const STRANGER = "@stranger:evil.test";

/** What nobody but the attacked tenant may ever be told has this in it. */
export const CANARY = "canary-";

/** A tenant in the war, and its own server. */
export interface Side {
  readonly client: TenantClient;
  readonly listener: TenantListener;
  /** Its token, and the one that it is called with. */
  readonly secrets: readonly string[];
  /** Two of its personas; the first shows itself in public. */
  readonly personas: readonly [string, string];
}

export interface Cast {
  readonly service: Service;
  readonly homeserver: FakeHomeserver;
  /** The attacker. */
  readonly raider: Side;
  /** The attacked. */
  readonly host: Side;
}

const PERSONAS_OF = {
  raider: [`@_raider_crow:${SERVER}`, `@_raider_rook:${SERVER}`],
  host: [`@_host_ghost:${SERVER}`, `@_host_mole:${SERVER}`],
} as const;

/** Two tenants that do not trust each other, at a service whose homeserver heeds power levels. */
export async function cast(settings: Settings = {}): Promise<Cast> {
  const service = await startService({ settings });
  service.homeserver.heedsPower = true;
  const raider = await side(service, "raider");
  const host = await side(service, "host");
  return { service, homeserver: service.homeserver, raider, host };
}

async function side(service: Service, id: "raider" | "host"): Promise<Side> {
  const listener = await new TenantListener().listen();
  const wish = { id, url: listener.url, users: `@_${id}_.*`, actions: TENANT_ACTIONS };
  const { body } = await service.admin("POST", "/tenants", wish);
  const { tenant, registration } = body;
  if (!isJsonObject(tenant) || !isJsonObject(registration)) throw new Error(JSON.stringify(body));
  const [token, hsToken] = ["as_token", "hs_token"].map((key) => stringAt(registration, key) ?? "");
  const client = new TenantClient(service, id, stringAt(tenant, "sender") ?? "", token ?? "");
  return { client, listener, secrets: [token ?? "", hsToken ?? ""], personas: PERSONAS_OF[id] };
}

/** What a tenant may from now on, and nothing else. The first of the grants replaces all. */
export async function grant(
  { service }: Pick<Cast, "service">,
  id: string,
  grants: readonly (readonly [rooms: readonly string[], actions: readonly string[]])[],
): Promise<void> {
  for (const [nr, [rooms, actions]] of grants.entries()) {
    done(await service.admin("POST", `/tenants/${id}/grants`, { rooms, actions, only: nr === 0 }));
  }
}

/** The answer's body, where all went well. */
export function done({ status, body, raw }: Answer): JsonObject {
  if (status === 200) return body;
  throw new Error(`answered ${status}: ${raw.toString()}`);
}

export function at(room: FakeRoom): string {
  return `/rooms/${encodeURIComponent(room.id)}`;
}

let serial = 0;

/** A number for what has to have a name of its own. */
export function nextNumber(): number {
  serial += 1;
  return serial;
}

/** A text that is to stay between the attacked tenant and its friends. */
export function canary(of: string): string {
  return `${CANARY}${of}-${nextNumber()}`;
}

/** Power levels of a room where the pseudouser may do little: messages, and what the types below are. */
export const LITTLE_POWER: JsonObject = {
  users: { [FRIEND]: 100 },
  events: { "m.room.topic": 0, "com.example.a": 0, "m.room.message": 0, "m.room.redaction": 0 },
};

/** Power levels of a room where it may do everything. */
export function allPower(maker: string): JsonObject {
  return { users: { [maker]: 100, [PSEUDOUSER]: 100 } };
}

export function isPseudousers({ sender }: FakeEvent): boolean {
  return sender === PSEUDOUSER;
}
