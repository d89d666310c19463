import { expect } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeRoom, RoomOptions } from "./fake-homeserver-rooms.ts";
import { startService, type Service, type ServiceOptions, type TenantClient } from "./service-app.ts";

export type Scene<Name extends string> = {
  readonly service: Service;
  readonly room: FakeRoom;
  /** The room's path, below the client-server API's. */
  readonly base: string;
} & Readonly<Record<Name, TenantClient>>;

/**
 * How most tests of what tenants do begin: a service, and a room that these tenants joined, loaded and all of it told.
 *
 * @param wishes what each tenant is added with beside its ID
 */
export async function tenantsInARoom<Name extends string>(
  wishes: Readonly<Record<Name, JsonObject>>,
  { room: options = {}, ...service }: ServiceOptions & { readonly room?: RoomOptions } = {},
): Promise<Scene<Name>> {
  return enterRoom(await startService(service), wishes, options);
}

/** The same in a service that runs. */
export async function enterRoom<Name extends string>(
  service: Service,
  wishes: Readonly<Record<Name, JsonObject>>,
  options: RoomOptions = {},
): Promise<Scene<Name>> {
  const room = service.homeserver.makeRoom(options);
  const tenants: Partial<Record<Name, TenantClient>> = {};
  for (const [name, wish] of Object.entries(wishes) as [Name, JsonObject][]) {
    const tenant = await service.addTenant({ id: name, ...wish });
    expect((await tenant.join(room.id)).status).toBe(200);
    tenants[name] = tenant;
  }
  await service.untilRoom(room.id, { load: "loaded" });
  await service.untilDelivered();
  const base = `/rooms/${encodeURIComponent(room.id)}`;
  return { service, room, base, ...(tenants as Record<Name, TenantClient>) };
}
