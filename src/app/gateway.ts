import type { FastifyInstance } from "fastify";
import type { Keeper } from "../attendance/keeper.ts";
import type { StandIns } from "../attendance/stand-ins.ts";
import type { JournalFeed } from "../tenants/feed/feed.ts";
import type { Couriers } from "../tenants/delivery/couriers.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { RoomEvent } from "../model/event.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import { BytesHeld } from "../concurrency/bytes-held.ts";
import type { TenantId } from "../model/ids.ts";
import type { Pointers } from "../policy/pointers.ts";
import type { RouteHealth } from "../policy/route-health.ts";
import type { Routes } from "../policy/routes.ts";
import type { Tenants } from "../policy/tenants.ts";
import { AuditQueue } from "../tenants/act/checks/audit-queue.ts";
import { WriteLanes } from "../tenants/act/checks/lane.ts";
import { TenantRates } from "../tenants/act/checks/rate.ts";
import { Refusals } from "../tenants/act/checks/refusals.ts";
import { Repeats } from "../tenants/act/checks/repeats.ts";
import { Typists } from "../tenants/act/checks/typists.ts";
import { SharedAnnotations } from "../tenants/act/events/annotations.ts";
import { HalfMade } from "../tenants/act/rooms/half-made.ts";
import { actSurface } from "../tenants/act/routes.ts";
import { LazyMembers } from "../tenants/sync/lazy-members.ts";
import { TenantSync } from "../tenants/sync/sync.ts";
import { Admission } from "../http/door/admission.ts";
import { doorRoutes, passOnTo } from "../http/door/door.ts";
import { hiddenOf } from "../peek/screened.ts";
import { SharedLook } from "../peek/shared/look.ts";
import { SharedRooms } from "../peek/shared/rooms.ts";
import { ignoredByOn, TokenChecks } from "../peek/shared/token-checks.ts";
import { Strangers } from "../peek/shared/strangers.ts";
import { PeekChanges, RoomNews } from "../peek/msc2753/news.ts";
import { SlidingSync } from "../peek/sliding/sync.ts";
import { DeviceSync } from "../peek/msc2753/sync.ts";
import { Peeker } from "../peek/peeker.ts";
import { RoutesMemory } from "../peek/routes-memory.ts";
import { peekSurface } from "../peek/routes.ts";
import { KnownUsers } from "../peek/users.ts";
import { ReaderRooms } from "../peek/homeserver/reader.ts";
import { HomeserverRoomLinks } from "../peek/homeserver/room-links.ts";
import { HomeserverStates } from "../ledger/loading/homeserver-states.ts";
import { HomeserverUpstream } from "../homeserver/upstream.ts";
import { readerOf } from "../model/reader.ts";
import { compileExpression } from "../platform/expressions.ts";
import { disown } from "../http/disown.ts";
import type { Shared } from "./shared.ts";

/** The parts that the gateway shares with the rest of Emissary. */
export interface GatewayParts extends Shared {
  readonly feed: JournalFeed;
  readonly recorder: Recorder;
  readonly tenants: Tenants;
  readonly desk: LeaseDesk;
  readonly pointers: Pointers;
  readonly routes: Routes;
  readonly health: RouteHealth;
  readonly keeper: Keeper;
  readonly standIns: StandIns;
  readonly couriers: Couriers;
  /** Called when a tenant's sync begins anew. */
  readonly missed: (tenant: TenantId, why: string) => void;
}

const MIB = 1024 * 1024;
/** Memory for all answers that are held to be examined. */
const HELD = {
  tenants: { common: 24 * MIB, each: 8 * MIB },
  users: { common: 32 * MIB, each: 8 * MIB },
} as const;

export interface Gateway {
  /** Starts the background work. Each promise settles some time after the stop. */
  readonly start: () => readonly Promise<unknown>[];
  /** Called with written events. */
  readonly heard: (events: readonly RoomEvent[]) => void;
  readonly halfMade: HalfMade;
}

