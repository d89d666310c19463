import { ClientEvent, SyncState, type MatrixClient } from "matrix-js-sdk";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import { quietClient } from "./peek-scenario.ts";

/** A new device of a user, with encryption, that has synced. Users that Synapse.registerUser made have their names for passwords. */
export async function cryptoClient(server: Synapse, localpart: string): Promise<MatrixClient> {
  const response = await fetch(`${server.url}/_matrix/client/v3/login`, {
    method: "POST",
    body: JSON.stringify({
      type: "m.login.password",
      identifier: { type: "m.id.user", user: localpart },
      password: localpart,
    }),
  });
  if (!response.ok) throw new Error(`${localpart} cannot log in: ${await response.text()}`);
  const login = (await response.json()) as { user_id: string; access_token: string; device_id: string };
  const client = quietClient({
    baseUrl: server.url,
    userId: login.user_id,
    accessToken: login.access_token,
    deviceId: login.device_id,
  });
  await client.initRustCrypto({ useIndexedDB: false });
  const synced = new Promise<void>((resolve) => {
    const look = (state: SyncState): void => {
      if (state !== SyncState.Prepared) return;
      client.off(ClientEvent.Sync, look);
      resolve();
    };
    client.on(ClientEvent.Sync, look);
  });
  await client.startClient({ initialSyncLimit: 30 });
  await synced;
  return client;
}

/** A text that this device cannot decrypt. */
export const UNREADABLE = "(unreadable)";

/** The texts of a room's messages that a device has, in order, as far as it can decrypt them. */
export async function readableTexts(client: MatrixClient, roomId: string): Promise<string[]> {
  const events = client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
  const texts: string[] = [];
  for (const event of events) {
    if (event.isEncrypted()) await client.decryptEventIfNeeded(event);
    if (event.isDecryptionFailure()) texts.push(UNREADABLE);
    else if (event.getType() === "m.room.message") texts.push(String(event.getContent()["body"]));
  }
  return texts;
}

/** How many devices of a user its own server tells a client of; null where it cannot tell. */
export async function devicesTold(client: MatrixClient, userId: string): Promise<number | null> {
  const response = await fetch(`${client.baseUrl}/_matrix/client/v3/keys/query`, {
    method: "POST",
    headers: { authorization: `Bearer ${client.getAccessToken() ?? ""}` },
    body: JSON.stringify({ device_keys: { [userId]: [] } }),
  });
  const { device_keys: told } = (await response.json()) as { device_keys?: Record<string, object> };
  const devices = told?.[userId];
  return devices === undefined ? null : Object.keys(devices).length;
}
