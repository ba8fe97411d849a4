import type { Said, Settings } from './index.js'

/** A hapi plugin; its options are settings. */
declare const malti: {
  name: string
  once: boolean
  register(server: any, settings: Settings): void
}
export = malti

declare module '@hapi/hapi' {
  interface Request {
    malti: Said
  }
}
