import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Settings } from './index.js'

/** Express middleware, to stand before the routes that it records. */
declare function malti(
  settings?: Settings,
): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void
export = malti
