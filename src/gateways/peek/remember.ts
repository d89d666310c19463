const KEPT = 10_000;

/** Keeps the newest entry last, and of all entries the newest 10,000. */
export function remember<Key, Value>(memory: Map<Key, Value>, key: Key, value: Value): void {
  memory.delete(key);
  memory.set(key, value);
  if (memory.size <= KEPT) return;
  const oldest = memory.keys().next();
  if (oldest.done !== true) memory.delete(oldest.value);
}
