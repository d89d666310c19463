import { MATCHES_NOTHING, type Compile, type Compiled } from "../model/expression.ts";
import { serverOf, type ServerName, type TenantId, type UserId } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";
import type { Tenant } from "../model/tenant.ts";
import { overlapOf, type Names, type Overlap } from "./namespaces.ts";

/** That another tenant's namespace has users in common with a tenant's, or may have. */
export interface TenantOverlap extends Overlap {
  readonly tenant: TenantId;
  /** Whether the other tenant was added first, so that the users they share are its. */
  readonly isFirst: boolean;
}

export interface PersonaOwnersParts {
  readonly own: UserId;
  readonly server: ServerName;
  /** Reads the expressions of tenants' namespaces. */
  readonly compile: Compile;
}

/** Users of whom it is remembered whose they are: the same few are in every event. */
const REMEMBERED = 10_000;

/**
 * Whose a user is. A namespace begins to match at the user ID's beginning, as in a homeserver. Users of other servers and the pseudouser
 * are nobody's personas, and a sender is its own tenant's alone. A user that several namespaces match is of the tenant that was added
 * first: who comes later takes nothing from who is there.
 */
export class PersonaOwners {
  readonly #parts: PersonaOwnersParts;
  /** In the order in which they were added. */
  #tenants: readonly Tenant[] = [];
  readonly #namespaces = new Map<string, Compiled>();
  readonly #owners = new Map<UserId, TenantId | null>();

  constructor(parts: PersonaOwnersParts) {
    this.#parts = parts;
  }

  /** Goes by these tenants from now on. */
  begin(tenants: readonly Tenant[]): void {
    this.#tenants = tenants.toSorted((one, other) => (isBefore(one, other) ? -1 : 1));
    this.#namespaces.clear();
    this.#owners.clear();
  }

  /** The tenant whose sender or persona a user is; null for nobody's. */
  ownerOf(userId: UserId): TenantId | null {
    const known = this.#owners.get(userId);
    if (known !== undefined) return known;
    const owner = this.#find(userId);
    remember(this.#owners, userId, owner, REMEMBERED);
    return owner;
  }

  #find(userId: UserId): TenantId | null {
    if (userId === this.#parts.own) return null;
    const bySender = this.#tenants.find(({ sender }) => sender === userId);
    return (bySender ?? this.#tenants.find((tenant) => this.names(tenant, userId)))?.id ?? null;
  }

  readonly names: Names = ({ sender, users }, userId) => {
    if (userId === sender) return true;
    if (users === null || serverOf(userId) !== this.#parts.server) return false;
    const namespace = this.#namespaceOf(users);
    return ("expression" in namespace ? namespace.expression : MATCHES_NOTHING).matches(userId);
  };

  /** What is known of a tenant's namespace and those of the other tenants, in the order of their IDs. */
  overlapsOf(tenant: Tenant): readonly TenantOverlap[] {
    const others = this.#tenants.filter(({ id }) => id !== tenant.id).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return others.flatMap((other): TenantOverlap[] => {
      const overlap = overlapOf(tenant, other, this.names);
      return overlap === null ? [] : [{ tenant: other.id, isFirst: isBefore(other, tenant), ...overlap }];
    });
  }

  /** Why a tenant has no personas, although it was to have some; null where its namespace can be read. */
  faultIn({ users }: Pick<Tenant, "users">): string | null {
    const namespace = users === null ? null : this.#namespaceOf(users);
    return namespace !== null && "fault" in namespace ? namespace.fault : null;
  }

  #namespaceOf(users: string): Compiled {
    const known = this.#namespaces.get(users) ?? this.#parts.compile(users);
    this.#namespaces.set(users, known);
    return known;
  }
}

/** Who of two tenants was added first. */
function isBefore(one: Tenant, other: Tenant): boolean {
  return one.createdAt < other.createdAt || (one.createdAt === other.createdAt && one.id < other.id);
}
