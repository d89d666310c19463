import type { RoomAlias } from "../../../model/ids.ts";
import { stringAt, type JsonObject } from "../../../model/json.ts";

/** A state event of a new room, with an empty key. */
export interface FirstState {
  readonly type: string;
  readonly content: JsonObject;
}

/** Spec, "createRoom", `preset`. If guests may not join, there is no event. */
const PRESETS: Readonly<Record<string, readonly FirstState[]>> = {
  private_chat: presetOf("invite", "can_join"),
  trusted_private_chat: presetOf("invite", "can_join"),
  public_chat: presetOf("public", null),
};

/**
 * Returns the state that a homeserver derives from a `createRoom` body, before and after `initial_state`. The latter's
 * events replace those before it of the same type; name and topic follow it.
 */
export function usualState(
  body: JsonObject,
  alias: RoomAlias | null,
): { readonly before: readonly FirstState[]; readonly after: readonly FirstState[] } {
  const visible = stringAt(body, "visibility") === "public" ? "public_chat" : "private_chat";
  const preset = stringAt(body, "preset") ?? visible;
  const before = [
    ...(alias === null ? [] : [{ type: "m.room.canonical_alias", content: { alias } }]),
    ...(Object.hasOwn(PRESETS, preset) ? (PRESETS[preset] ?? []) : []),
  ];
  const name = stringAt(body, "name");
  const topic = stringAt(body, "topic");
  return {
    before,
    after: [
      ...(name === null ? [] : [{ type: "m.room.name", content: { name } }]),
      ...(topic === null ? [] : [{ type: "m.room.topic", content: topicOf(topic) }]),
    ],
  };
}

function presetOf(joinRule: string, guests: string | null): readonly FirstState[] {
  return [
    { type: "m.room.join_rules", content: { join_rule: joinRule } },
    { type: "m.room.history_visibility", content: { history_visibility: "shared" } },
    ...(guests === null ? [] : [{ type: "m.room.guest_access", content: { guest_access: guests } }]),
  ];
}

/** As plain text (spec, "createRoom", `topic`). */
function topicOf(topic: string): JsonObject {
  return { topic, "m.topic": { "m.text": [{ body: topic }] } };
}
