/** Targets of plain characters only, which need no further check. */
const PLAIN = /^(?:\/[A-Za-z0-9_!$@:=~-][A-Za-z0-9_!$@:.=~-]*)+\/?(?:\?[\x21\x22\x24-\x7e]*)?$/;

/**
 * Returns what is wrong with a request's target, without a full stop; null if nothing is. Full URLs, dots and double
 * slashes mean another path to the homeserver or a proxy than to us. Encoded slashes are common in event IDs.
 * @param isPassedOn the target may go on to the homeserver: its decoded segments count, too
 */
export function faultInTarget(target: string, isPassedOn: boolean): string | null {
  if (PLAIN.test(target)) return null;
  if (!target.startsWith("/")) return "its target must be a path, which begins with a slash";
  const [path = ""] = target.split("?", 1);
  if (/[^\x21-\x7e]|#/.test(target) || path.includes("\\"))
    return "its target has characters that must be percent-encoded";
  const segments = path.slice(1).split("/");
  for (const [at, segment] of segments.entries()) {
    const isLast = at === segments.length - 1;
    if (segment === "" && !isLast) return "its path has two slashes in a row";
    const text = decoded(segment);
    if (text === null) return "its path is not percent-encoded UTF-8";
    if (text === "." || text === "..") return "its path has dots for a folder";
    if (!isPassedOn) continue;
    if (text.includes("\0")) return "its path has a NUL in it";
    if (text.split(/[/\\]/).includes("..")) return "its path has dots for a folder";
  }
  return null;
}

/** Decodes a path or a segment; null if its encoding is broken. */
export function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
