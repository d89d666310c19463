import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { ServerName } from "../../../src/model/ids.ts";
import { load } from "../../../src/platform/config/load.ts";
import type { Environment } from "../../../src/platform/config/files.ts";
import { makeRegistration, renderRegistration } from "../../../src/platform/registration.ts";

/** A folder for one test, removed after it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "emissary-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const ADMIN_TOKEN = "an-admin-token-of-a-test";

/** The keys without a default. */
export const REQUIRED = `
homeserver:
  url: http://127.0.0.1:8008
  server_name: example.org
appservice:
  url: http://127.0.0.1:9009
admin:
  token: ${ADMIN_TOKEN}
`;

export const REGISTRATION = renderRegistration(
  makeRegistration({
    url: "http://127.0.0.1:9009",
    serverName: "example.org" as ServerName,
    localpart: "",
    tokens: { asToken: "the-as-token", hsToken: "the-hs-token" },
  }),
  "Of a test.",
);

export interface Files {
  readonly config?: string;
  /** Null for no file. */
  readonly registration?: string | null;
  readonly env?: Environment;
  readonly mode?: number;
}

/** A folder with both files as given, or as they ought to be. */
export function folderWith({ config = REQUIRED, registration = REGISTRATION, mode = 0o600 }: Files = {}): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "emissary.yaml"), config, { mode });
  if (registration !== null) writeFileSync(join(folder, "registration.yaml"), registration, { mode });
  return folder;
}

export function loadFiles(files: Files = {}) {
  return load({ path: join(folderWith(files), "emissary.yaml"), env: files.env ?? {} });
}

/** The mistakes that the operator is told, one a line, without the line that names the file. */
export function mistakesIn(files: Files): string[] {
  return complaintAbout(() => loadFiles(files))
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}

/** What is said when `act` throws, as it must, a bad-config. */
export function complaintAbout(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof EmissaryError && error.code === "bad-config") return error.message;
    throw error;
  }
  throw new Error("nothing was complained about");
}
