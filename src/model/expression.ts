/** A regular expression of somebody else's, ready to be asked. Asking takes a time that grows with the text, and with nothing else. */
export interface Expression {
  /** Whether it matches from the text's beginning; to its end only where the expression says so, as in homeservers. */
  readonly matches: (text: string) => boolean;
}

/** An expression, or why there is none of it: the end of a sentence that names it. */
export type Compiled = { readonly expression: Expression } | { readonly fault: string };

/** Reads expressions. Inner folders are given one, since they import no package (platform/expressions.ts). */
export type Compile = (text: string) => Compiled;

/** Stands for an expression that cannot be read. */
export const MATCHES_NOTHING: Expression = { matches: () => false };
