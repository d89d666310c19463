/** What others say of the pseudouser, as the tenant sees it whose message they answer. */
import { describe, expect, test } from "vitest";
import type { TenantId, UserId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { toWire, ownAmong, fromWire } from "../../../src/model/persona.ts";
import { ALICE, message, OWN } from "../../support/events.ts";
import { tenant, viewer } from "../../support/tenants.ts";

const TELEGRAM = tenant("telegram", { users: "@telegram_" });
const CAT = "@telegram_cat/1:ours.example" as UserId;
const ANSWERED = "$of_the_cat";
const OWNERS = new Map([[ANSWERED, { tenant: "telegram" as TenantId, persona: CAT }]]);

const REPLY = { "m.relates_to": { "m.in_reply_to": { event_id: ANSWERED } } };
const server = OWN.slice(OWN.indexOf(":") + 1);

function seen(content: JsonObject, of = TELEGRAM, sender = ALICE): JsonObject {
  const eyes = viewer(of);
  const event = { ...message({ id: "answer" }), sender, content };
  return fromWire(event, { ...eyes, answered: ownAmong(OWNERS, eyes) }).content;
}

describe("an answer to a tenant's message", () => {
  test.each<readonly [string, JsonObject, JsonObject]>([
    ["mentions", { "m.mentions": { user_ids: [ALICE, OWN] } }, { "m.mentions": { user_ids: [ALICE, CAT] } }],
    [
      "mentions of both",
      { "m.mentions": { user_ids: [CAT, OWN], room: true } },
      { "m.mentions": { user_ids: [CAT], room: true } },
    ],
    ["what it quotes", { body: `> <${OWN}> hi\n\nyes, ${OWN}` }, { body: `> <${CAT}> hi\n\nyes, ${OWN}` }],
    ["an emote that it quotes", { body: `> * <${OWN}> waves\n\nyes` }, { body: `> * <${CAT}> waves\n\nyes` }],
    [
      "a link",
      { formatted_body: `<a href="https://matrix.to/#/${OWN}">${OWN}</a>: hi` },
      { formatted_body: `<a href="https://matrix.to/#/@telegram_cat%2F1:${server}">${CAT}</a>: hi` },
    ],
    [
      "an encoded link with a query",
      { formatted_body: `<a href='https://matrix.to/#/${encodeURIComponent(OWN)}?via=x'>Us</a>` },
      { formatted_body: `<a href='https://matrix.to/#/${encodeURIComponent(CAT)}?via=x'>Us</a>` },
    ],
    [
      "a URI",
      { formatted_body: `<a href="matrix:u/${OWN.slice(1)}?action=chat">us</a>` },
      { formatted_body: `<a href="matrix:u/telegram_cat%2F1:${server}?action=chat">us</a>` },
    ],
    [
      "a link in Markdown",
      { body: `[us](https://matrix.to/#/${OWN}): hi` },
      { body: `[us](https://matrix.to/#/@telegram_cat%2F1:${server}): hi` },
    ],
  ])("names the user that was answered in %s", (_what, content, expected) => {
    expect(seen({ ...content, ...REPLY })).toEqual({ ...expected, ...REPLY });
  });

  test.each<readonly [string, JsonObject]>([
    [
      "is of a server whose name only begins so",
      { formatted_body: `<a href="https://matrix.to/#/${OWN}.evil">x</a>`, ...REPLY },
    ],
    ["is a text", { body: `ask ${OWN}`, ...REPLY }],
    [
      "answers another event",
      { "m.mentions": { user_ids: [OWN] }, "m.relates_to": { "m.in_reply_to": { event_id: "$other" } } },
    ],
    [
      "stands in a thread",
      {
        "m.mentions": { user_ids: [OWN] },
        "m.relates_to": { rel_type: "m.thread", is_falling_back: true, "m.in_reply_to": { event_id: ANSWERED } },
      },
    ],
    ["is no answer", { "m.mentions": { user_ids: [OWN] } }],
    ["cannot be read", { "m.mentions": "x", body: 7, "m.relates_to": [] }],
  ])("is left as it is where the name %s", (_what, content) => {
    expect(seen(content)).toBe(content);
  });

  test("is another's for another tenant, and the tenant's own stays as it was sent", () => {
    const content = { "m.mentions": { user_ids: [OWN] }, ...REPLY };
    expect(seen(content, tenant("irc", { users: "@irc_" }))).toBe(content);
    const costume = { type: "m.room.message", tenant: TELEGRAM.id, user: CAT, isSender: false, isPersona: () => true };
    const profile = { displayname: "Cat", avatarUrl: null };
    const own = toWire({ msgtype: "m.text", body: "x", ...content }, { ...costume, profile, fallback: true });
    expect(seen(own, TELEGRAM, OWN)).toEqual({ msgtype: "m.text", body: "x", ...content });
  });
});

describe("a persona's name in the text of its answer", () => {
  const costume = { type: "m.room.message", tenant: TELEGRAM.id, user: CAT, isSender: false, isPersona: () => true };
  const sent = (content: JsonObject): JsonObject =>
    toWire(content, { ...costume, profile: { displayname: "Cat", avatarUrl: null }, fallback: true });
  const NAME = "<strong data-mx-profile-fallback>Cat: </strong>";

  test.each([
    ["> <@alice:x> hi\n> there\n\nyes", "> <@alice:x> hi\n> there\n\nCat: yes"],
    ["yes", "Cat: yes"],
    ["> broken off", "Cat: > broken off"],
  ])("stands after what it quotes: %s", (body, expected) => {
    const content = { msgtype: "m.text", body, ...REPLY };
    expect(sent(content)["body"]).toBe(expected);
    expect(seen(sent(content), TELEGRAM, OWN)).toEqual(content);
  });

  test("and in HTML, and before a quote in what is no answer", () => {
    const html = { msgtype: "m.text", body: "yes", format: "org.matrix.custom.html" };
    const formatted_body = "<mx-reply><blockquote>hi</blockquote></mx-reply>yes";
    const answer = { ...html, formatted_body, ...REPLY };
    expect(sent(answer)["formatted_body"]).toBe(`<mx-reply><blockquote>hi</blockquote></mx-reply>${NAME}yes`);
    expect(seen(sent(answer), TELEGRAM, OWN)).toEqual(answer);
    expect(sent({ msgtype: "m.text", body: "> a\n\nb" })["body"]).toBe("Cat: > a\n\nb");
  });
});
