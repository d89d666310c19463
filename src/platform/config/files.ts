import { readFileSync, statSync } from "node:fs";
import { LineCounter, parseDocument } from "yaml";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";

/**
 * Reads and parses a YAML file. The library's messages quote the file, and so perhaps a token: we name only the line.
 * @throws EmissaryError `bad-config` with one sentence
 */
export function readYaml(path: string): unknown {
  const text = readText(path);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) {
    const { line, col } = lines.linePos(fault.pos[0]);
    throw new EmissaryError("bad-config", `${path}, line ${line}, column ${col}: ${withoutExcerpt(fault.message)}`);
  }
  try {
    return document.toJS();
  } catch (error) {
    // An alias (*name) without its anchor is found only here.
    throw new EmissaryError("bad-config", `${path}: ${withoutExcerpt(sentenceOf(error))}`);
  }
}

/** Reads a text file. @throws EmissaryError `bad-config` with one sentence */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new EmissaryError("bad-config", `${path} ${whyNotRead(error)}`, { cause: error });
  }
}

/** Returns whether users other than the owner may read or change a file. File modes mean nothing on Windows. */
export function isOpenToOthers(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
}

function whyNotRead(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT") return "does not exist";
  if (code === "EISDIR") return "is a folder, not a file";
  if (code === "EACCES" || code === "EPERM") return "may not be read by this user";
  return `cannot be read: ${sentenceOf(error)}`;
}

function withoutExcerpt(message: string): string {
  return message.replace(/(tag|alias\)|extra characters): .*/s, "$1");
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the secret in the environment variable `name`, or in the file that `name_FILE` names; null if there is none.
 * An empty variable counts as none: container setups pass them.
 * @throws EmissaryError `bad-config` if both are given, or the file cannot be read or is empty
 */
export function secretFrom(environment: Environment, name: string): string | null {
  const plain = environment[name] ?? "";
  const file = environment[`${name}_FILE`] ?? "";
  if (plain !== "" && file !== "") {
    throw new EmissaryError("bad-config", `${name} and ${name}_FILE are both set: only one of them may be`);
  }
  if (file !== "") return secretInFile(file, `${name}_FILE`);
  return plain === "" ? null : plain;
}

/**
 * Returns the content of a secret's file without the line end that editors add. `key` names the setting with the path.
 */
export function secretInFile(path: string, key: string): string {
  let secret: string;
  try {
    secret = readText(path).trim();
  } catch (error) {
    throw error instanceof EmissaryError ? new EmissaryError("bad-config", `${key}: ${error.message}`) : error;
  }
  if (secret === "") throw new EmissaryError("bad-config", `${key}: ${path} is empty`);
  return secret;
}
