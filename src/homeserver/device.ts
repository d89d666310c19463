import { parsedObject, stringAt } from "../model/json.ts";
import type { HomeserverClient } from "./client.ts";
import { failureOf } from "./errors.ts";

const DEVICE_ID = "EMISSARY";
/** Both names: homeservers from before the specification had it know the second (MSC3202, MSC4326). */
const QUERY = `device_id=${DEVICE_ID}&org.matrix.msc3202.device_id=${DEVICE_ID}`;

/**
 * A device of the pseudouser, without keys. Synapse keeps a device's transaction IDs in its database, and others only
 * in the memory of one process. Homeservers that give appservices no devices (MSC4190) are called without.
 */
export class PseudouserDevice {
  readonly #client: HomeserverClient;
  #isThere = false;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** Query parameters that make a request the device's; empty if there is no device. */
  get query(): string {
    return this.#isThere ? QUERY : "";
  }

  /** Creates the device if needed. @throws EmissaryError if the homeserver cannot be asked or fails. */
  async make(abort?: AbortSignal): Promise<void> {
    const answer = await this.#client.call("PUT", `/_matrix/client/v3/devices/${DEVICE_ID}`, {
      body: { display_name: "Emissary" },
      ...(abort === undefined ? {} : { abort }),
    });
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "make a device of the pseudouser");
    this.#isThere = answer.status < 300;
  }
}

/** Returns whether the device is gone: homeservers delete idle devices, administrators any. */
export function isUnknownDevice(status: number, body: Uint8Array): boolean {
  return status === 400 && stringAt(parsedObject(body), "errcode") === "M_UNKNOWN_DEVICE";
}
