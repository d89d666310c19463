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
export function readText(path: string): string {
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
