/** One room on the screen, with what Element Web asks for while it shows it. */
import {
  ClientEvent,
  Direction,
  type MatrixClient,
  MatrixError,
  RelationType,
  type MatrixEvent,
  type Room,
  TimelineWindow,
} from "matrix-js-sdk";

/** As much of a place as a link, the directory or a space tells. */
export interface Place {
  readonly alias?: string | undefined;
  readonly roomId?: string | undefined;
  readonly via?: readonly string[];
}

export interface Thread {
  readonly root: string;
  readonly replies: number;
  readonly text: string;
}

const NEWEST = 20;

export class Looking {
  readonly #client: MatrixClient;
  readonly place: Place;
  /** `loading` has no end but an answer: Element shows its spinner for every error but "forbidden". */
  stage: "loading" | "shown" | "no-preview" | "not-found" = "loading";
  isPeeking = false;
  room: Room | null = null;
  roomId: string | undefined;
  #via: readonly string[];
  #window: TimelineWindow | undefined;
  #read: string | undefined;

  constructor(client: MatrixClient, place: Place) {
    this.#client = client;
    this.place = place;
    this.roomId = place.roomId;
    this.#via = place.via ?? [];
  }

  async open(): Promise<void> {
    if (this.roomId === undefined) {
      try {
        const found = await this.#client.getRoomIdForAlias(this.place.alias ?? "");
        this.roomId = found.room_id;
        this.#via = found.servers;
      } catch {
        this.stage = "not-found";
        return;
      }
    }
    const known = this.#client.getRoom(this.roomId);
    if (known !== null) return this.#show(known);
    this.isPeeking = true;
    try {
      // The ID alone: no version of Element has passed a server along here.
      await this.#show(await this.#client.peekInRoom(this.roomId, NEWEST));
    } catch (error) {
      this.isPeeking = false;
      const errcode = error instanceof MatrixError ? error.errcode : undefined;
      if (errcode === "M_FORBIDDEN" || errcode === "M_GUEST_ACCESS_FORBIDDEN") this.stage = "no-preview";
      else throw error;
    }
  }

  close(): void {
    if (this.isPeeking) this.#client.stopPeeking();
  }

  get isMember(): boolean {
    return this.room?.getMyMembership() === "join";
  }

  get events(): MatrixEvent[] {
    return this.#window?.getEvents() ?? [];
  }

  /** False at the beginning of the room. */
  async older(): Promise<boolean> {
    return (await this.#window?.paginate(Direction.Backward, NEWEST)) ?? false;
  }

  /** To the end of what has come since. */
  async newer(): Promise<void> {
    while (await this.#window?.paginate(Direction.Forward, NEWEST, false));
  }

  async join(): Promise<void> {
    const address = this.place.alias ?? this.roomId ?? "";
    const { roomId } = await this.#client.joinRoom(address, { viaServers: [...this.#via] });
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#client.getRoom(roomId)?.getMyMembership() !== "join") return;
        this.#client.off(ClientEvent.Sync, look);
        resolve();
      };
      this.#client.on(ClientEvent.Sync, look);
      look();
    });
    this.close();
    this.isPeeking = false;
    this.roomId = roomId;
    const joined = this.#client.getRoom(roomId);
    if (joined !== null) await this.#show(joined);
  }

  async people(): Promise<string[]> {
    await this.room?.loadMembersIfNeeded();
    return (this.room?.getJoinedMembers() ?? []).map(({ name }) => name).sort();
  }

  async threads(): Promise<Thread[]> {
    if (this.room === null) return [];
    await this.room.createThreadsTimelineSets();
    await this.room.fetchRoomThreads();
    return this.room.getThreads().map(({ id, rootEvent }) => {
      const text: unknown = rootEvent?.getContent()["body"];
      // As the server counts: the SDK adds what it has found in the timeline to that.
      const bundled = rootEvent?.getServerAggregatedRelation<{ count: number }>("m.thread");
      return { root: id, replies: bundled?.count ?? 0, text: String(text) };
    });
  }

  async thread(root: string): Promise<MatrixEvent[]> {
    const { originalEvent, events } = await this.#client.relations(this.roomId ?? "", root, RelationType.Thread, null);
    return [...(originalEvent ? [originalEvent] : []), ...events.reverse()];
  }

  /** Nothing is told of a room that is peeked into; of one that was, as of one's own, Element tells how far it was read. */
  async tellRead(): Promise<void> {
    const last = this.events.at(-1);
    if (this.isPeeking || last === undefined || this.#read === last.getId()) return;
    this.#read = last.getId();
    await this.#client.sendReadReceipt(last);
    await this.#client.setRoomReadMarkers(last.getRoomId() ?? "", last.getId() ?? "");
  }

  async #show(room: Room): Promise<void> {
    this.room = room;
    this.#window = new TimelineWindow(this.#client, room.getUnfilteredTimelineSet());
    await this.#window.load(undefined, NEWEST);
    this.stage = "shown";
  }
}
