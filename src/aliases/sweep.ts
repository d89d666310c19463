import type { Throttle } from "../concurrency/throttle.ts";
import { EmissaryError } from "../model/errors.ts";
import { serverOf, type RoomAlias, type RoomId } from "../model/ids.ts";
import { AT_ONCE } from "../concurrency/retrying-throttle.ts";
import type { AliasLine } from "./alias.ts";
import type { RoomPage } from "./homeserver-directory.ts";
import type { AliasLease, SqliteAliasStore } from "./store.ts";
import { MAX_ALIASES, type AliasParts, type AliasVerifier } from "./verifier.ts";

const PAGE = 200;
/** Most rooms read from one list. */
const MAX_ROOMS = 100_000;

/**
 * Checks all known aliases: stored ones, those with a lease, and those in the lists of rooms.
 * @returns how many aliases were checked
 * @throws EmissaryError if the homeserver fails for longer than a moment; unchecked aliases keep their state
 */
export async function sweep(parts: AliasParts, verifier: AliasVerifier, rate: Throttle): Promise<number> {
  const seen = new Set<RoomAlias>();
  const aliases = aliasesOf(parts, verifier, rate);
  let isBroken = false;
  const work = async (): Promise<void> => {
    while (!isBroken) {
      const next = await aliases.next();
      if (next.done === true) return;
      if (seen.has(next.value) || seen.size >= 2 * MAX_ALIASES) continue;
      seen.add(next.value);
      await verified(verifier, next.value, rate);
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
export async function again({ store }: AliasParts, verifier: AliasVerifier, rate: Throttle): Promise<void> {
  for await (const { known, isHeld } of linesOf(store)) {
    const { alias, state, code } = known;
    const isPassing = state === "unknown" && (code === "busy" || code?.startsWith("budget-") === true);
    if (isPassing && !isHeld) await verified(verifier, alias, rate);
  }
}

/** An error about one alias must not stop the sweep. */
async function verified(verifier: AliasVerifier, alias: RoomAlias, rate: Throttle): Promise<void> {
  try {
    await verifier.verify(alias, "sweep", rate);
  } catch (error) {
    if (!(error instanceof EmissaryError) || error.code !== "refused-by-homeserver") throw error;
  }
}

type Found = AsyncGenerator<RoomAlias, void>;

async function* aliasesOf(parts: AliasParts, verifier: AliasVerifier, rate: Throttle): Found {
  for await (const alias of allOf(parts, verifier, rate)) if (serverOf(alias) === serverOf(parts.own)) yield alias;
}

async function* allOf({ store, directory }: AliasParts, { throttle }: AliasVerifier, rate: Throttle): Found {
  for await (const { known } of linesOf(store)) yield known.alias;
  // A crash between the two writes leaves a lease without a row.
  for await (const { alias } of leasesOf(store)) yield alias;
  for await (const { alias } of roomsOf((from) => throttle.ask(rate, () => directory.listed(from)))) {
    if (alias !== null) yield alias;
  }
  const attended = paged<RoomId, RoomId | null>(
    null,
    (after) => store.attended(after, PAGE),
    (roomId) => roomId,
  );
  for await (const roomId of attended) yield* await throttle.ask(rate, () => directory.aliasesOf(roomId));
  if (!directory.hasAdmin) return;
  for await (const { roomId, alias } of roomsOf((from) => throttle.ask(rate, () => directory.allRooms(from)))) {
    if (alias !== null) yield alias;
    yield* await throttle.ask(rate, () => directory.aliasesOf(roomId, true));
  }
}

function linesOf(store: SqliteAliasStore): AsyncGenerator<AliasLine, void> {
  return paged<AliasLine, RoomAlias | null>(
    null,
    (after) => store.page(after, PAGE),
    ({ known }) => known.alias,
  );
}

/** Returns the live leases of aliases. */
export function leasesOf(store: SqliteAliasStore): AsyncGenerator<AliasLease, void> {
  return paged(
    0,
    (after) => store.leases(after, PAGE),
    ({ id }) => id,
  );
}

/** Reads a list page by page. */
async function* paged<Entry, Key>(
  first: Key,
  read: (after: Key) => Promise<readonly Entry[]>,
  keyOf: (entry: Entry) => Key,
): AsyncGenerator<Entry, void> {
  for (let after = first; ;) {
    const page = await read(after);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = keyOf(last);
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
