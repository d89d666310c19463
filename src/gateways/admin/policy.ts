import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomAlias, isServerName, isTenantId, type ServerName } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { Holder } from "../../model/lease.ts";
import { resolveRoom } from "../../leases/target.ts";
import { readJson } from "../../platform/http/body.ts";
import { param, queryAll, serve } from "../../platform/http/server.ts";
import { faultInEntity } from "../../policy/entities.ts";
import { isByAlias } from "../../policy/rule-book.ts";
import { ENTITY_KINDS, type EntityKind, type PolicyRule } from "../../policy/rule.ts";
import type { AdminParts } from "./admin.ts";
import { guardJson, type GuardParts } from "./guard.ts";
import { roomToStandFor } from "./pins.ts";

/** Rules of one source that are shown one by one. */
const SHOWN_RULES = 500;
const MAX_VIA = 20;

const ruleBody = z.strictObject({
  kind: z.enum(ENTITY_KINDS),
  entity: z.string(),
  verdict: z.enum(["allow", "deny"]),
  reason: z.string().nullable().default(null),
});

/** What policy goes by, why it says what it says, and the operator's own rules. */
export function policyRoutes(server: FastifyInstance, base: string, parts: AdminParts): void {
  serve(server, `${base}/policy`, {
    GET: async () => {
      const { maxMembers, maxEventRate, refuseVersions, ownInvites, lists } = parts.guard.config();
      return {
        ...(await guardJson(parts.guard, parts.clock.now())),
        max_members: maxMembers,
        max_event_rate: maxEventRate,
        refuse_versions: refuseVersions,
        own_invites: ownInvites,
        lists,
        list_rooms: parts.guard.lists().map(({ room, readAt, failures, moved }) => ({
          room_id: room,
          read_at: readAt,
          failures,
          alias: moved?.alias ?? null,
          moved_to: moved?.to ?? null,
        })),
        rules: rulesJson(parts.guard),
      };
    },
  });

  serve(server, `${base}/policy/explain`, {
    GET: async (request) => {
      const room = queryAll(request, "room")[0] ?? "";
      const holder = holderFor(queryAll(request, "for")[0] ?? "user", parts);
      const { roomId, via } = await resolveRoom(room, routesIn(request), parts.aliases);
      const alias = isRoomAlias(room) ? room : null;
      const { verdict, findings } = await parts.guard.policy.explain({ roomId, holder, via, alias });
      return {
        room_id: roomId,
        alias,
        for: holder.kind === "tenant" ? `tenant:${holder.name}` : holder.kind === "peek" ? "user" : holder.kind,
        verdict: {
          allowed: verdict.allowed,
          code: verdict.code,
          reason: verdict.reason,
          retry_after_ms: verdict.retryAfter,
        },
        rules: findings.map(({ code, verdict: word, reason, inputs }) => ({ code, verdict: word, reason, inputs })),
      };
    },
  });

  serve(server, `${base}/policy/rules`, {
    POST: async (request) => {
      const body = ruleBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) {
        const issues = body.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
        throw new EmissaryError("bad-request", `This is no rule: ${issues.join("; ")}.`);
      }
      const { data: rule } = body;
      const fault = faultInEntity(rule.kind, rule.entity);
      if (fault !== null || !isByAlias(rule)) return { outcome: await parts.guard.rules.set(rule) };
      const pin = await roomToStandFor(parts.aliases, rule.entity);
      return { outcome: await parts.guard.rules.set({ ...rule, pin }), stands_for: pin };
    },
  });

  serve(server, `${base}/policy/rules/:kind/:entity`, {
    DELETE: async (request) => {
      const kind = kindOf(param(request, "kind"));
      const entity = param(request, "entity");
      const fault = faultInEntity(kind, entity);
      if (fault !== null) throw new EmissaryError("bad-parameter", `There is no such rule: ${fault}.`);
      if (await parts.guard.rules.remove(kind, entity)) return { removed: true };
      const others = parts.guard.rules.all().filter((rule) => rule.kind === kind && rule.entity === entity);
      const where = others.map(({ source }) =>
        source === "config" ? "the configuration" : `the policy list ${source}`,
      );
      const besides =
        where.length === 0 ? "" : ` There is one of ${where.join(", ")}: allow what it denies, or change it there.`;
      throw new EmissaryError("not-found", `The operator has no rule about the ${kind} ${entity}.${besides}`);
    },
  });
}

