import { createHash, createHmac } from "node:crypto";
import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { ServerName, TenantId, UserId } from "../model/ids.ts";
import type { Tenant, TenantAction } from "../model/tenant.ts";

/** A tenant as it is stored: of its tokens only what cannot be turned back into them. */
export interface StoredTenant {
  readonly tenant: Tenant;
  /** SHA-256 of the token that the tenant shows us. */
  readonly tokenHash: string;
  /** Goes into the token that we show the tenant (see hsTokenOf). */
  readonly hsSalt: string;
}

export interface TenantStore {
  /** Every tenant, in the order of their IDs. */
  all(): Promise<readonly StoredTenant[]>;
  /** Adds a tenant, with an audit row; false where the ID is taken. */
  add(stored: StoredTenant, at: number): Promise<boolean>;
  /** Gives new tokens; false where there is no such tenant. */
  rotate(id: TenantId, tokenHash: string, hsSalt: string, at: number): Promise<boolean>;
  /** Removes the tenant and ends its leases, in one commit. Null where there is no such tenant. */
  remove(id: TenantId, at: number): Promise<{ readonly leasesEnded: number } | null>;
}

export interface TenantTokens {
  readonly asToken: string;
  readonly hsToken: string;
}

/** A new tenant as the operator asks for it. */
export interface TenantWish {
  readonly id: TenantId;
  readonly url: string | null;
  readonly users: string | null;
  readonly actions: readonly TenantAction[];
}

/** The tenants of this homeserver and the tokens that they show. Held whole in memory: there are few, and every request asks. */
export class Tenants {
  readonly #store: TenantStore;
  readonly #server: ServerName;
  readonly #secret: string;
  readonly #clock: Clock;
  readonly #random: Random;
  #byHash = new Map<string, Tenant>();
  #salts = new Map<TenantId, string>();

  /** @param secret what hs_tokens are derived with: known to this installation, and not in the database. */
  constructor(parts: { store: TenantStore; server: ServerName; secret: string; clock: Clock; random: Random }) {
    this.#store = parts.store;
    this.#server = parts.server;
    this.#secret = parts.secret;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  async start(): Promise<void> {
    const all = await this.#store.all();
    this.#byHash = new Map(all.map(({ tenant, tokenHash }) => [tokenHash, tenant]));
    this.#salts = new Map(all.map(({ tenant, hsSalt }) => [tenant.id, hsSalt]));
  }

  /** The tenant that a token belongs to. The table is asked by the token's hash, so that timing tells nothing of the token. */
  byToken(token: string): Tenant | null {
    return this.#byHash.get(hashToken(token)) ?? null;
  }

  byId(id: string): Tenant | null {
    for (const tenant of this.#byHash.values()) if (tenant.id === id) return tenant;
    return null;
  }

  all(): readonly Tenant[] {
    return [...this.#byHash.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws EmissaryError `in-use` where the ID is taken. */
  async add(wish: TenantWish): Promise<{ readonly tenant: Tenant; readonly tokens: TenantTokens }> {
    const now = this.#clock.now();
    const tenant: Tenant = { ...wish, sender: senderOf(wish.id, this.#server), createdAt: now };
    const { asToken, hsSalt } = this.#fresh();
    if (!(await this.#store.add({ tenant, tokenHash: hashToken(asToken), hsSalt }, now))) {
      throw new EmissaryError(
        "in-use",
        `There is a tenant ${wish.id} already: take another ID, or remove that one first.`,
      );
    }
    await this.start();
    return { tenant, tokens: { asToken, hsToken: this.hsTokenOf(tenant.id) } };
  }

  /** @throws EmissaryError `not-found` */
  async rotate(id: string): Promise<{ readonly tenant: Tenant; readonly tokens: TenantTokens }> {
    const tenant = this.#known(id);
    const { asToken, hsSalt } = this.#fresh();
    await this.#store.rotate(tenant.id, hashToken(asToken), hsSalt, this.#clock.now());
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
   * The token that we show a tenant. Derived, not stored: we must be able to show it, and whoever reads the database must not.
   * It changes with the salt (rotate) and with this installation's own secret.
   */
  hsTokenOf(id: TenantId): string {
    const salt = this.#salts.get(id) ?? "";
    return createHmac("sha256", this.#secret).update(`tenant hs_token\n${id}\n${salt}`).digest("base64url");
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

/** The user that a tenant takes itself for. The underscore keeps it out of what people can register (spec, AS API). */
export function senderOf(id: TenantId, server: ServerName): UserId {
  return `@${senderLocalpartOf(id)}:${server}` as UserId;
}

export function senderLocalpartOf(id: TenantId): string {
  return `_emissary_${id}`;
}

function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
