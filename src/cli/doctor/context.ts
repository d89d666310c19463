import type { UserId } from "../../model/ids.ts";
import { isJsonObject, type JsonObject } from "../../model/json.ts";
import { pseudouserOf } from "../../model/pseudouser.ts";
import type { Config } from "../../platform/config/config.ts";
import { load, type Source } from "../../platform/config/load.ts";
import { readYaml } from "../../platform/config/yaml-file.ts";
import { Asker } from "./asker.ts";
import {
  probeDaemon,
  probeListener,
  receiverOf,
  type DaemonState,
  type ListenerState,
  type Receiver,
} from "./daemon-probe.ts";
import type { Finding, Found } from "./finding.ts";
import { HomeserverProbe, once } from "./homeserver-probe.ts";
import type { Machine } from "./machine.ts";

/** What a check may use. None of it needs the daemon; a check that does must say so. */
export interface Context {
  readonly source: Source;
  readonly config: Config;
  /** emissary.yaml and registration.yaml as written. */
  readonly configFile: JsonObject;
  readonly registrationFile: JsonObject;
  readonly own: UserId;
  readonly machine: Machine;
  readonly asker: Asker;
  readonly homeserver: HomeserverProbe;
  readonly daemon: () => Promise<DaemonState>;
  readonly listener: () => Promise<ListenerState>;
  /** Pings, and so is slow if the homeserver does not get through. */
  readonly receiver: () => Promise<Receiver>;
}

/** @param found makes the finding, with the name of the check */
export type Check = (context: Context, found: Found) => Finding | Promise<Finding>;

/** @throws EmissaryError `bad-config` if the files cannot be used */
export function openContext(source: Source, machine: Machine): Context {
  const { config } = load(source);
  const own = pseudouserOf(config.homeserver.serverName, config.pseudouser.localpart);
  const asker = new Asker(machine.clock);
  const homeserver = new HomeserverProbe(config, own, machine, asker);
  const daemon = once(() => probeDaemon(config));
  return {
    source,
    config,
    configFile: objectIn(source.path),
    registrationFile: objectIn(config.appservice.registration),
    own,
    machine,
    asker,
    homeserver,
    daemon,
    listener: once(() => probeListener(config, asker)),
    receiver: once(async () =>
      (await whyNotAsked({ homeserver })) === null ? receiverOf(config, homeserver, daemon) : "untold",
    ),
  };
}

/** Returns why our token gets no answers, as a clause; null if it does. For checks after those of the token. */
export async function whyNotAsked({ homeserver }: Pick<Context, "homeserver">): Promise<string | null> {
  const versions = await homeserver.versions();
  if (!versions.heard) return "the homeserver gives no answer";
  const whoami = await homeserver.whoami();
  if (!whoami.heard || whoami.status === 401) return "the homeserver does not know our token";
  return null;
}

function objectIn(path: string): JsonObject {
  const file = readYaml(path);
  return isJsonObject(file) ? file : {};
}
