/** `npm run demo [-- --once]`: Emissary between two real, federating homeservers, shown step by step. */
import { exitCodeOfSignal, onStopRequest } from "../scripts/bootstrap/signals.mjs";
import { showAddresses } from "./addresses.ts";
import { play } from "./play.ts";
import { Screen } from "./screen.ts";
import { setUp } from "./setup.ts";
import { Stage } from "./stage.ts";

/** Somebody wants the demo to end; not a failure. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("interrupted");
    this.exitCode = exitCode;
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg !== "--once")) {
    console.error("usage: npm run demo [-- --once]");
    return 2;
  }
  const screen = new Screen(process.stdout, process.env);
  const stage = new Stage();
  const interruption = listenForInterruptions(screen, stage);
  let phase: "playing" | "staying" = "playing";
  let exitCode: number | undefined;

  // Ctrl-C is how that which stays up until Ctrl-C ends.
  const isExpected = (): boolean => phase === "staying";
  const perform = async (): Promise<void> => {
    const world = await setUp(stage, screen);
    const death = world.emissary.ended().then((how) => {
      throw new Error(how);
    });
    const scene = await Promise.race([play(world, screen), death]);
    if (args.includes("--once") || screen.failed > 0) return;
    await scene.tenant.user.join(scene.alias);
    await showAddresses(world, scene, screen);
    phase = "staying";
    await death;
  };

  try {
    await Promise.race([perform(), interruption]);
  } catch (error) {
    if (!(error instanceof Interrupted)) screen.failure(sentenceOf(error));
    else if (!isExpected()) exitCode = error.exitCode;
  }
  screen.mute();
  screen.farewell("\nEnding everything that was started …");
  try {
    await stage.close();
  } catch (error) {
    screen.failure(`Not everything ended well: ${sentenceOf(error)}`);
  }
  const interrupted = exitCode === undefined ? "" : "interrupted: ";
  screen.farewell(`${interrupted}${screen.passed} checks passed, ${screen.failed} failed`);
  return exitCode ?? (screen.failed > 0 || screen.passed === 0 ? 1 : 0);
}

/** Rejects at the first request to stop, and at an error that nobody waited for. A second request is not for waiting. */
function listenForInterruptions(screen: Screen, stage: Stage): Promise<never> {
  let end: (reason: Error) => void = () => undefined;
  const interruption = new Promise<never>((_, reject) => {
    end = reject;
  });
  const interrupt = (reason: Error): void => {
    screen.mute();
    end(reason);
  };
  onStopRequest((signal, request) => {
    const exitCode = exitCodeOfSignal(signal);
    if (request === 1) {
      interrupt(new Interrupted(exitCode));
      return;
    }
    stage.closeNow();
    process.exit(exitCode);
  });
  // A reader that has seen enough, such as `head`, closes the pipe.
  process.stdout.on("error", () => interrupt(new Interrupted(1)));
  process.on("uncaughtException", interrupt);
  return interruption;
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says only that it failed, and the cause says why.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

process.exit(await main(process.argv.slice(2)));
