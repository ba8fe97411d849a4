import type { Said, Settings } from './index.js'

/** A Fastify plugin, to be registered before the routes that it records. */
declare function malti(fastify: any, settings: Settings, done: (error?: Error) => void): void
export = malti

declare module 'fastify' {
  interface FastifyRequest {
    malti: Said
  }
}
