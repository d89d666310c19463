import { z } from "zod";
import { expecting, listen, path } from "./values.ts";

/** The token in config.sample.yaml. Everybody knows it, so loading refuses it. */
export const SAMPLE_ADMIN_TOKEN = "sample-admin-token-to-be-replaced";

/** Printable ASCII without spaces: the token travels in an HTTP header. */
export const ADMIN_TOKEN = /^[\x21-\x7e]{16,}$/;
export const ADMIN_TOKEN_EXPECTED = "at least 16 printable ASCII characters without spaces";

export const admin = z
  .strictObject({
    listen: listen()
      .prefault("127.0.0.1:9011")
      .describe("Address of the admin API, which the other commands and your monitoring use. Keep it private."),
    token: expecting(ADMIN_TOKEN_EXPECTED, z.string().regex(ADMIN_TOKEN), { secret: true })
      .optional()
      .meta({
        description:
          "Token for the admin API, at least 16 characters. Required: here, in token_file, or in the environment.",
        examples: [SAMPLE_ADMIN_TOKEN],
      }),
    token_file: path()
      .optional()
      .describe("File with the token, instead of `token`. Relative to the folder of this file."),
  })
  .describe("The admin API.");
