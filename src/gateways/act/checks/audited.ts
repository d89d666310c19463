import type { FastifyReply } from "fastify";
import type { RoomId } from "../../../model/ids.ts";
import { parsedObject, stringAt, written, type JsonObject } from "../../../model/json.ts";
import type { Tenant } from "../../../model/tenant.ts";
import type { ActParts } from "../act.ts";

/** Something that a tenant has the pseudouser do in a room. */
export interface AuditedDeed {
  readonly method: "PUT" | "POST";
  readonly path: string;
  readonly body: JsonObject;
  readonly roomId: RoomId;
  /** For the audit: `event.send` … */
  readonly action: string;
  readonly detail: JsonObject;
  /** The answer, where the homeserver's own is that of another call. */
  readonly said?: JsonObject;
}

/** Has the homeserver do it, and audits what became of it before the tenant hears of it. */
export async function passAudited(
  { upstream, lanes, audit }: Pick<ActParts, "upstream" | "lanes" | "audit">,
  tenant: Tenant,
  reply: FastifyReply,
  { method, path, body, roomId, action, detail, said: instead }: AuditedDeed,
): Promise<FastifyReply> {
  const bytes = Buffer.from(written(body));
  const answer = await lanes.put(tenant.id, roomId, () => upstream.answer(method, path, bytes));
  const said = parsedObject(answer.body);
  const eventId = stringAt(said, "event_id");
  await audit.noteDone({
    actor: `tenant:${tenant.id}`,
    action,
    outcome: answer.status === 200 ? "done" : (stringAt(said, "errcode") ?? String(answer.status)),
    roomId,
    detail: eventId === null ? detail : { ...detail, event_id: eventId },
  });
  if (answer.status === 200 && instead !== undefined) return reply.send(instead);
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}
