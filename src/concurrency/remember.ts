/** Adds the entry as the newest, and keeps only the newest `kept` entries. */
export function remember<Key, Value>(memory: Map<Key, Value>, key: Key, value: Value, kept: number): void {
  memory.delete(key);
  memory.set(key, value);
  if (memory.size <= kept) return;
  const oldest = memory.keys().next();
  if (oldest.done !== true) memory.delete(oldest.value);
}
