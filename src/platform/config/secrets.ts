import { EmissaryError } from "../../model/errors.ts";
import { readText } from "./yaml-file.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The secret that the environment gives under `name`, or in the file that `name_FILE` points to; null where it gives none.
 * An empty variable counts as none, as composed containers set them. Throws `bad-config` when both forms are given, or
 * when the file cannot be read or holds nothing.
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

/** The content of a secret's file without the line end that editors leave. `key` says who pointed there. */
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
