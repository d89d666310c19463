import { createHmac } from "node:crypto";
import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { Compile } from "../model/expression.ts";
import { serverOf, type RoomAlias, type RoomId, type ServerName, type TenantId, type UserId } from "../model/ids.ts";
import type { Viewer } from "../model/persona.ts";
import { Signal } from "../concurrency/signal.ts";
import { ANY_ROOM, SENDER_PREFIX, type Grant, type Tenant, type TenantAction } from "../model/tenant.ts";
import { overlapOf } from "./namespaces.ts";
import { hasSamePins, isSameGrant, MAX_GRANTS, namesRoom } from "./grants.ts";
import { movedAlias } from "./permit.ts";
import { PersonaOwners } from "./persona-owners.ts";
import { tokenHash } from "../model/token-hash.ts";

/** A tenant as stored. Of its tokens, only what cannot be turned back into them is stored. */
export interface StoredTenant {
  readonly tenant: Tenant;
  /** SHA-256 of the as_token, which the tenant shows us. */
  readonly tokenHash: string;
  /** Part of the input of the hs_token, which we show the tenant (see hsTokenOf). */
  readonly hsSalt: string;
}

/** The settings of a tenant that the operator can change while it runs. */
export type TenantSettings = Pick<Tenant, "url" | "users" | "ephemeral" | "maxTransaction" | "ca">;

/** Each change is one commit, with an audit row. It returns false or null if the tenant does not exist. */
export interface TenantStore {
  /** Returns every tenant, ordered by ID. */
  all(): Promise<readonly StoredTenant[]>;
  /** Returns false if the ID is taken. */
  add(stored: StoredTenant, at: number): Promise<boolean>;
  /** Returns the tenant's first known user, ordered by ID, for which `isMeant` returns true; or null. */
  personaIn(id: TenantId, isMeant: (userId: UserId) => boolean): Promise<UserId | null>;
  /** Changes settings. Leases and tokens stay. */
  set(id: TenantId, settings: TenantSettings, at: number): Promise<boolean>;
  /** Replaces the tokens. */
  rotate(id: TenantId, tokenHash: string, hsSalt: string, at: number): Promise<boolean>;
  /** Adds a grant. `only` replaces earlier grants. */
  allow(
    id: TenantId,
    grant: Grant,
    how: { readonly only: boolean; readonly actor: string },
    at: number,
  ): Promise<boolean>;
  /** Pins the aliases of all grants that allow the same as `grant` to the rooms of its pins. False if there is none. */
  repin(id: TenantId, grant: Grant, at: number): Promise<boolean>;
  /** Records that a granted alias points to another room than the one that it was granted for. */
  noteMoved(id: TenantId, alias: RoomAlias, to: RoomId, at: number): Promise<void>;
  /** Pauses or resumes deliveries. */
  pause(id: TenantId, isPaused: boolean, at: number): Promise<boolean>;
  /** Removes the tenant and ends its leases. */
  remove(id: TenantId, at: number): Promise<{ readonly leasesEnded: number } | null>;
}

export interface TenantTokens {
  readonly asToken: string;
  readonly hsToken: string;
}

/** The operator's request for a new tenant. */
export interface TenantWish extends TenantSettings {
  readonly id: TenantId;
  /** What the tenant may do in public rooms. */
  readonly actions: readonly TenantAction[];
}

/** The result of calling a tenant (spec v1.7, AS API, "Pinging"; MSC2659). */
export type PingOutcome =
  | { readonly ok: true; readonly ms: number }
  | {
      readonly ok: false;
      readonly why: "no-url" | "connection-failed" | "connection-timeout" | "bad-status";
      /** The HTTP status; null if the tenant did not answer. */
      readonly status: number | null;
      readonly body: string | null;
      readonly sentence: string;
    };

/** Calls a tenant at its URL with its hs_token, to check both. Never rejects. */
export interface TenantPinger {
  ping(tenant: Tenant, transactionId: string | null): Promise<PingOutcome>;
}

export interface TenantsParts {
  readonly store: TenantStore;
  readonly own: UserId;
  /** Compiles the expressions of tenants' namespaces. */
  readonly compile: Compile;
  /** The key from which hs_tokens are derived. Each installation has its own, outside the database. */
  readonly secret: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** The tenants of this homeserver and their tokens, all in memory: there are few, and every request needs them. */
export class Tenants extends PersonaOwners {
  /** Fires after each change of the tenants or of their permissions. */
  readonly changed = new Signal();

