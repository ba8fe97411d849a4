import malti = require('./hapi.js')
export default malti
