import { EmissaryError } from "../../../model/errors.ts";
import { param } from "../../../http/server.ts";
import { answered, refused, type Endpoint } from "../act.ts";

/** Some bots do not start without their token's device. Each user has this one, which has no keys. */
export const DEVICE_ID = "EMISSARY";
const DEVICE = { device_id: DEVICE_ID, display_name: "Emissary" };

/**
 * All tenants act as one user, so none may have that user's keys. Queries about encryption get a true no, and
 * everything that takes part in it is refused, so nothing seems to work that does not.
 */
export const encryptionEndpoints: readonly Endpoint[] = [
  answered("GET /login", "no flows: bridges that want encryption then say that they cannot have it", async () => ({
    flows: [],
  })),
  ...refused("a tenant has its as_token, and that is all it needs; `emissary tenant rotate` replaces it", [
    "POST /login",
    "POST /logout",
    "POST /logout/all",
    "POST /refresh",
  ]),
  answered("GET /devices", "the one that `whoami` names", async () => ({ devices: [DEVICE] })),
  answered("GET /devices/:deviceId", "that one; any other is not found", async ({ user, request }) => {
    const deviceId = param(request, "deviceId");
    if (deviceId === DEVICE_ID) return DEVICE;
    throw new EmissaryError("not-found", `${user} has no device ${JSON.stringify(deviceId)}.`);
  }),
  ...refused("the device of a tenant's user has no keys; use unencrypted rooms", [
    "PUT /devices/:deviceId",
    "DELETE /devices/:deviceId",
    "POST /keys/upload",
    "POST /keys/upload/:deviceId",
    "POST /keys/query",
    "POST /keys/claim",
    "GET /keys/changes",
    "POST /keys/device_signing/upload",
    "POST /keys/signatures/upload",
    "PUT /sendToDevice/:eventType/:txnId",
    "GET /room_keys/version",
    "POST /room_keys/version",
    "GET /room_keys/keys",
    "PUT /room_keys/keys",
  ]),
];
