export * from './index.js'
import * as malti from './index.js'
export default malti
