import { isAbsolute } from "node:path";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { EmissaryError } from "../../model/errors.ts";
import { readJson } from "../../platform/http/body.ts";
import { serve } from "../../platform/http/server.ts";
import type { AdminParts } from "./admin.ts";

const backupBody = z.strictObject({
  path: z
    .string()
    .max(4096)
    .refine((path) => isAbsolute(path) && !path.includes("\0")),
});

/** A backup is written by the daemon, where it runs and with its rights; so the path is one of its own machine. */
export function backupRoutes(server: FastifyInstance, base: string, parts: AdminParts): void {
  serve(server, `${base}/backup`, {
    POST: async (request) => {
      const body = backupBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) throw new EmissaryError("bad-request", "`path` is to be the absolute path of a new file.");
      const { path } = body.data;
      const { bytes } = await parts.backup(path);
      return { path, bytes };
    },
  });
}
