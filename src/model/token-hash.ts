import { hash } from "node:crypto";

/** By what a token is known where it is stored or remembered, which is never as it is. */
export function tokenHash(token: string): string {
  return hash("sha256", token, "base64url");
}
