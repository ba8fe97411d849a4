export { default } from './express.js'
