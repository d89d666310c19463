import type { HomeserverClient } from "../homeserver/client.ts";
import type { PseudouserDevice } from "../homeserver/device.ts";
import type { HomeserverDirectory } from "../policy/homeserver-directory.ts";
import type { Openings } from "../ledger/openings.ts";
import type { SharedJournal } from "../ledger/shared-journal.ts";
import type { Aliases } from "../attendance/leases/target.ts";
import type { RoomStates } from "../ledger/loading/homeserver-states.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { UserId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import type { Config } from "../platform/config/config.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { SqliteStorage } from "./stores.ts";

export interface Shared {
  /** The configuration at the start. */
  readonly config: Config;
  readonly own: UserId;
  readonly storage: SqliteStorage;
  /** Shared by all readers of the journal. */
  readonly journal: SharedJournal;
  readonly openings: Openings;
  readonly client: HomeserverClient;
  readonly device: PseudouserDevice;
  readonly directory: HomeserverDirectory;
  /** Alias look-ups, shared and bounded. */
  readonly aliases: Aliases;
  readonly states: RoomStates;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Aborts when Emissary stops. */
  readonly stopping: AbortSignal;
}
