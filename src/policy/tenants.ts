import { createHmac } from "node:crypto";
import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { Compile } from "../model/expression.ts";
import type { RoomAlias, RoomId, ServerName, TenantId, UserId } from "../model/ids.ts";
import type { Viewer } from "../model/persona.ts";
import { Signal } from "../concurrency/signal.ts";
import { ANY_ROOM, SENDER_PREFIX, type Grant, type Tenant, type TenantAction } from "../model/tenant.ts";
import { overlapOf } from "./namespaces.ts";
import { hasSamePins, isSameGrant, MAX_GRANTS, namesRoom } from "./grants.ts";
import { movedAlias } from "./permit.ts";
import { PersonaOwners, type TenantOverlap } from "./persona-owners.ts";
import { tokenHash } from "../model/token-hash.ts";

/** A tenant as it is stored: of its tokens only what cannot be turned back into them. */
export interface StoredTenant {
  readonly tenant: Tenant;
  /** SHA-256 of the token that the tenant shows us. */
  readonly tokenHash: string;
  /** Goes into the token that we show the tenant (see hsTokenOf). */
  readonly hsSalt: string;
}

/** What of a tenant the operator can change while it runs. */
export type TenantSettings = Pick<Tenant, "url" | "users" | "ephemeral" | "maxTransaction" | "ca">;

export interface TenantStore {
  /** Every tenant, in the order of their IDs. */
  all(): Promise<readonly StoredTenant[]>;
  /** Adds a tenant, with an audit row; false where the ID is taken. */
  add(stored: StoredTenant, at: number): Promise<boolean>;
  /** The first user that is known of a tenant, in the order of their IDs, for which the question is answered with yes; or null. */
  personaIn(id: TenantId, isMeant: (userId: UserId) => boolean): Promise<UserId | null>;
  /** Changes settings, with an audit row; leases and tokens stay. False where there is no such tenant. */
  set(id: TenantId, settings: TenantSettings, at: number): Promise<boolean>;
  /** Gives new tokens; false where there is no such tenant. */
  rotate(id: TenantId, tokenHash: string, hsSalt: string, at: number): Promise<boolean>;
  /** Adds a grant, in place of all it had where `only` says so, with an audit row; false where there is no such tenant. */
  allow(
    id: TenantId,
    grant: Grant,
    how: { readonly only: boolean; readonly actor: string },
    at: number,
  ): Promise<boolean>;
  /**
   * Has an alias of all the tenant's grants that allow the same stand for these rooms, with an audit row; false where there is no such
   * tenant, or no such grant.
   */
  repin(id: TenantId, grant: Grant, at: number): Promise<boolean>;
  /** Notes where a granted alias was found to point instead of to the room that it was granted for. */
  noteMoved(id: TenantId, alias: RoomAlias, to: RoomId, at: number): Promise<void>;
  /** Holds deliveries back from now on, or no longer, with an audit row; false where there is no such tenant. */
  pause(id: TenantId, isPaused: boolean, at: number): Promise<boolean>;
  /** Removes the tenant and ends its leases, in one commit. Null where there is no such tenant. */
  remove(id: TenantId, at: number): Promise<{ readonly leasesEnded: number } | null>;
}

export interface TenantTokens {
  readonly asToken: string;
  readonly hsToken: string;
}

/** A new tenant as the operator asks for it. */
export interface TenantWish extends TenantSettings {
  readonly id: TenantId;
  /** What it may do in public rooms. */
  readonly actions: readonly TenantAction[];
}

/** What came of calling a tenant (spec v1.7, AS API, "Pinging"; MSC2659). */
export type PingOutcome =
  | { readonly ok: true; readonly ms: number }
  | {
      readonly ok: false;
      readonly why: "no-url" | "connection-failed" | "connection-timeout" | "bad-status";
      /** What it answered; null where it gave no answer. */
      readonly status: number | null;
      readonly body: string | null;
      readonly sentence: string;
    };

/** Calls a tenant at its URL with its hs_token, to learn whether both are right. Never rejects. */
export interface TenantPinger {
  ping(tenant: Tenant, transactionId: string | null): Promise<PingOutcome>;
}

/** The tenants of this homeserver and the tokens that they show. Held whole in memory: there are few, and every request asks. */
export class Tenants {
  /** Fires after each change of the tenants or of what they may do. */
  readonly changed = new Signal();

  readonly #store: TenantStore;
  readonly #server: ServerName;
  readonly #secret: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #own: UserId;
  /** In the order of their IDs. */
  #all: readonly Tenant[] = [];
  #byHash = new Map<string, Tenant>();
  #salts = new Map<TenantId, string>();
  readonly #owners: PersonaOwners;

  /** @param secret what hs_tokens are derived with: known to this installation, and not in the database. */
  constructor(parts: {
    store: TenantStore;
    own: UserId;
    server: ServerName;
    /** Reads the expressions of tenants' namespaces. */
    compile: Compile;
    secret: string;
    clock: Clock;
    random: Random;
  }) {
    this.#store = parts.store;
    this.#own = parts.own;
    this.#server = parts.server;
    this.#owners = new PersonaOwners(parts);
    this.#secret = parts.secret;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  async start(): Promise<void> {
    await this.#load();
    this.changed.notify();
  }

