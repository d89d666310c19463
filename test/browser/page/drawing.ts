/** How a room's messages and the panel beside them are drawn. */
import type { MatrixClient, MatrixEvent } from "matrix-js-sdk";
import { button, h } from "./dom.ts";
import type { Looking } from "./looking.ts";
import { picture } from "./media.ts";

/** What is drawn of one room. */
export class Drawing {
  readonly #client: MatrixClient;
  readonly #looking: Looking;
  readonly #panel: HTMLElement;

  constructor(client: MatrixClient, looking: Looking, panel: HTMLElement) {
    this.#client = client;
    this.#looking = looking;
    this.#panel = panel;
  }

  timeline(): HTMLElement {
    const shown = this.#looking.events.filter(isShown);
    return h("div", { id: "timeline" }, ...shown.map((event) => this.#message(event)));
  }

  #message(event: MatrixEvent): HTMLElement {
    const content = event.getContent<Record<string, unknown>>();
    const sender = event.getSender() ?? "";
    const url = content["msgtype"] === "m.image" ? (content["url"] as string) : undefined;
    const reactions = this.#looking.room?.relations
      .getChildEventsForEvent(event.getId() ?? "", "m.annotation", "m.reaction")
      ?.getSortedAnnotationsByKey();
    return h(
      "div",
      { class: "message" },
      h("span", { class: "sender" }, this.#looking.room?.getMember(sender)?.name ?? sender),
      h("span", { class: "text" }, String(content["body"])),
      ...(reactions ?? []).map(([key, by]) => h("span", { class: "reaction" }, `${key} ${by.size}`)),
      picture(this.#client, url, "image"),
    );
  }

  async people(): Promise<void> {
    const people = await this.#looking.people();
    this.#panel.replaceChildren(
      h("h2", {}, "People"),
      h("ul", { id: "people" }, ...people.map((name) => h("li", {}, name))),
    );
  }

  async threads(): Promise<void> {
    const threads = await this.#looking.threads();
    const items = threads.map(({ root, replies, text }) =>
      h(
        "li",
        {},
        button(`${text} (${replies})`, () => this.#thread(root)),
      ),
    );
    this.#panel.replaceChildren(h("h2", {}, "Threads"), h("ul", { id: "threads" }, ...items));
  }

  async #thread(root: string): Promise<void> {
    const events = await this.#looking.thread(root);
    this.#panel.replaceChildren(
      h("h2", {}, "Thread"),
      h("div", { id: "thread" }, ...events.map((event) => this.#message(event))),
    );
  }
}

/** Messages of the room itself: those in threads are shown there, and an edit in the place of what it edits. */
function isShown(event: MatrixEvent): boolean {
  const isInThread = event.threadRootId !== undefined && !event.isThreadRoot;
  return event.getType() === "m.room.message" && !isInThread && !event.isRelation(`m.replace`);
}
