import type { RoomAlias } from "../../../model/ids.ts";
import { stringAt, type JsonObject } from "../../../model/json.ts";

/** A state event of a new room, with an empty key. */
export interface FirstState {
  readonly type: string;
  readonly content: JsonObject;
}

/** Spec, "createRoom", `preset`. Where guests may not come in, nothing says so. */
const PRESETS: Readonly<Record<string, readonly FirstState[]>> = {
  private_chat: presetOf("invite", "can_join"),
  trusted_private_chat: presetOf("invite", "can_join"),
  public_chat: presetOf("public", null),
};

/**
 * The state that a homeserver sets by itself for the words of a `createRoom`, in its order: before `initial_state`, and after it. Of a type
 * that `initial_state` has, it is only the name and the topic.
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

/** As a plain text (spec, "createRoom", `topic`). */
function topicOf(topic: string): JsonObject {
  return { topic, "m.topic": { "m.text": [{ body: topic }] } };
}