  async #load(): Promise<void> {
    const all = await this.#store.all();
    this.#byHash = new Map(all.map(({ tenant, tokenHash }) => [tokenHash, tenant]));
    this.#all = sorted(this.#byHash.values());
    this.#owners.begin(this.#all);
    this.#salts = new Map(all.map(({ tenant, hsSalt }) => [tenant.id, hsSalt]));
  }

  /** The tenant that a token belongs to. The table is asked by the token's hash, so that timing tells nothing of the token. */
  byToken(token: string): Tenant | null {
    return this.#byHash.get(tokenHash(token)) ?? null;
  }

  byId(id: string): Tenant | null {
    for (const tenant of this.#byHash.values()) if (tenant.id === id) return tenant;
    return null;
  }

  all(): readonly Tenant[] {
    return this.#all;
  }

  /**
   * @throws EmissaryError `in-use` where the ID is taken, or the namespace certainly has users of another tenant: its sender, one that
   *   it has registered, or whatever else both expressions are seen to match.
   */
  async add(wish: TenantWish): Promise<{ readonly tenant: Tenant; readonly tokens: TenantTokens }> {
    const now = this.#clock.now();
    const { actions, ...given } = wish;
    const tenant: Tenant = {
      ...given,
      sender: senderOf(wish.id, this.#server),
      grants: [{ rooms: [ANY_ROOM], actions, types: null, source: "operator" }],
      pausedAt: null,
      createdAt: now,
    };
    await this.#requireApart(tenant);
    const { asToken, hsSalt } = this.#fresh();
    if (!(await this.#store.add({ tenant, tokenHash: tokenHash(asToken), hsSalt }, now))) {
      throw new EmissaryError(
        "in-use",
        `There is a tenant ${wish.id} already: take another ID, or remove that one first.`,
      );
    }
    await this.start();
    return { tenant, tokens: { asToken, hsToken: this.hsTokenOf(tenant.id) } };
  }

  /** Changes what is named and leaves the rest: its leases and tokens, too. @throws EmissaryError `not-found`; `in-use` as add does */
  async set(id: string, changes: Partial<TenantSettings>): Promise<Tenant> {
    const tenant = this.#known(id);
    const changed = { ...tenant, ...changes };
    if (changed.users !== tenant.users) await this.#requireApart(changed);
    await this.#store.set(tenant.id, changed, this.#clock.now());
    return this.#again(id);
  }

  /** @throws EmissaryError `not-found` */
  async rotate(id: string): Promise<{ readonly tenant: Tenant; readonly tokens: TenantTokens }> {
    const tenant = this.#known(id);
    const { asToken, hsSalt } = this.#fresh();
    await this.#store.rotate(tenant.id, tokenHash(asToken), hsSalt, this.#clock.now());
    await this.start();
    return { tenant, tokens: { asToken, hsToken: this.hsTokenOf(tenant.id) } };
  }

  /** @throws EmissaryError `not-found` */
  async remove(id: string): Promise<{ readonly leasesEnded: number }> {
    const tenant = this.#known(id);
    const removed = await this.#store.remove(tenant.id, this.#clock.now());
    await this.start();
    return removed ?? { leasesEnded: 0 };
  }

  /**
   * Adds a grant, or has it replace all the tenant had. One that the tenant has already is not added again: its aliases stand for the
   * rooms from now on that they are said to stand for (`pins`).
   * @param actor whose doing it is, as the audit has it
   * @throws EmissaryError `not-found`; `bad-request` where the tenant has as many as may be
   */
  async allow(id: string, grant: Grant, only = false, actor = "operator"): Promise<Tenant> {
    const tenant = this.#known(id);
    const same = only ? undefined : tenant.grants.find((had) => isSameGrant(had, grant));
    if (same !== undefined && hasSamePins(same, grant)) return tenant;
    if (same !== undefined) {
      await this.#store.repin(tenant.id, grant, this.#clock.now());
      return this.#again(id);
    }
    if (!only && tenant.grants.length >= MAX_GRANTS) {
      throw new EmissaryError(
        "bad-request",
        `Tenant ${tenant.id} has ${MAX_GRANTS} grants, and more are not kept: have one grant with globs replace them (emissary tenant allow --only).`,
      );
    }
    await this.#store.allow(tenant.id, grant, { only, actor }, this.#clock.now());
    return this.#again(id);
  }

  /**
   * The tenant was invited to the room: it may do there what it may in public ones. Where the operator lets it into certain
   * rooms only, an invite changes nothing: whoever invites is no operator.
   */
  async allowInvited({ id, grants }: Tenant, roomId: RoomId, inviter: UserId | null): Promise<void> {
    const actor = inviter === null ? "emissary" : `user:${inviter}`;
    for (const grant of grants.filter(({ rooms }) => rooms.includes(ANY_ROOM))) {
      await this.allow(id, { ...grant, rooms: [roomId], source: "invite" }, false, actor);
    }
  }

  /**
   * The directory says that an alias points to a room. Where the alias was granted to the tenant for others, that is written for the
   * operator to see, before the tenant is told.
   */
  async noteTarget({ id }: Tenant, alias: RoomAlias, roomId: RoomId): Promise<void> {
    const tenant = this.#known(id);
    if (movedAlias(tenant, alias, roomId) === null) return;
    const pins = tenant.grants.flatMap(({ pins: of = [] }) => of).filter((pin) => pin.alias === alias);
    if (pins.every(({ moved }) => moved?.to === roomId)) return;
    await this.#store.noteMoved(id, alias, roomId, this.#clock.now());
    // What the tenants may do is as it was, so nothing is judged again.
    await this.#load();
  }

  /**
   * Has grants that name a room name the one that replaces it, too, in memory alone, until tenants are read anew: whoever writes that
   * down calls this before.
   */
  assume(id: string, from: RoomId, to: RoomId): void {
    for (const [hash, tenant] of this.#byHash) {
      if (tenant.id !== id) continue;
      const more = tenant.grants.filter((grant) => namesRoom(grant, from));
      const follow = more.map(({ actions, types }): Grant => ({ rooms: [to], actions, types, source: "upgrade" }));
      this.#byHash.set(hash, { ...tenant, grants: [...tenant.grants, ...follow] });
    }
    this.#all = sorted(this.#byHash.values());
  }

  /** Holds the tenant's deliveries back, or no longer. @throws EmissaryError `not-found` */
  async pause(id: string, isPaused: boolean): Promise<Tenant> {
    await this.#store.pause(this.#known(id).id, isPaused, this.#clock.now());
    return this.#again(id);
  }

  /** Whether a tenant may act as a user: its sender, or one of its namespace (PersonaOwners). */
  isPersona(tenant: Tenant, userId: UserId): boolean {
    return userId === tenant.sender || this.#owners.ownerOf(userId) === tenant.id;
  }

  /** Whether a user is any tenant's. */
  isTenants(userId: UserId): boolean {
    return this.#owners.ownerOf(userId) !== null;
  }

  /** Whether a user is another tenant's. */
  isOthers(tenant: Tenant, userId: UserId): boolean {
    const owner = this.#owners.ownerOf(userId);
    return owner !== null && owner !== tenant.id;
  }

  /** What is known of a tenant's namespace and those of the other tenants, in the order of their IDs. */
  overlapsOf(tenant: Tenant): readonly TenantOverlap[] {
    return this.#owners.overlapsOf(tenant);
  }

  /** Why a tenant has no personas, although it was to have some; null where its namespace can be read. */
  faultIn(tenant: Tenant): string | null {
    return this.#owners.faultIn(tenant);
  }

  /** Whose eyes events are seen with that go to a tenant. */
  viewerOf(tenant: Tenant): Viewer {
    return {
      own: this.#own,
      tenant,
      isPersona: (userId) => this.isPersona(tenant, userId),
      isTenants: (userId) => this.isTenants(userId),
    };
  }

  /**
   * The token that we show a tenant. Derived, not stored: we must be able to show it, and whoever reads the database must not.
   * It changes with the salt (rotate) and with this installation's own secret.
   */
  hsTokenOf(id: TenantId): string {
    const salt = this.#salts.get(id) ?? "";
    return createHmac("sha256", this.#secret).update(`tenant hs_token\n${id}\n${salt}`).digest("base64url");
  }

  async #requireApart(tenant: Tenant): Promise<void> {
    const { names } = this.#owners;
    for (const other of this.#all.filter(({ id }) => id !== tenant.id)) {
      const shared = overlapOf(tenant, other, names)?.user ?? (names(tenant, other.sender) ? other.sender : null);
      // Its sender may be one that the other has registered.
      const known = shared ?? (await this.#store.personaIn(other.id, (userId) => names(tenant, userId)));
      if (known !== null) {
        throw new EmissaryError(
          "in-use",
          `The tenant ${tenant.id} cannot have ${known}, which belongs to the tenant ${other.id}: give it a namespace (or an ID) that has no user of another tenant's.`,
        );
      }
    }
  }

  async #again(id: string): Promise<Tenant> {
    await this.start();
    return this.#known(id);
  }

  #known(id: string): Tenant {
    const tenant = this.byId(id);
    if (tenant === null) {
      throw new EmissaryError(
        "not-found",
        `There is no tenant ${JSON.stringify(id)}: \`emissary tenant list\` shows those there are.`,
      );
    }
    return tenant;
  }

  #fresh(): { readonly asToken: string; readonly hsSalt: string } {
    return { asToken: this.#random.token(32), hsSalt: this.#random.token(16) };
  }
}

/** The user that a tenant takes itself for. */
export function senderOf(id: TenantId, server: ServerName): UserId {
  return `@${senderLocalpartOf(id)}:${server}` as UserId;
}

export function senderLocalpartOf(id: TenantId): string {
  return `${SENDER_PREFIX}${id}`;
}

function sorted(tenants: Iterable<Tenant>): readonly Tenant[] {
  return [...tenants].sort((a, b) => (a.id < b.id ? -1 : 1));
}
