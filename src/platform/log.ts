import winston from "winston";
import { sentenceOf } from "../model/errors.ts";
import type { LogFields, Logger } from "../model/logger.ts";

export interface LogOptions {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly format: "text" | "json";
}

export interface LeveledLogger extends Logger {
  /** Sets the minimum level logged. */
  setLevel(level: LogOptions["level"]): void;
}

/** Makes a log on standard error: lines for people, or one JSON object a line. */
export function makeLog({ level, format }: LogOptions): LeveledLogger {
  const { combine, timestamp, json, printf } = winston.format;
  const text = printf(({ timestamp: at, level: severity, message, ...fields }) => {
    const rest = Object.entries(fields).map(
      ([name, value]) => ` ${name}=${typeof value === "string" ? quote(value) : JSON.stringify(value)}`,
    );
    return `${String(at)} ${severity.padEnd(5)} ${String(message)}${rest.join("")}`;
  });
  const logger = winston.createLogger({
    level,
    format: combine(timestamp(), format === "json" ? json() : text),
  });
  logger.add(new winston.transports.Console({ stderrLevels: ["error", "warn", "info", "debug"] }));
  const write =
    (severity: LogOptions["level"]) =>
    (event: string, fields: LogFields): void => {
      // winston would format an entry before it checks the level.
      if (!logger.isLevelEnabled(severity)) return;
      logger.log(severity, event, readable(fields));
    };
  return {
    error: write("error"),
    warn: write("warn"),
    info: write("info"),
    debug: write("debug"),
    setLevel: (wanted) => (logger.level = wanted),
  };
}

function quote(value: string): string {
  return /^[\w.:/@!#-]+$/.test(value) ? value : JSON.stringify(value);
}

/** Replaces errors by their sentences, with the stack for unexpected ones. */
function readable(fields: LogFields): Record<string, unknown> {
  const { error, ...rest } = fields;
  if (error === undefined) return rest;
  const unexpected = error instanceof Error && error.name !== "EmissaryError";
  return { ...rest, error: sentenceOf(error), ...(unexpected ? { stack: error.stack } : {}) };
}
