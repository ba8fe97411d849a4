export { default } from './fastify.js'
