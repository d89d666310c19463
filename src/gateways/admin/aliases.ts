import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { AliasRepair, AliasView } from "../../model/alias.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomAlias } from "../../model/ids.ts";
import { readJson } from "../../platform/http/body.ts";
import { param, queryAll, serve } from "../../platform/http/server.ts";
import type { AdminParts } from "./admin.ts";
import { pageLimit } from "./page.ts";

const repairBody = z.discriminatedUnion("act", [
  z.strictObject({
    act: z.literal("point"),
    room_id: z.string().refine(isRoomId),
    by: z.enum(["replaced", "named"]),
  }),
  z.strictObject({ act: z.literal("remove") }),
]);

export function aliasRoutes(server: FastifyInstance, base: string, { keptAliases }: AdminParts): void {
  serve(server, `${base}/aliases`, {
    GET: async (request) => {
      const limit = pageLimit(request, 100);
      const after = queryAll(request, "after")[0] ?? null;
      if (after !== null && !isRoomAlias(after))
        throw new EmissaryError("bad-parameter", "`after` is to be a room alias.");
      const views = await keptAliases.page(after, limit);
      const { running, finishedAt, failure, nextAt } = keptAliases.progress;
      return {
        keep: keptAliases.isOn,
        sweep: { running, finished_at: finishedAt, failure, next_at: nextAt },
        aliases: views.map(aliasJson),
        next: views.length === limit ? (views.at(-1)?.alias ?? null) : null,
      };
    },
  });

  serve(server, `${base}/aliases/sweep`, {
    POST: async () => {
      keptAliases.sweepNow();
      return { sweeping: true };
    },
  });

  serve(server, `${base}/aliases/:alias/repair`, {
    POST: async (request, reply) => {
      const alias = aliasIn(param(request, "alias"));
      const body = repairBody.safeParse(await readJson(request, 16 * 1024));
      if (!body.success) {
        throw new EmissaryError("bad-request", "The body is to be the `repair` that the list of aliases shows.");
      }
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      await keptAliases.repair(alias, repairIn(body.data), gone.signal);
      return { alias, done: true };
    },
  });
}

function aliasIn(text: string): RoomAlias {
  if (!isRoomAlias(text)) throw new EmissaryError("bad-parameter", `${JSON.stringify(text)} is no room alias.`);
  return text;
}

function repairIn(body: z.output<typeof repairBody>): AliasRepair {
  return body.act === "remove" ? body : { act: "point", roomId: body.room_id, by: body.by };
}

function aliasJson({ roomId, checkedAt, emptySince, repair, ...view }: AliasView): Readonly<Record<string, unknown>> {
  return {
    ...view,
    room_id: roomId,
    checked_at: checkedAt,
    empty_since: emptySince,
    repair: repair?.act === "point" ? { act: "point", room_id: repair.roomId, by: repair.by } : repair,
  };
}