/** Whom a verdict is asked for. */
function holderFor(text: string, { tenants }: AdminParts): Holder {
  switch (text) {
    case "user":
      // No user in particular: one who has a whole budget.
      return { kind: "peek", name: "" };
    case "alias":
    case "invite":
      return { kind: text, name: "" };
    case "operator":
      return { kind: "operator", name: "operator" };
  }
  const all = tenants.all().map(({ id }) => id);
  const [only, ...more] = all;
  if (text === "tenant") {
    if (only !== undefined && more.length === 0) return { kind: "tenant", name: only };
    const which = only === undefined ? "There is no tenant." : `Say which tenant, as in tenant:${only}.`;
    throw new EmissaryError("bad-parameter", which);
  }
  const named = /^tenant:(.*)$/s.exec(text)?.[1];
  if (named === undefined) {
    const sentence = `\`for\` is to be user, tenant:ID, alias, invite or operator, not ${JSON.stringify(text.slice(0, 80))}.`;
    throw new EmissaryError("bad-parameter", sentence);
  }
  if (!isTenantId(named) || tenants.byId(named) === null) {
    throw new EmissaryError("not-found", `There is no tenant ${JSON.stringify(named.slice(0, 80))}.`);
  }
  return { kind: "tenant", name: named };
}

function routesIn(request: FastifyRequest): readonly ServerName[] {
  const via = queryAll(request, "via");
  if (via.length > MAX_VIA) throw new EmissaryError("bad-parameter", `At most ${MAX_VIA} servers go into \`via\`.`);
  return via.map((server) => {
    if (isServerName(server)) return server;
    throw new EmissaryError("bad-parameter", `\`via\`: ${JSON.stringify(server.slice(0, 80))} is no server name.`);
  });
}

function kindOf(text: string): EntityKind {
  const kind = ENTITY_KINDS.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw new EmissaryError(
    "bad-parameter",
    `Rules are about a ${ENTITY_KINDS.join(", ")}, not ${JSON.stringify(text.slice(0, 80))}.`,
  );
}

/** By source: how many rules there are, and the configuration's and the operator's themselves. */
function rulesJson({ rules, pointers }: GuardParts): JsonObject[] {
  return [...Map.groupBy(rules.all(), ({ source }) => source)].map(([source, of]) => {
    const isOurs = source === "config" || source === "operator";
    const shown = isOurs ? of.slice(0, SHOWN_RULES) : [];
    return {
      source,
      allow: of.filter(({ verdict }) => verdict === "allow").length,
      deny: of.filter(({ verdict }) => verdict === "deny").length,
      rules: shown.map((rule) => ruleJson(rule, pointers)),
      set_aside: rules.book.setAside(source),
    };
  });
}

/** Of an exception by one alias also which room it stands for, and whether the alias points elsewhere by what was said last. */
function ruleJson(rule: PolicyRule, pointers: GuardParts["pointers"]): JsonObject {
  const { kind, entity, verdict, reason, pin } = rule;
  const shown = { kind, entity, verdict, reason };
  if (!isByAlias(rule) || !isRoomAlias(entity)) return shown;
  const seen = pointers.seen(entity);
  const isElsewhere = pin !== undefined && seen !== null && seen.roomId !== pin;
  return { ...shown, stands_for: pin ?? null, moved: isElsewhere, moved_to: isElsewhere ? seen.roomId : null };
}
