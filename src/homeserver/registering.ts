import { localpartOf, type UserId } from "../model/ids.ts";

export const REGISTER = "/_matrix/client/v3/register";

/** Returns the call that registers our user, if new (spec, AS API, "Server admin style permissions"). */
export function registrationOf(userId: UserId): {
  readonly asPseudouser: false;
  readonly body: { readonly type: string; readonly username: string; readonly inhibit_login: boolean };
} {
  // Homeservers without the older login API refuse registrations that ask for a token (spec v1.17).
  const body = { type: "m.login.application_service", username: localpartOf(userId), inhibit_login: true };
  return { asPseudouser: false, body };
}
