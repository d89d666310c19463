import { localpartOf, type UserId } from "../model/ids.ts";

export const REGISTER = "/_matrix/client/v3/register";

/** A call that makes a user of our namespace (spec, AS API, "Server admin style permissions"). Where it is there already, this changes nothing. */
export function registrationOf(userId: UserId): {
  readonly asPseudouser: false;
  readonly body: { readonly type: string; readonly username: string; readonly inhibit_login: boolean };
} {
  // inhibit_login: a homeserver without the older login API takes no registration that asks for a token (spec v1.17).
  const body = { type: "m.login.application_service", username: localpartOf(userId), inhibit_login: true };
  return { asPseudouser: false, body };
}
