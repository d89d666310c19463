/** A small Matrix client on matrix-js-sdk, which looks into rooms as Element Web does: the same calls of the SDK in the same order. */
import {
  ClientEvent,
  createClient,
  EventTimeline,
  type IPublicRoomsChunkRoom,
  type MatrixClient,
  type MatrixEvent,
  PendingEventOrdering,
  RoomEvent,
  RoomStateEvent,
} from "matrix-js-sdk";
import { button, h } from "./dom.ts";
import { Looking, type Place } from "./looking.ts";
import { picture } from "./media.ts";

const nav = h("nav");
const main = h("main");
const aside = h("aside");

function signIn(): void {
  const field = (name: string, type = "text"): HTMLInputElement =>
    h("input", { name, type, placeholder: name, "aria-label": name });
  const [server, user, password] = [field("homeserver"), field("user"), field("password", "password")];
  const sign = async (): Promise<void> => {
    const asking = createClient({ baseUrl: server.value });
    const identifier = { type: "m.id.user" as const, user: user.value };
    const told = await asking.loginRequest({ type: "m.login.password", identifier, password: password.value });
    const { user_id: userId, access_token: accessToken, device_id: deviceId } = told;
    await start(createClient({ baseUrl: server.value, userId, accessToken, deviceId }));
  };
  document.body.replaceChildren(h("form", { id: "sign-in" }, server, user, password, button("Sign in", sign)));
}

async function start(client: MatrixClient): Promise<void> {
  document.body.replaceChildren(h("div", { id: "app" }, nav, main, aside));
  const app = new App(client);
  await client.startClient({
    initialSyncLimit: 20,
    lazyLoadMembers: true,
    threadSupport: true,
    pendingEventOrdering: PendingEventOrdering.Detached,
  });
  await new Promise<void>((resolve) => client.once(ClientEvent.Sync, () => resolve()));
  app.run();
}

class App {
  readonly #client: MatrixClient;
  #looking: Looking | undefined;

  constructor(client: MatrixClient) {
    this.#client = client;
  }

  run(): void {
    const changed = (): void => void this.#drawAgain();
    this.#client.on(RoomEvent.Timeline, changed);
    this.#client.on(RoomStateEvent.Events, changed);
    this.#client.on(RoomEvent.Name, changed);
    this.#client.on(RoomEvent.MyMembership, changed);
    this.#client.on(ClientEvent.Room, changed);
    addEventListener("hashchange", () => this.#followLink());
    this.#drawRooms();
    if (!this.#followLink()) this.#home();
  }

  /** `#/room/!id:or-alias?via=server`, as matrix.to and Element write them. */
  #followLink(): boolean {
    const [path = "", query = ""] = location.hash.slice(1).split("?");
    const name = /^\/room\/(.+)$/.exec(decodeURIComponent(path))?.[1];
    if (name === undefined) return false;
    const via = new URLSearchParams(query).getAll("via");
    void this.#view(name.startsWith("#") ? { alias: name, via } : { roomId: name, via });
    return true;
  }

  #home(): void {
    this.#looking?.close();
    this.#looking = undefined;
    main.replaceChildren(h("p", { id: "notice" }, "Welcome"));
    aside.replaceChildren();
  }

