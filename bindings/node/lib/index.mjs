import malti from './index.js'

export const {
  init,
  record,
  flush,
  shutdown,
  flushOnSignal,
  stats,
  setConsumer,
  setContext,
  setEndpoint,
  instrument,
  version,
} = malti
export default malti
