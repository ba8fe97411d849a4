import malti = require('./express.js')
export default malti
