import { EmissaryError } from "../../model/errors.ts";
import { readText } from "./yaml-file.ts";

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
