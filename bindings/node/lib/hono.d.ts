import type { Said, Settings } from './index.js'

/** Hono middleware, to stand before the routes that it records. */
declare function malti(settings?: Settings): (c: any, next: () => Promise<void>) => Promise<any>
export = malti

declare module 'hono' {
  interface ContextVariableMap {
    malti: Said
  }
}
