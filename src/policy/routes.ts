import type { ServerName } from "../model/ids.ts";
import { refusedByRule } from "./rule-words.ts";
import type { RuleMatch } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";
import type { ServerAcls } from "./server-acl.ts";

/** Which servers may be asked for a room. */
export class Routes {
  readonly #rules: Pick<RuleBook, "ruleFor">;
  readonly #acls: ServerAcls;

  constructor(rules: Pick<RuleBook, "ruleFor">, acls: ServerAcls) {
    this.#rules = rules;
    this.#acls = acls;
  }

  /**
   * Routes without servers that are denied, for to ask one of these for a room would be to have to do with it, and without those
   * that the room's own access list keeps out, for they cannot lead there.
   */
  open(via: readonly ServerName[], acl: string | null): readonly ServerName[] {
    return via.filter(
      (server) => this.#against(server) === null && (acl === null || !this.#acls.keepsOut(acl, server)),
    );
  }

  /**
   * The rules against routes that are denied, where they leave none. The homeserver would have nobody to ask then, and say only that it
   * does not find the room.
   */
  allDenied(via: readonly ServerName[], acl: string | null): readonly RuleMatch[] {
    const denied = [...new Set(via)].map((server) => this.#against(server)).filter((match) => match !== null);
    return denied.length === 0 || this.open(via, acl).length > 0 ? [] : denied;
  }

  /** Those of some servers that may be asked for something. @throws EmissaryError `refused-by-policy` where all that are named are denied */
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
