import { parsedObject, stringAt } from "../model/json.ts";
import type { HomeserverClient } from "./client.ts";
import { failureOf } from "./errors.ts";

const DEVICE_ID = "EMISSARY";
/** Under both names: the second is that of homeservers from before the specification had it (MSC3202, MSC4326). */
const QUERY = `device_id=${DEVICE_ID}&org.matrix.msc3202.device_id=${DEVICE_ID}`;

/**
 * A device of the pseudouser, without keys. What is sent by no device Synapse remembers by its transaction ID in the memory of one process
 * only; what a device sends, in its database. A homeserver that gives appservices no devices (MSC4190) is asked without.
 */
export class PseudouserDevice {
  readonly #client: HomeserverClient;
  #isThere = false;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** What makes a request the device's, for its query; the empty text where there is none. */
  get query(): string {
    return this.#isThere ? QUERY : "";
  }

  /** Makes it, or finds it there. @throws EmissaryError where the homeserver cannot be asked, or fails. */
  async make(abort?: AbortSignal): Promise<void> {
    const answer = await this.#client.call("PUT", `/_matrix/client/v3/devices/${DEVICE_ID}`, {
      body: { display_name: "Emissary" },
      ...(abort === undefined ? {} : { abort }),
    });
    if (answer.status >= 500 || answer.status === 429) throw failureOf(answer, "make a device of the pseudouser");
    this.#isThere = answer.status < 300;
  }
}

/** Whether an answer says that the device is not there any more: homeservers delete those that are idle, administrators any. */
export function isUnknownDevice(status: number, body: Uint8Array): boolean {
  return status === 400 && stringAt(parsedObject(body), "errcode") === "M_UNKNOWN_DEVICE";
}
