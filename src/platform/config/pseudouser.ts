import { z } from "zod";
import { expecting } from "./values.ts";

/** Localparts that may be newly made (spec, appendices, "User Identifiers"), and the empty one of MSC1777. */
const LOCALPART = /^[a-z0-9._=/+-]*$/;

export function isLocalpart(text: string): boolean {
  return LOCALPART.test(text);
}

/** Fills our server's name into a text that rooms see. */
export function forServer<Text extends string | null>(text: Text, server: string): string | Text {
  return text === null ? text : text.replaceAll("{server}", () => server);
}

export const pseudouser = z
  .strictObject({
    localpart: expecting("nothing, or the letters a-z, digits and . _ = - / +", z.string().regex(LOCALPART))
      .prefault("")
      .describe(
        "Localpart of the pseudouser, the part between @ and the colon. MSC1777 says empty. Set one only if your homeserver " +
          "refuses an empty one; then run `emissary register` again, because the registration names the user too.",
      ),
    displayname: expecting("a text of 1 to 255 characters, or null", z.string().min(1).max(255).nullable())
      .prefault("{server} (preview)")
      .describe(
        "Display name of the pseudouser; {server} stands for the server name, null means the server name alone. People see it in " +
          "the join event, and clients name rooms without a name after it.",
      ),
  })
  .describe("The server's representative in rooms, @:server.");
