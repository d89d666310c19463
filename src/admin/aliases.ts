import type { AliasView } from "../aliases/alias.ts";
import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias } from "../model/ids.ts";
import type { AdminParts } from "./admin.ts";
import type { AliasAnswer } from "./api/aliases.ts";
import { type Handlers, nextOf } from "./handlers.ts";

export function aliasHandlers({ keptAliases }: AdminParts): Handlers<"aliases" | "aliasSweep" | "aliasRepair"> {
  return {
    async aliases({ query: { after, limit } }) {
      const views = await keptAliases.page(after, limit);
      const { running, finishedAt, failure, nextAt } = keptAliases.progress;
      return {
        keep: keptAliases.isOn,
        sweep: { running, finished_at: finishedAt, failure, next_at: nextAt },
        aliases: views.map(aliasJson),
        next: nextOf(views, limit, ({ alias }) => alias),
      };
    },
    async aliasSweep() {
      keptAliases.sweepNow();
      return { sweeping: true };
    },
    async aliasRepair({ params: { alias }, body, gone }) {
      if (!isRoomAlias(alias)) throw new EmissaryError("bad-parameter", `${JSON.stringify(alias)} is no room alias.`);
      const repair = body.act === "remove" ? body : { act: body.act, roomId: body.room_id, by: body.by };
      await keptAliases.repair(alias, repair, gone);
      return { alias, done: true };
    },
  };
}

function aliasJson({ roomId, checkedAt, emptySince, repair, ...view }: AliasView): AliasAnswer {
  return {
    ...view,
    room_id: roomId,
    checked_at: checkedAt,
    empty_since: emptySince,
    repair: repair?.act === "point" ? { act: "point", room_id: repair.roomId, by: repair.by } : repair,
  };
}
