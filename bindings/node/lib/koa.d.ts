import type { Settings } from './index.js'

/** Koa middleware, to stand before the routes that it records. */
declare function malti(settings?: Settings): (ctx: any, next: () => Promise<any>) => Promise<any>
export = malti
