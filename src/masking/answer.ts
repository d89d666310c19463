import { isPseudouser } from "./pseudouser.ts";
import { changed, isFields, maskEvents, type Hidden } from "./rules.ts";
import { shapeOf, type AnswerKind, type Shape } from "./shapes.ts";

/**
 * Masks an answer that is parsed JSON. The answer itself is not changed: what is masked is copied, and the same object comes back
 * where nothing was to mask. Masking twice lowers counts twice.
 */
export function maskAnswer<T>(kind: AnswerKind, answer: T, hidden: Hidden): T {
  return mask(shapeOf(kind), answer, hidden, null) as T;
}

function mask(shape: Shape, value: unknown, hidden: Hidden, roomId: string | null): unknown {
  switch (shape.kind) {
    case "object":
      return each(value, (key, inner) => {
        const below = shape.at.get(key);
        return below === undefined ? inner : mask(below, inner, hidden, roomId);
      });
    case "rooms":
      return each(value, (key, room) => mask(shape.room, room, hidden, key));
    case "list": {
      if (!Array.isArray(value)) return value;
      const masked = value.map((inner) => mask(shape.of, inner, hidden, roomId));
      return masked.every((inner, index) => inner === value[index]) ? value : masked;
    }
    case "events":
      return maskEvents(value, hidden);
    case "users": {
      if (!isFields(value)) return value;
      const visible = Object.entries(value).filter(([userId]) => !isPseudouser(userId, hidden.also));
      return visible.length === Object.keys(value).length ? value : Object.fromEntries(visible);
    }
    case "value":
      return shape.rule(value, hidden, roomId);
  }
}

function each(value: unknown, masked: (key: string, inner: unknown) => unknown): unknown {
  if (!isFields(value)) return value;
  return changed(value, Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(key, inner)])));
}
