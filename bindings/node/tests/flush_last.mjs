// A program that has nothing left to do but wait for its records; started by tests.

import malti, { flush } from 'libmalti'

malti.record('GET', '/x', 200, 1)
console.log(await flush(60_000))
