/** A caller that takes a share of scarce resources. */
export interface Asker {
  /** The name that its share is counted under: `tenant:…`, `user:@…`, or `emissary` for our own work. */
  readonly name: string;
  /** Aborts when the caller stops waiting. */
  readonly abort: AbortSignal;
}

export const OURSELVES: Asker = { name: "emissary", abort: new AbortController().signal };
