import type { Throttle } from "../concurrency/throttle.ts";
import { EmissaryError } from "../model/errors.ts";
import { serverOf, type RoomAlias, type RoomId, type UserId } from "../model/ids.ts";
import type { AliasDirectory, AliasStore, RoomPage } from "./contracts.ts";
import { AT_ONCE, type RetryingThrottle } from "../concurrency/retrying-throttle.ts";
import { MAX_ALIASES, type AliasVerifier } from "./verifier.ts";

const PAGE = 200;
/** Most rooms read from one list. */
const MAX_ROOMS = 100_000;

export interface SweepParts {
  readonly own: UserId;
  readonly store: AliasStore;
  readonly directory: AliasDirectory;
  readonly verifier: AliasVerifier;
  readonly throttle: RetryingThrottle;
}

/**
 * Checks all known aliases: stored ones, those with a lease, and those in the lists of rooms.
 * @returns how many aliases were checked
 * @throws EmissaryError if the homeserver fails for longer than a moment; unchecked aliases keep their state
 */
export async function sweep(parts: SweepParts, rate: Throttle): Promise<number> {
  const seen = new Set<RoomAlias>();
  const aliases = aliasesOf(parts, rate);
  let isBroken = false;
  const work = async (): Promise<void> => {
    while (!isBroken) {
      const next = await aliases.next();
      if (next.done === true) return;
      if (seen.has(next.value) || seen.size >= 2 * MAX_ALIASES) continue;
      seen.add(next.value);
      await verified(parts, next.value, rate);
    }
  };
  const workers = Array.from({ length: AT_ONCE }, () =>
    work().catch((error: unknown) => {
      isBroken = true;
      throw error;
    }),
  );
  await Promise.allSettled(workers);
  await Promise.all(workers);
  return seen.size;
}

/** Checks aliases with a temporary refusal again. @throws EmissaryError as sweep does */
export async function again(parts: SweepParts, rate: Throttle): Promise<void> {
  for (let after: RoomAlias | null = null; ;) {
    const lines = await parts.store.page(after, PAGE);
    for (const { known, isHeld } of lines) {
      const { alias, state, code } = known;
      const isPassing = state === "unknown" && (code === "busy" || code?.startsWith("budget-") === true);
      if (isPassing && !isHeld) await verified(parts, alias, rate);
    }
    after = lines.at(-1)?.known.alias ?? null;
    if (after === null) return;
  }
}

/** An error about one alias must not stop the sweep. */
async function verified({ verifier }: SweepParts, alias: RoomAlias, rate: Throttle): Promise<void> {
  try {
    await verifier.verify(alias, "sweep", rate);
  } catch (error) {
    if (!(error instanceof EmissaryError) || error.code !== "refused-by-homeserver") throw error;
  }
}

async function* aliasesOf(parts: SweepParts, rate: Throttle): AsyncGenerator<RoomAlias, void> {
  for await (const alias of allOf(parts, rate)) if (serverOf(alias) === serverOf(parts.own)) yield alias;
}

async function* allOf({ store, directory, throttle }: SweepParts, rate: Throttle): AsyncGenerator<RoomAlias, void> {
  for (let after: RoomAlias | null = null; ;) {
    const lines = await store.page(after, PAGE);
    for (const { known } of lines) yield known.alias;
    after = lines.at(-1)?.known.alias ?? null;
    if (after === null) break;
  }
  // A crash between the two writes leaves a lease without a row.
  for (let after: number | null = 0; after !== null;) {
    const leases = await store.leases(after, PAGE);
    for (const { alias } of leases) yield alias;
    after = leases.at(-1)?.id ?? null;
  }
  for await (const { alias } of roomsOf((from) => throttle.ask(rate, () => directory.listed(from)))) {
    if (alias !== null) yield alias;
  }
  for (let after: RoomId | null = null; ;) {
    const rooms = await store.attended(after, PAGE);
    for (const roomId of rooms) yield* await throttle.ask(rate, () => directory.aliasesOf(roomId));
    after = rooms.at(-1) ?? null;
    if (after === null) break;
  }
  const { all } = directory;
  if (all === null) return;
  for await (const { roomId, alias } of roomsOf((from) => throttle.ask(rate, () => all.rooms(from)))) {
    if (alias !== null) yield alias;
    yield* await throttle.ask(rate, () => all.aliasesOf(roomId));
  }
}

async function* roomsOf(
  page: (from: string | null) => Promise<RoomPage>,
): AsyncGenerator<RoomPage["rooms"][number], void> {
  let read = 0;
  let from: string | null = null;
  do {
    const { rooms, next }: RoomPage = await page(from);
    yield* rooms;
    read += rooms.length;
    // A page that links to itself or is empty would loop for ever.
    from = next === from || rooms.length === 0 ? null : next;
  } while (from !== null && read < MAX_ROOMS);
}
