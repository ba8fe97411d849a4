/** What the library says; such as `console`, pino or winston. */
export interface Logger {
  error(line: string): unknown
  warn(line: string): unknown
  info(line: string): unknown
  debug(line: string): unknown
}

type Setting = string | number | boolean | readonly (string | number)[] | null | undefined

/** Keys of the README's table, such as `service_name`; what is not named is of the environment. */
export interface Settings {
  /** Takes the log lines that go to standard error otherwise. */
  logger?: Logger
  api_key?: string
  url?: string
  service_name?: string
  node?: string
  enabled?: boolean
  clean_mode?: boolean
  [key: string]: Setting | Logger
}

/** What the application says of the request that it is answering; undefined or null: nothing. */
export interface Said {
  /** Who called, before headers and query. */
  consumer?: unknown
  /** Free text. */
  context?: unknown
  /** In place of the route's pattern, such as "/users/{user_id}". */
  endpoint?: unknown
}

/** The ledger: `recorded` + `adopted` is the sum of what was sent, waits, or was dropped. */
export interface Stats {
  recorded: number
  adopted: number
  sent: number
  buffered: number
  in_flight: number
  spooled: number
  dropped_overflow: number
  dropped_rejected: number
  dropped_shutdown: number
  dropped_expired: number
  filtered: number
  invalid: number
  batches: number
  retries: number
  bytes_sent: number
  buffer_capacity: number
  spool_skipped_bytes: number
  last_success_unix_ms: number
  last_http_status: number
  last_error: string | null
  state: string
}

/**
 * Starts the client with `settings` over those of the environment; without it the first request
 * does. True: requests are recorded. Throws a TypeError or RangeError for a setting that is unknown
 * or can't be used, an Error where the client runs with other settings.
 */
export function init(settings?: Settings): boolean
/**
 * Records one request, for hosts without middleware. `responseTimeUs` is in microseconds. True:
 * recorded. Throws a TypeError for an argument of the wrong type.
 */
export function record(
  method: string,
  endpoint: string,
  status: number,
  responseTimeUs: number,
  consumer?: string | null,
  context?: string | null,
): boolean
/**
 * Delivers what has been recorded so far. False: not within `timeoutMs` (5000 unless given), or the
 * server refuses. Blocks nothing; the process lives until it resolves.
 */
export function flush(timeoutMs?: number): Promise<boolean>
/** Delivers, then stops the client. False: not all was confirmed within `timeoutMs`. */
export function shutdown(timeoutMs?: number): Promise<boolean>
/**
 * Lets signals (SIGTERM where none is named) that nobody else listens to deliver what is left,
 * within the setting `shutdown_timeout`, before the process dies of them as ever (process 1 of a
 * container exits with 128 and the signal's number). Where others listen, the end is theirs. Throws an Error in a worker thread, which gets no signals.
 */
export function flushOnSignal(...signals: string[]): void
export function stats(): Stats
/** Names the caller of the request that is being answered; outside a request it does nothing. */
export function setConsumer(consumer: unknown): void
/** Adds free text to the record of the request that is being answered. */
export function setContext(context: unknown): void
/** Sets the endpoint of the request that is being answered, in place of the route's pattern. */
export function setEndpoint(endpoint: unknown): void

export interface InstrumentOptions {
  /** The request's route in normal form; undefined: its path stands for it. */
  endpoint?: (req: any) => string | undefined
  [setting: string]: Setting | Logger | ((req: any) => string | undefined)
}

/**
 * Records each request of a server of node:http, node:https or node:http2. Returns the server. The
 * prototype of such servers stands for all of a process, those included that listen already.
 */
export function instrument<Server extends { emit: (...event: any[]) => unknown }>(
  server: Server,
  options?: InstrumentOptions,
): Server
/** The native library's version. */
export function version(): string

declare module 'node:http' {
  interface IncomingMessage {
    /** Where a request is recorded: what the application says of it. */
    malti?: Said
  }
}
