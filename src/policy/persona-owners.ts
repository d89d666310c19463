import { MATCHES_NOTHING, type Compile, type Compiled } from "../model/expression.ts";
import { serverOf, type ServerName, type TenantId, type UserId } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";
import type { Tenant } from "../model/tenant.ts";
import { overlapOf, type Names, type Overlap } from "./namespaces.ts";

/** An overlap, certain or possible, of a tenant's namespace with another tenant's. */
export interface TenantOverlap extends Overlap {
  readonly tenant: TenantId;
  /** Whether the other tenant was added first, so that it owns the shared users. */
  readonly isFirst: boolean;
}

/** Users whose owner is cached: the same few are in every event. */
const REMEMBERED = 10_000;

/**
 * Finds a user's owner. As in a homeserver, an expression matches from the beginning of the user ID. Users of other
 * servers and the pseudouser have no owner, and a sender belongs to its own tenant only. If several namespaces match a
 * user, the tenant that was added first owns it, so a new tenant takes nothing from an older one.
 */
export class PersonaOwners {
  readonly #own: UserId;
  readonly #server: ServerName;
  readonly #compile: Compile;
  /** In the order in which they were added. */
  #tenants: readonly Tenant[] = [];
  readonly #namespaces = new Map<string, Compiled>();
  readonly #owners = new Map<UserId, TenantId | null>();

  /** @param compile compiles the expressions of tenants' namespaces */
  constructor(own: UserId, compile: Compile) {
    this.#own = own;
    this.#server = serverOf(own);
    this.#compile = compile;
  }

  protected begin(tenants: readonly Tenant[]): void {
    this.#tenants = tenants.toSorted((one, other) => (isBefore(one, other) ? -1 : 1));
    this.#namespaces.clear();
    this.#owners.clear();
  }

  /** Whether the tenant may act as the user: its sender, or a user of its namespace. */
  isPersona(tenant: Tenant, userId: UserId): boolean {
    return userId === tenant.sender || this.#ownerOf(userId) === tenant.id;
  }

  /** Whether the user belongs to any tenant. */
  isTenants(userId: UserId): boolean {
    return this.#ownerOf(userId) !== null;
  }

  /** Whether the user belongs to another tenant. */
  isOthers(tenant: Tenant, userId: UserId): boolean {
    const owner = this.#ownerOf(userId);
    return owner !== null && owner !== tenant.id;
  }

  /** Returns the tenant whose sender or persona the user is, or null. */
  #ownerOf(userId: UserId): TenantId | null {
    const known = this.#owners.get(userId);
    if (known !== undefined) return known;
    const owner = this.#find(userId);
    remember(this.#owners, userId, owner, REMEMBERED);
    return owner;
  }

  #find(userId: UserId): TenantId | null {
    if (userId === this.#own) return null;
    const bySender = this.#tenants.find(({ sender }) => sender === userId);
    return (bySender ?? this.#tenants.find((tenant) => this.names(tenant, userId)))?.id ?? null;
  }

  protected readonly names: Names = ({ sender, users }, userId) => {
    if (userId === sender) return true;
    if (users === null || serverOf(userId) !== this.#server) return false;
    const namespace = this.#namespaceOf(users);
    return ("expression" in namespace ? namespace.expression : MATCHES_NOTHING).matches(userId);
  };

  /** Returns the known overlaps of the tenant's namespace with those of other tenants, ordered by ID. */
  overlapsOf(tenant: Tenant): readonly TenantOverlap[] {
    const others = this.#tenants.filter(({ id }) => id !== tenant.id).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return others.flatMap((other): TenantOverlap[] => {
      const overlap = overlapOf(tenant, other, this.names);
      return overlap === null ? [] : [{ tenant: other.id, isFirst: isBefore(other, tenant), ...overlap }];
    });
  }

  /** Returns why the tenant's namespace cannot be read, so that it has no personas; null if it can. */
  faultIn({ users }: Pick<Tenant, "users">): string | null {
    const namespace = users === null ? null : this.#namespaceOf(users);
    return namespace !== null && "fault" in namespace ? namespace.fault : null;
  }

  #namespaceOf(users: string): Compiled {
    const known = this.#namespaces.get(users) ?? this.#compile(users);
    this.#namespaces.set(users, known);
    return known;
  }
}

/** Whether the first tenant was added before the other. */
function isBefore(one: Tenant, other: Tenant): boolean {
  return one.createdAt < other.createdAt || (one.createdAt === other.createdAt && one.id < other.id);
}
