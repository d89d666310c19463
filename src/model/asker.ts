/** Who waits for something that takes a share of what is scarce. */
export interface Asker {
  /** By which its share is counted: `tenant:…`, `user:@…`, and `emissary` for what we ask for ourselves. */
  readonly name: string;
  /** Aborts when it waits no longer. */
  readonly abort: AbortSignal;
}

export const OURSELVES: Asker = { name: "emissary", abort: new AbortController().signal };
