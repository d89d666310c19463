import { z } from "zod";
import { expecting } from "./values.ts";

/** Localparts that may be newly made (spec, appendices, "User Identifiers"), and the empty one of MSC1777. */
const LOCALPART = /^[a-z0-9._=/+-]*$/;

export function isLocalpart(text: string): boolean {
  return LOCALPART.test(text);
}

/** A text that rooms are shown, for the server that we are of. */
export function forServer<Text extends string | null>(text: Text, server: string): string | Text {
  return text === null ? text : text.replaceAll("{server}", () => server);
}

export const pseudouser = z
  .strictObject({
    localpart: expecting("nothing, or the letters a-z, digits and . _ = - / +", z.string().regex(LOCALPART))
      .prefault("")
      .describe(
        "The part of the pseudouser's ID between @ and the colon. Empty by MSC1777; give one only where the homeserver " +
          "refuses an empty one, and register again afterwards, since the registration names the user too.",
      ),
    displayname: expecting("a text of 1 to 255 characters, or null", z.string().min(1).max(255).nullable())
      .prefault("{server} (preview)")
      .describe(
        "The name that rooms show for the pseudouser; {server} stands for the server's name, and null for that alone. People see it " +
          "where it joins, and rooms without a name are called after it.",
      ),
  })
  .describe("The server's one representative in rooms, @:server.");
