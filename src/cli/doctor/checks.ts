import { namespace, pseudouser } from "./account.ts";
import { address } from "./address.ts";
import { clock } from "./clock.ts";
import type { Check } from "./context.ts";
import { daemon, delivery, instances } from "./daemon.ts";
import { database, disk } from "./database.ts";
import { fileModes } from "./files.ts";
import { homeserver, homeserverVersion, roomSummary } from "./homeserver.ts";
import { rateLimits, registration, watchedNamespaces } from "./registration.ts";
import { reservedNamespaces } from "./reserved.ts";
import { tenants } from "./tenants.ts";

/** The first check: all others need what it reads. */
export const CONFIGURATION = "configuration";

/** The check that runs only if an address is given. */
export const PUBLIC = "public-url";

/** All other checks, from local ones to those that need both sides. Output and manual have this order. */
export const CHECKS: Readonly<Record<string, Check>> = {
  "file-modes": fileModes,
  database,
  disk,
  homeserver,
  "homeserver-version": homeserverVersion,
  clock,
  registration,
  "rate-limits": rateLimits,
  "watched-namespaces": watchedNamespaces,
  "reserved-namespaces": reservedNamespaces,
  namespace,
  pseudouser,
  "room-summary": roomSummary,
  daemon,
  instances,
  address,
  delivery,
  tenants,
};
