export { default } from './koa.js'
