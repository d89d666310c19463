/** A log (events: docs/reference). Fields never contain a token, a message, or a user together with a room. */
export interface Logger {
  error(event: string, fields: LogFields): void;
  warn(event: string, fields: LogFields): void;
  info(event: string, fields: LogFields): void;
  debug(event: string, fields: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;
