import { hash } from "node:crypto";

/** Returns the hash by which a token is stored or remembered; the token itself never is. */
export function tokenHash(token: string): string {
  return hash("sha256", token, "base64url");
}
