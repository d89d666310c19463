/** Transactions as a Synapse sends them, the same in every run: a quarter of the events are memberships. */

const ROOMS = 20;
const USERS = 500;
const MEMBER_EVERY = 4;

export interface Transaction {
  readonly id: string;
  readonly events: number;
  readonly body: Buffer;
}

/** Makes transactions whose events no other one has; every membership names the one that it replaced. */
export class TransactionMaker {
  #made = 0;
  #transactions = 0;
  readonly #memberships = new Map<string, string>();

  /** As many transactions as asked for, of `size` events each. */
  make(count: number, size: number): readonly Transaction[] {
    return Array.from({ length: count }, () => this.#one(size));
  }

  #one(size: number): Transaction {
    this.#transactions += 1;
    const events = Array.from({ length: size }, () => this.#event());
    // Synapse sends these parts, empty, to an application service that asks for ephemeral events.
    const body = { events, ephemeral: [], "de.sorunome.msc2409.ephemeral": [], to_device: [] };
    return { id: `${this.#transactions}`, events: size, body: Buffer.from(JSON.stringify(body)) };
  }

  #event(): unknown {
    this.#made += 1;
    const made = this.#made;
    const room = `!RoomNumber${made % ROOMS}abcdefgh:remote.example`;
    // Users and rooms are walked through at different paces, so that every user gets into every room.
    const user = `@user${Math.floor((made * 7) / 3) % USERS}:remote.example`;
    const id = `$${made.toString().padStart(12, "0")}abcdefghijklmnopqrstuvwxyz01234`;
    const common = {
      event_id: id,
      room_id: room,
      sender: user,
      user_id: user,
      origin_server_ts: 1_780_000_000_000 + made,
      age: 80 + (made % 100),
    };
    if (made % MEMBER_EVERY === 0) return { ...common, ...this.#membership(room, user, id) };
    return {
      ...common,
      type: "m.room.message",
      content: {
        msgtype: "m.text",
        body: `Message ${made}: so long that it looks like what people write to each other in a room.`,
        "m.mentions": {},
      },
      unsigned: { age: 80 + (made % 100) },
    };
  }

  #membership(room: string, user: string, id: string): object {
    const key = `${room} ${user}`;
    const before = this.#memberships.get(key);
    this.#memberships.set(key, id);
    return {
      type: "m.room.member",
      state_key: user,
      content: { membership: "join", displayname: `User at ${this.#made}`, avatar_url: `mxc://remote.example/${user}` },
      unsigned: {
        age: 80,
        ...(before === undefined
          ? {}
          : { replaces_state: before, prev_content: { membership: "join", displayname: "User before" } }),
      },
    };
  }
}
