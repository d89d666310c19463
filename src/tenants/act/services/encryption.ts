import { EmissaryError } from "../../../model/errors.ts";
import { param } from "../../../http/server.ts";
import type { Endpoint } from "../act.ts";
import { refused } from "../refused.ts";

const NO_KEYS = "the device of a tenant's user has no keys; use unencrypted rooms";

/** Some bots do not start without their token's device. Each user has this one, which has no keys. */
export const DEVICE_ID = "EMISSARY";
const DEVICE = { device_id: DEVICE_ID, display_name: "Emissary" };

/**
 * All tenants act as one user, so none may have that user's keys. Queries about encryption get a true no, and
 * everything that takes part in it is refused, so nothing seems to work that does not.
 */
export const encryptionEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/login",
    how: "answered",
    note: "no flows: bridges that want encryption then say that they cannot have it",
    handler: async () => ({ flows: [] }),
  },
  ...refused({
    endpoints: ["POST /login", "POST /logout", "POST /logout/all", "POST /refresh"],
    why: "a tenant has its as_token, and that is all it needs; `emissary tenant rotate` replaces it",
  }),
  {
    method: "GET",
    path: "/devices",
    how: "answered",
    note: "the one that `whoami` names",
    handler: async () => ({ devices: [DEVICE] }),
  },
  {
    method: "GET",
    path: "/devices/:deviceId",
    how: "answered",
    note: "that one; any other is not found",
    handler: async (_parts, { user }, request) => {
      if (param(request, "deviceId") === DEVICE_ID) return DEVICE;
      throw new EmissaryError("not-found", `${user} has no device ${JSON.stringify(param(request, "deviceId"))}.`);
    },
  },
  ...refused({
    endpoints: [
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
    ],
    why: NO_KEYS,
  }),
];
