// Who has no types of Node's can use what does not need them.

import malti, { type Settings, type Stats } from 'libmalti'

const settings: Settings = { service_name: 'shop', batch_size: 10 }
const started: boolean = malti.init(settings)
const stats: Stats = malti.stats()
export { started, stats }
