import malti = require('./koa.js')
export default malti
