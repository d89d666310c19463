import { startPeer, type Subject } from "./subject.ts";

/** A transaction that a tenant was given. */
export interface Receipt {
  readonly tenant: number;
  readonly events: number;
  /** Milliseconds, by `machineNow`. */
  readonly at: number;
}

/** Now, by a clock that other processes of this machine share. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The tenants' side: a process with a server for each. */
export class TenantServers {
  readonly ports: readonly number[];
  readonly #subject: Subject;
  readonly #hearers = new Set<(receipt: Receipt) => void>();

  private constructor(subject: Subject, ports: readonly number[]) {
    this.#subject = subject;
    this.ports = ports;
    subject.onTold((told) => {
      for (const hear of this.#hearers) hear(told as Receipt);
    });
  }

  static async start(count: number): Promise<TenantServers> {
    const subject = await startPeer("tenants", "tenants");
    const ports = new Promise<readonly number[]>((resolve) => {
      subject.onTold((told) => {
        if (typeof told === "object" && told !== null && "ports" in told) resolve(told.ports as number[]);
      });
    });
    subject.tell({ listen: count });
    return new TenantServers(subject, await ports);
  }

  /** From now on the tenant is down, or takes so many milliseconds for each transaction. */
  behave(tenant: number, manners: { readonly down: boolean; readonly delay: number }): void {
    this.#subject.tell({ tenant, ...manners });
  }

  /** Resolves with the last receipt that it takes until `isEnough`. */
  until(isEnough: (receipt: Receipt) => boolean): Promise<Receipt> {
    return new Promise((resolve) => {
      const hear = (receipt: Receipt): void => {
        if (!isEnough(receipt)) return;
        this.#hearers.delete(hear);
        resolve(receipt);
      };
      this.#hearers.add(hear);
    });
  }

  async stop(): Promise<void> {
    await this.#subject.stop();
  }
}
