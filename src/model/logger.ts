/**
 * What the inner folders need of a log: an event's name and its fields. Names and fields are listed in docs/reference; never
 * among them: a token, a message, or a user together with a room.
 */
export interface Logger {
  error(event: string, fields: LogFields): void;
  warn(event: string, fields: LogFields): void;
  info(event: string, fields: LogFields): void;
  debug(event: string, fields: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;
