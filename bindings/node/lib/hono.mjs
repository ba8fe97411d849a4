export { default } from './hono.js'
