import { existsSync } from "node:fs";
import { isJsonObject } from "../../model/json.ts";
import { isOpenToOthers } from "../../platform/config/yaml-file.ts";
import type { Check } from "./context.ts";
import { databaseFiles } from "./database.ts";

/** Readers of these files have the tokens and, with the database, every received event. */
export const fileModes: Check = async ({ source, config, configFile }, found) => {
  const admin = configFile["admin"];
  const holdsToken = isJsonObject(admin) && typeof admin["token"] === "string";
  const files = [
    ...(holdsToken ? [source.path] : []),
    config.appservice.registration,
    ...databaseFiles(config.storage.sqlite),
  ].filter((path) => existsSync(path));
  const open = files.filter(isOpenToOthers);
  if (open.length === 0) return found.ok(`${files.length} files, open to their owner only`);
  return found.warning({
    what: `Other users of this machine may read or change ${open.join(", ")}.`,
    why: "The files were copied, restored or edited in a way that does not keep their mode.",
    do: `chmod 600 ${open.map(inShell).join(" ")}`,
  });
};

function inShell(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
