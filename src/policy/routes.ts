import type { ServerName } from "../model/ids.ts";
import { refusedByRule } from "./rule-text.ts";
import type { RuleMatch } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";
import type { ServerAcls } from "./server-acl.ts";

/** Decides which servers may be asked for a room. */
export class Routes {
  readonly #rules: Pick<RuleBook, "ruleFor">;
  readonly #acls: ServerAcls;

  constructor(rules: Pick<RuleBook, "ruleFor">, acls: ServerAcls) {
    this.#rules = rules;
    this.#acls = acls;
  }

  /** Returns the routes without servers that a rule denies or the room's access list bans: these do not lead there. */
  open(via: readonly ServerName[], acl: string | null): readonly ServerName[] {
    return via.filter(
      (server) => this.#against(server) === null && (acl === null || !this.#acls.keepsOut(acl, server)),
    );
  }

  /** Returns the rules against denied routes, if no route is left. The homeserver would only say "not found". */
  allDenied(via: readonly ServerName[], acl: string | null): readonly RuleMatch[] {
    const denied = [...new Set(via)].map((server) => this.#against(server)).filter((match) => match !== null);
    return denied.length === 0 || this.open(via, acl).length > 0 ? [] : denied;
  }

  /** Returns the servers that may be asked. @throws EmissaryError `refused-by-policy` if all are denied */
  required(via: readonly ServerName[]): readonly ServerName[] {
    const [first] = this.allDenied(via, null);
    if (first === undefined) return this.open(via, null);
    throw refusedByRule(`Nobody is asked through ${via.join(", ")}`, first);
  }

  #against(text: ServerName): RuleMatch | null {
    const entity = { kind: "server", text } as const;
    const rule = this.#rules.ruleFor(entity);
    return rule?.verdict === "deny" ? { entity, rule } : null;
  }
}
