import malti = require('./hono.js')
export default malti