export function gatewayRoutes(server: FastifyInstance, parts: GatewayParts): Gateway {
  const { config, own, storage, client, recorder, desk, pointers, metrics, clock, log, stopping } = parts;
  const { ledger, personas, sent } = storage;
  const audit = new AuditQueue({
    ...parts,
    writer: sent,
    late: (entries) => metrics.auditLate.set(entries),
    abort: stopping,
  });
  const reserved = config.registration.reservedAliases.flatMap((regex) => {
    const compiled = compileExpression(regex);
    if ("expression" in compiled) return [compiled.expression];
    log.warn("registration.namespace-unread", { regex, fault: compiled.fault });
    return [];
  });
  const noPlace = (who: string, kind: string) => () => metrics.noPlace.inc({ who, kind });
  const forTenants = client.of("tenants");
  const tenantsHeld = new BytesHeld(HELD.tenants, clock, noPlace("tenant", "memory"));
  const upstream = new HomeserverUpstream(forTenants, tenantsHeld, { device: parts.device });
  const shared = { ...parts, ledger, personas, upstream };
  const annotations = new SharedAnnotations({ ...shared, store: storage.annotations });
  const halfMade = new HalfMade({ ...shared, store: storage.makings });
  const act = actSurface({
    ...shared,
    halfMade,
    leases: storage.leases,
    journal: storage.journal,
    aliases: pointers,
    isReservedAlias: (alias) => reserved.some(({ matches }) => matches(alias)),
    audit,
    refusals: new Refusals(audit, clock, log, stopping),
    rates: new TenantRates(config.gateway, clock),
    lanes: new WriteLanes(clock, stopping),
    owners: sent,
    annotations,
    typists: new Typists(clock),
    repeats: new Repeats(sent, clock),
    mutex: new KeyedMutex<string>(),
    count: (outcome) => metrics.actRequests.inc({ outcome }),
    media: storage.media,
    personaFallback: config.gateway.personaFallback,
    sync: new TenantSync({
      ...shared,
      facts: storage.syncFacts,
      lazyMembers: new LazyMembers(ledger, upstream),
      sent,
      journal: storage.journal,
      changes: storage.leaseChanges,
      states: new HomeserverStates(forTenants),
      news: [recorder.committed, recorder.ownChanged, desk.changed],
    }),
    held: tenantsHeld,
  });
  const routes = new RoutesMemory(config.homeserver.serverName);
  const forUsers = client.of("users");
  const usersHeld = new BytesHeld(HELD.users, clock, noPlace("user", "memory"));
  const users = new KnownUsers(forUsers, clock);
  const ignoredBy = ignoredByOn(forUsers);
  const checks = new TokenChecks(ignoredBy, clock);
  const unknown = (token: string): void => {
    users.forget(token);
    checks.doubt(token);
  };
  const usersUpstream = new HomeserverUpstream(forUsers, usersHeld, { unknown });
  const reader = readerOf(config.homeserver.serverName);
  const isClaimed = config.registration.claimsReader;
  const news = new RoomNews(parts.journal);
  const changes = new PeekChanges();
  const peekSignals = [recorder.ownChanged, desk.changed];
  const reads = { client: forUsers, held: usersHeld };
  const lookAs = (isRaw: boolean): SharedLook => {
    const rooms = new ReaderRooms({ ...reads, reader, isClaimed, isRaw, clock });
    return new SharedLook({ rooms, news, clock, stopping });
  };
  const strangers = new Strangers({ reader, ledger, users });
  const sharedRooms = { ...reads, look: lookAs(true), strangers };
  const peekedRooms = new SharedRooms({ ...sharedRooms, ignoredBy });
  const peeker = new Peeker({
    ...shared,
    leases: storage.leases,
    peeks: storage.peeks,
    aliases: pointers,
    client: forUsers,
    routes,
    options: config.peek,
    secret: config.registration.asToken,
  });
  const views = {
    ...parts,
    store: storage.peeks,
    rooms: peekedRooms,
    links: new HomeserverRoomLinks(reads),
    news,
    signals: [changes.changed],
    users,
    peeker,
  };
  const peek = peekSurface({
    own,
    hidden: hiddenOf(own, storage.pseudousers),
    upstream: usersUpstream,
    users,
    peeker,
    devices: new DeviceSync({
      ...views,
      followed: new SharedRooms({ ...sharedRooms, ignoredBy: checks.ignoredBy }),
      checks,
    }),
    polls: { look: lookAs(false), strangers, ignoredBy, ignoredRecently: checks.ignoredBy },
    sliding: new SlidingSync(views),
    peeks: storage.peeks,
    checks,
    peekedRooms,
    routes,
    health: parts.health,
    ledger,
    count: (outcome) => metrics.peekRequests.inc({ outcome }),
  });
  doorRoutes(server, {
    tenants: act,
    users: peek,
    passOn: config.gateway.frontDoor ? passOnTo(usersUpstream) : null,
    admission: new Admission({
      own: config.homeserver.serverName,
      clock,
      userOf: async (token) => (await users.identify(token))?.userId ?? null,
      disown: (request, reply) => disown(usersUpstream, request, reply),
      refused: (who, kind) => metrics.noPlace.inc({ who, kind }),
    }),
  });
  return {
    start: () => [
      news.follow(recorder.committed, clock, log, stopping),
      changes.follow({ store: storage.peeks, signals: peekSignals, clock, log }, stopping),
    ],
    halfMade,
    heard: (events) => {
      annotations.heard(events).catch((error: unknown) => log.error("annotations.failed", { error }));
    },
  };
}
