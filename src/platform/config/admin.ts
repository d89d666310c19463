import { z } from "zod";
import { expecting, listen, path } from "./values.ts";

/** The token in config.sample.yaml. Everybody knows it, so it opens nothing: loading refuses it. */
export const SAMPLE_ADMIN_TOKEN = "sample-admin-token-to-be-replaced";

/** Printable ASCII without spaces: the token travels in an HTTP header. */
export const ADMIN_TOKEN = /^[\x21-\x7e]{16,}$/;
export const ADMIN_TOKEN_EXPECTED = "at least 16 printable ASCII characters without spaces";

export const admin = z
  .strictObject({
    listen: listen()
      .prefault("127.0.0.1:9011")
      .describe("Where the admin API listens, which the other commands and monitoring ask. Keep it private."),
    token: expecting(ADMIN_TOKEN_EXPECTED, z.string().regex(ADMIN_TOKEN), { secret: true })
      .optional()
      .meta({
        description:
          "What a caller of the admin API must present, at least 16 characters. Required, here, in token_file or in the " +
          "environment.",
        examples: [SAMPLE_ADMIN_TOKEN],
      }),
    token_file: path()
      .optional()
      .describe("A file that holds the token, in place of token. Relative to this file's folder."),
  })
  .describe("The admin API.");