  #drawRooms(): void {
    const mine = this.#client.getRooms().filter((room) => room.getMyMembership() === "join");
    nav.replaceChildren(
      h("strong", {}, this.#client.getUserId() ?? ""),
      button("Home", () => this.#home()),
      button("Explore rooms", () => this.#explore()),
      h(
        "ul",
        { id: "rooms" },
        ...mine.map(({ name, roomId }) =>
          h(
            "li",
            {},
            button(name, () => this.#view({ roomId })),
          ),
        ),
      ),
    );
  }

  #explore(): void {
    this.#home();
    const server = h("input", { "aria-label": "server", placeholder: "server" });
    const words = h("input", { "aria-label": "search", placeholder: "search" });
    const list = h("div", { id: "entries" });
    const search = async (): Promise<void> => {
      const asked = server.value === "" ? {} : { server: server.value };
      const found = await this.#client.publicRooms({
        ...asked,
        limit: 50,
        filter: { generic_search_term: words.value },
      });
      list.replaceChildren(...found.chunk.map((room) => this.#entry(room, server.value)));
    };
    main.replaceChildren(h("div", { id: "directory" }, server, words, button("Search", search), list));
  }

  #entry(room: Omit<IPublicRoomsChunkRoom, "aliases">, server: string): HTMLElement {
    const via = server === "" ? [] : [server];
    const { canonical_alias: alias, room_id: roomId } = room;
    return h(
      "div",
      { class: "entry" },
      h("h3", {}, room.name ?? alias ?? roomId),
      // An alias before an ID: Element's way to tell the homeserver where to look.
      button("View", () => this.#view(alias === undefined ? { roomId, via } : { alias, via })),
      h("span", { class: "about" }, `${room.topic ?? ""} · ${room.num_joined_members} members`),
    );
  }

  async #view(place: Place): Promise<void> {
    this.#looking?.close();
    const looking = new Looking(this.#client, place);
    this.#looking = looking;
    aside.replaceChildren();
    const opened = looking.open();
    await this.#draw();
    try {
      await opened;
    } catch (error) {
      console.error("the preview failed", error);
    }
    await this.#draw();
  }

  async #drawAgain(): Promise<void> {
    this.#drawRooms();
    if (this.#looking === undefined) return;
    await this.#looking.newer();
    await this.#draw();
  }

  async #draw(): Promise<void> {
    const looking = this.#looking;
    if (looking === undefined) return;
    const room = looking.room;
    if (room === null || looking.stage !== "shown") {
      const words = {
        loading: "Loading…",
        shown: "",
        "not-found": "There is no such room.",
        "no-preview": `${looking.place.alias ?? looking.roomId ?? ""} can't be previewed. Do you want to join it?`,
      };
      const bar = looking.stage === "no-preview" ? this.#previewBar(looking, "Join the discussion") : null;
      main.replaceChildren(h("p", { id: "notice" }, words[looking.stage]), ...(bar ? [bar] : []));
      return;
    }
    const topic: unknown = room
      .getLiveTimeline()
      .getState(EventTimeline.FORWARDS)
      ?.getStateEvents("m.room.topic", "")
      ?.getContent()["topic"];
    const messages = h(
      "div",
      { id: "timeline" },
      ...looking.events.filter(isShown).map((event) => this.#message(event)),
    );
    main.replaceChildren(
      h(
        "header",
        {},
        picture(this.#client, room.getMxcAvatarUrl() ?? undefined, "avatar"),
        h("h1", {}, room.name),
        h("span", { id: "topic" }, typeof topic === "string" ? topic : ""),
        button("People", () => this.#people(looking)),
        button("Threads", () => this.#threads(looking)),
        room.isSpaceRoom() ? button("Rooms", () => this.#children(looking)) : null,
        button("Older", async () => {
          await looking.older();
          await this.#draw();
          document.querySelector("#timeline")?.scrollTo({ top: 0 });
        }),
      ),
      messages,
      looking.isMember ? this.#composer(looking) : this.#previewBar(looking, "Join the discussion"),
    );
    messages.scrollTop = messages.scrollHeight;
    await looking.tellRead();
  }

  #previewBar(looking: Looking, label: string): HTMLElement {
    const join = async (): Promise<void> => {
      try {
        await looking.join();
      } catch (error) {
        main.append(h("p", { id: "join-error" }, error instanceof Error ? error.message : String(error)));
        return;
      }
      await this.#drawAgain();
    };
    return h("div", { id: "preview-bar" }, button(label, join));
  }

  #composer(looking: Looking): HTMLElement {
    const text = h("input", { "aria-label": "message", placeholder: "Send a message" });
    const send = (): Promise<unknown> => this.#client.sendTextMessage(looking.roomId ?? "", text.value);
    return h("div", { id: "composer" }, text, button("Send", send));
  }

  #message(event: MatrixEvent): HTMLElement {
    const content = event.getContent<Record<string, unknown>>();
    const url = content["msgtype"] === "m.image" ? (content["url"] as string) : undefined;
    const reactions = this.#looking?.room?.relations
      .getChildEventsForEvent(event.getId() ?? "", "m.annotation", "m.reaction")
      ?.getSortedAnnotationsByKey();
    return h(
      "div",
      { class: "message" },
      h("span", { class: "sender" }, event.sender?.name ?? event.getSender() ?? ""),
      h("span", { class: "text" }, String(content["body"])),
      ...(reactions ?? []).map(([key, by]) => h("span", { class: "reaction" }, `${key} ${by.size}`)),
      picture(this.#client, url, "image"),
    );
  }

  async #people(looking: Looking): Promise<void> {
    const people = await looking.people();
    aside.replaceChildren(h("h2", {}, "People"), h("ul", { id: "people" }, ...people.map((name) => h("li", {}, name))));
  }

  async #threads(looking: Looking): Promise<void> {
    const threads = await looking.threads();
    const items = threads.map(({ root, replies, text }) =>
      h(
        "li",
        {},
        button(`${text} (${replies})`, () => this.#thread(looking, root)),
      ),
    );
    aside.replaceChildren(h("h2", {}, "Threads"), h("ul", { id: "threads" }, ...items));
  }

  async #thread(looking: Looking, root: string): Promise<void> {
    const events = await looking.thread(root);
    aside.replaceChildren(
      h("h2", {}, "Thread"),
      h("div", { id: "thread" }, ...events.map((event) => this.#message(event))),
    );
  }

  async #children(looking: Looking): Promise<void> {
    const { rooms } = await this.#client.getRoomHierarchy(looking.roomId ?? "", 20);
    const via = rooms.flatMap(({ children_state: children }) => children.flatMap(({ content }) => content.via ?? []));
    const entries = rooms.slice(1).map((room) => this.#entry(room, via[0] ?? ""));
    aside.replaceChildren(h("h2", {}, "Rooms"), ...entries);
  }
}

/** Messages of the room itself: those in threads are shown there, and an edit in the place of what it edits. */
function isShown(event: MatrixEvent): boolean {
  const isInThread = event.threadRootId !== undefined && !event.isThreadRoot;
  return event.getType() === "m.room.message" && !isInThread && !event.isRelation(`m.replace`);
}

signIn();
