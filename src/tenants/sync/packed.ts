const PIECE = 64 * 1024;

/** Pieces of a text; the generator returns the last one. */
export type Pieces = AsyncGenerator<Buffer, Buffer>;

/** Joins many small texts into few pieces, each made on demand. Calls `over` at the end, also if it is early. */
export async function* packed(texts: AsyncIterable<string>, over: () => void = () => {}): Pieces {
  let held: string[] = [];
  let size = 0;
  try {
    for await (const text of texts) {
      held.push(text);
      size += text.length;
      if (size < PIECE) continue;
      yield Buffer.from(held.join(""));
      held = [];
      size = 0;
    }
    return Buffer.from(held.join(""));
  } finally {
    over();
  }
}

/** Yields a piece that was made already, and the rest. */
export async function* following(first: Buffer, rest: Pieces): AsyncGenerator<Buffer> {
  try {
    yield first;
    yield yield* rest;
  } finally {
    await rest.return(Buffer.alloc(0));
  }
}

interface Begun<Item> {
  readonly source: AsyncGenerator<Item>;
  readonly first: Promise<IteratorResult<Item>>;
}

/** Yields from sources in order. Begins the next few ahead, so their waits overlap, holding one item of each. */
export async function* ahead<Key, Item>(
  keys: readonly Key[],
  few: number,
  open: (key: Key) => AsyncGenerator<Item>,
): AsyncGenerator<readonly [Key, AsyncGenerator<Item>]> {
  const begun: Begun<Item>[] = [];
  const begin = (key: Key | undefined): void => {
    if (key === undefined) return;
    const source = open(key);
    const first = source.next();
    // A failure surfaces at its turn.
    first.catch(() => undefined);
    begun.push({ source, first });
  };
  try {
    for (const key of keys.slice(0, few)) begin(key);
    for (const [index, key] of keys.entries()) {
      const one = begun.shift();
      if (one === undefined) return;
      begin(keys[index + few]);
      yield [key, whole(one)];
    }
  } finally {
    for (const { source, first } of begun) {
      await first.catch(() => undefined);
      await source.return(undefined);
    }
  }
}

async function* whole<Item>({ source, first }: Begun<Item>): AsyncGenerator<Item> {
  try {
    for (let next = await first; next.done !== true; next = await source.next()) yield next.value;
  } finally {
    await source.return(undefined);
  }
}
