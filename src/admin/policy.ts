import { EmissaryError, clauseOf, sentenceOf } from "../model/errors.ts";
import { isRoomAlias, isTenantId, type RoomAlias, type RoomId } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import { resolveRoom, type Aliases } from "../attendance/leases/target.ts";
import { faultInEntity } from "../policy/entities.ts";
import { isByAlias } from "../policy/rule-book.ts";
import { ENTITY_KINDS, type EntityKind, type PolicyRule } from "../policy/rule.ts";
import type { AdminParts } from "./admin.ts";
import type { AdminAnswer } from "./api/endpoints.ts";
import { guardJson, type GuardParts } from "./guard.ts";
import type { Handlers } from "./handlers.ts";

/** Most rules of one source that are listed one by one. */
const SHOWN_RULES = 500;

type RulesOfSource = AdminAnswer<"policy">["rules"][number];

/** Shows policy's settings, explains verdicts, and edits the operator's own rules. */
export function policyHandlers(parts: AdminParts): Handlers<"policy" | "explain" | "ruleSet" | "ruleRemove"> {
  return {
    async policy() {
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
    async explain({ query }) {
      const holder = holderFor(query.for, parts);
      const { roomId, via } = await resolveRoom(query.room, query.via, parts.aliases);
      const alias = isRoomAlias(query.room) ? query.room : null;
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
    async ruleSet({ body: rule }) {
      const fault = faultInEntity(rule.kind, rule.entity);
      if (fault !== null || !isByAlias(rule)) return { outcome: await parts.guard.rules.set(rule) };
      const pin = await roomToStandFor(parts.aliases, rule.entity);
      return { outcome: await parts.guard.rules.set({ ...rule, pin }), stands_for: pin };
    },
    async ruleRemove({ params: { kind: given, entity } }) {
      const kind = kindOf(given);
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
  };
}

function holderFor(text: string, { tenants }: AdminParts): Holder {
  switch (text) {
    case "user":
      // No particular user: one with a full budget.
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
    const sentence = `\`for\` must be user, tenant:ID, alias, invite or operator, not ${JSON.stringify(text.slice(0, 80))}.`;
    throw new EmissaryError("bad-parameter", sentence);
  }
  if (!isTenantId(named) || tenants.byId(named) === null) {
    throw new EmissaryError("not-found", `There is no tenant ${JSON.stringify(named.slice(0, 80))}.`);
  }
  return { kind: "tenant", name: named };
}

function kindOf(text: string): EntityKind {
  const kind = ENTITY_KINDS.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw new EmissaryError(
    "bad-parameter",
    `Rules are about a ${ENTITY_KINDS.join(", ")}, not ${JSON.stringify(text.slice(0, 80))}.`,
  );
}

/** Returns the number of rules by source, and lists those of the configuration and the operator. */
function rulesJson({ rules, pointers }: GuardParts): RulesOfSource[] {
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

/** Describes a rule. An exception by one alias has its room, and where the alias points now if elsewhere. */
function ruleJson(rule: PolicyRule, pointers: GuardParts["pointers"]): RulesOfSource["rules"][number] {
  const { kind, entity, verdict, reason, pin } = rule;
  const shown = { kind, entity, verdict, reason };
  if (!isByAlias(rule) || !isRoomAlias(entity)) return shown;
  const seen = pointers.seen(entity);
  const isElsewhere = pin !== undefined && seen !== null && seen.roomId !== pin;
  return { ...shown, stands_for: pin ?? null, moved: isElsewhere, moved_to: isElsewhere ? seen.roomId : null };
}

/**
 * Returns the room that an alias points to now, to pin it in a grant or an exception. Throws if it is unknown: a grant
 * without a pin would benefit whoever points the alias somewhere first.
 * @throws EmissaryError `bad-request`, `not-found`, or why the homeserver cannot be asked
 */
export async function roomToStandFor(aliases: Aliases, alias: string): Promise<RoomId> {
  if (!isRoomAlias(alias)) throw new EmissaryError("bad-request", `${JSON.stringify(alias)} is not a room alias.`);
  const found = await asked(aliases, alias);
  if (found !== null) return found.roomId;
  throw new EmissaryError("not-found", `The alias ${alias} points to no room: ${INSTEAD}, once there is one.`);
}

const INSTEAD = "name the room by its ID (!…)";

async function asked(aliases: Aliases, alias: RoomAlias): ReturnType<Aliases["resolve"]> {
  try {
    return await aliases.resolve(alias);
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    const { code, reason, retryAfter } = error;
    const details = { ...(reason === null ? {} : { reason }), ...(retryAfter === null ? {} : { retryAfter }) };
    throw new EmissaryError(
      code,
      `Which room ${alias} stands for cannot be told: ${clauseOf(sentenceOf(error))}. Or ${INSTEAD}.`,
      { ...details, cause: error },
    );
  }
}
