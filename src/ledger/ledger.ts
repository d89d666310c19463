import type { LedgerStore } from "./store/ledger.ts";

/** Reads the facts about rooms and members. An unknown room or member is null, not an error. */
export type Ledger = Pick<LedgerStore, "room" | "member" | "hasMemberOf" | "members">;
