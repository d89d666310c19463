/** Returns the next page's start; null if this page is not full and so the last. */
export function nextOf<Item, Next>(items: readonly Item[], limit: number, next: (last: Item) => Next): Next | null {
  const last = items.at(-1);
  return items.length < limit || last === undefined ? null : next(last);
}