  readonly #parts: TenantsParts;
  /** Ordered by ID. */
  #all: readonly Tenant[] = [];
  #byHash = new Map<string, Tenant>();
  #salts = new Map<TenantId, string>();

  constructor(parts: TenantsParts) {
    super(parts.own, parts.compile);
    this.#parts = parts;
  }

  async start(): Promise<void> {
    await this.#load();
    this.changed.notify();
  }

  async #load(): Promise<void> {
    const all = await this.#parts.store.all();
    this.#byHash = new Map(all.map(({ tenant, tokenHash }) => [tokenHash, tenant]));
    this.#all = sorted(this.#byHash.values());
    this.begin(this.#all);
    this.#salts = new Map(all.map(({ tenant, hsSalt }) => [tenant.id, hsSalt]));
  }

  /** Returns the token's tenant. Looks the token up by its hash, so the timing reveals nothing about the token. */
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
   * Adds a tenant.
   * @throws EmissaryError `in-use` if the ID is taken, or if the namespace certainly has users of another tenant: its
   *   sender, a user that it registered, or a user found to match both expressions.
   */
  async add(wish: TenantWish): Promise<{ readonly tenant: Tenant; readonly tokens: TenantTokens }> {
    const now = this.#parts.clock.now();
    const { actions, ...given } = wish;
    const tenant: Tenant = {
      ...given,
      sender: senderOf(wish.id, serverOf(this.#parts.own)),
      grants: [{ rooms: [ANY_ROOM], actions, types: null, source: "operator" }],
      pausedAt: null,
      createdAt: now,
    };
    await this.#requireApart(tenant);
    const { asToken, hsSalt } = this.#fresh();
    if (!(await this.#parts.store.add({ tenant, tokenHash: tokenHash(asToken), hsSalt }, now))) {
      const sentence = `There is a tenant ${wish.id} already: take another ID, or remove that one first.`;
      throw new EmissaryError("in-use", sentence);
    }
    await this.start();
    return { tenant, tokens: { asToken, hsToken: this.hsTokenOf(tenant.id) } };
  }

  /** Changes settings. Leases and tokens stay. @throws EmissaryError `not-found`; `in-use` as add does */
  async set(id: string, changes: Partial<TenantSettings>): Promise<Tenant> {
    const tenant = this.#known(id);
    const changed = { ...tenant, ...changes };
    if (changed.users !== tenant.users) await this.#requireApart(changed);
    await this.#parts.store.set(tenant.id, changed, this.#parts.clock.now());
    return this.#again(id);
  }

  /** @throws EmissaryError `not-found` */
  async rotate(id: string): Promise<{ readonly tenant: Tenant; readonly tokens: TenantTokens }> {
    const tenant = this.#known(id);
    const { asToken, hsSalt } = this.#fresh();
    await this.#parts.store.rotate(tenant.id, tokenHash(asToken), hsSalt, this.#parts.clock.now());
    await this.start();
    return { tenant, tokens: { asToken, hsToken: this.hsTokenOf(tenant.id) } };
  }

  /** @throws EmissaryError `not-found` */
  async remove(id: string): Promise<{ readonly leasesEnded: number }> {
    const tenant = this.#known(id);
    const removed = await this.#parts.store.remove(tenant.id, this.#parts.clock.now());
    await this.start();
    return removed ?? { leasesEnded: 0 };
  }

  /**
   * Adds a grant, or replaces all grants of the tenant with it. If the tenant has the grant already, this only pins
   * its aliases to the rooms in `pins`.
   * @param actor the actor in the audit row
   * @throws EmissaryError `not-found`; `bad-request` if the tenant has MAX_GRANTS grants already
   */
  async allow(id: string, grant: Grant, only = false, actor = "operator"): Promise<Tenant> {
    const tenant = this.#known(id);
    const same = only ? undefined : tenant.grants.find((had) => isSameGrant(had, grant));
    if (same !== undefined) {
      if (hasSamePins(same, grant)) return tenant;
      await this.#parts.store.repin(tenant.id, grant, this.#parts.clock.now());
      return this.#again(id);
    }
    if (!only && tenant.grants.length >= MAX_GRANTS) {
      throw new EmissaryError(
        "bad-request",
        `Tenant ${tenant.id} has ${MAX_GRANTS} grants, and more are not kept: have one grant with globs replace them (emissary tenant allow --only).`,
      );
    }
    await this.#parts.store.allow(tenant.id, grant, { only, actor }, this.#parts.clock.now());
    return this.#again(id);
  }

  /**
   * Grants a tenant that was invited to the room what it may do in public rooms. If the operator lets the tenant into
   * certain rooms only, an invite changes nothing: the inviter is not the operator.
   */
  async allowInvited({ id, grants }: Tenant, roomId: RoomId, inviter: UserId | null): Promise<void> {
    const actor = inviter === null ? "emissary" : `user:${inviter}`;
    for (const grant of grants.filter(({ rooms }) => rooms.includes(ANY_ROOM))) {
      await this.allow(id, { ...grant, rooms: [roomId], source: "invite" }, false, actor);
    }
  }

  /**
   * Called with the room that the directory gives for an alias. If the alias was granted to the tenant for other
   * rooms, this is recorded for the operator before the tenant gets its answer.
   */
  async noteTarget({ id }: Tenant, alias: RoomAlias, roomId: RoomId): Promise<void> {
    const tenant = this.#known(id);
    if (movedAlias(tenant, alias, roomId) === null) return;
    const pins = tenant.grants.flatMap(({ pins: of = [] }) => of).filter((pin) => pin.alias === alias);
    if (pins.every(({ moved }) => moved?.to === roomId)) return;
    await this.#parts.store.noteMoved(id, alias, roomId, this.#parts.clock.now());
    // The tenants' permissions are unchanged, so nothing is judged again.
    await this.#load();
  }

  /** Extends grants to a room's replacement, in memory only. The caller writes them to storage afterwards. */
  assume(id: string, from: RoomId, to: RoomId): void {
    for (const [hash, tenant] of this.#byHash) {
      if (tenant.id !== id) continue;
      const more = tenant.grants.filter((grant) => namesRoom(grant, from));
      const follow = more.map(({ actions, types }): Grant => ({ rooms: [to], actions, types, source: "upgrade" }));
      this.#byHash.set(hash, { ...tenant, grants: [...tenant.grants, ...follow] });
    }
    this.#all = sorted(this.#byHash.values());
  }

  /** Pauses or resumes deliveries to the tenant. @throws EmissaryError `not-found` */
  async pause(id: string, isPaused: boolean): Promise<Tenant> {
    await this.#parts.store.pause(this.#known(id).id, isPaused, this.#parts.clock.now());
    return this.#again(id);
  }

  /** Returns the viewer for whom events are masked on their way to the tenant. */
  viewerOf(tenant: Tenant): Viewer {
    return {
      own: this.#parts.own,
      tenant,
      isPersona: (userId) => this.isPersona(tenant, userId),
      isTenants: (userId) => this.isTenants(userId),
    };
  }

  /**
   * Returns the token that we show the tenant. It is derived, not stored: we must be able to show it, and a reader of
   * the database must not. It changes with the salt (rotate) and with the secret of this installation.
   */
  hsTokenOf(id: TenantId): string {
    const salt = this.#salts.get(id) ?? "";
    return createHmac("sha256", this.#parts.secret).update(`tenant hs_token\n${id}\n${salt}`).digest("base64url");
  }

  async #requireApart(tenant: Tenant): Promise<void> {
    for (const other of this.#all.filter(({ id }) => id !== tenant.id)) {
      const shared =
        overlapOf(tenant, other, this.names)?.user ?? (this.names(tenant, other.sender) ? other.sender : null);
      // The tenant's sender may be a user that the other tenant has registered.
      const known = shared ?? (await this.#parts.store.personaIn(other.id, (userId) => this.names(tenant, userId)));
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
    if (tenant !== null) return tenant;
    const sentence = `There is no tenant ${JSON.stringify(id)}: \`emissary tenant list\` shows those there are.`;
    throw new EmissaryError("not-found", sentence);
  }

  #fresh(): { readonly asToken: string; readonly hsSalt: string } {
    return { asToken: this.#parts.random.token(32), hsSalt: this.#parts.random.token(16) };
  }
}

/** Returns the tenant's own user. */
export function senderOf(id: TenantId, server: ServerName): UserId {
  return `@${senderLocalpartOf(id)}:${server}` as UserId;
}

export function senderLocalpartOf(id: TenantId): string {
  return `${SENDER_PREFIX}${id}`;
}

function sorted(tenants: Iterable<Tenant>): readonly Tenant[] {
  return [...tenants].sort((a, b) => (a.id < b.id ? -1 : 1));
}
