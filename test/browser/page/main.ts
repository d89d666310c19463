/** A small Matrix client on matrix-js-sdk, which looks into rooms as Element Web does: the same calls of the SDK in the same order. */
import {
  ClientEvent,
  createClient,
  EventTimeline,
  type IPublicRoomsChunkRoom,
  type MatrixClient,
  PendingEventOrdering,
  RoomEvent,
  RoomStateEvent,
} from "matrix-js-sdk";
import { button, h } from "./dom.ts";
import { Drawing } from "./drawing.ts";
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
    const drawing = new Drawing(this.#client, looking, aside);
    const messages = drawing.timeline();
    main.replaceChildren(
      h(
        "header",
        {},
        picture(this.#client, room.getMxcAvatarUrl() ?? undefined, "avatar"),
        h("h1", {}, room.name),
        h("span", { id: "topic" }, typeof topic === "string" ? topic : ""),
        button("People", () => drawing.people()),
        button("Threads", () => drawing.threads()),
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

  async #children(looking: Looking): Promise<void> {
    const { rooms } = await this.#client.getRoomHierarchy(looking.roomId ?? "", 20);
    const via = rooms.flatMap(({ children_state: children }) => children.flatMap(({ content }) => content.via ?? []));
    const entries = rooms.slice(1).map((room) => this.#entry(room, via[0] ?? ""));
    aside.replaceChildren(h("h2", {}, "Rooms"), ...entries);
  }
}

signIn();
