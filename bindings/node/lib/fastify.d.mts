import malti = require('./fastify.js')
export default malti
