export { default } from './hapi.js'
