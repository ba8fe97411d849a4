'use strict'
// CPU time of the whole process for a record, its sending included, while 1, 2, 4 and 8 worker threads record
// at once: a list of nanoseconds for each recorder and number of threads, `NAME_THREADS`.

const { once } = require('node:events')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { CALLS, NAMES, WORK, recorder } = require('./recorders.js')

const THREADS = [1, 2, 4, 8]
const TURNS = 7
/** The first ones compile. */
const WARMING = 2
/** Of so many times the calls. */
const ROUNDS = 10

async function work() {
  const { record, delivered } = recorder(workerData)
  parentPort.on('message', async () => {
    let count
    for (let round = 0; round < ROUNDS; round++) {
      for (const call of WORK) record(call)
      count = await delivered()
    }
    parentPort.postMessage(count)
  })
  parentPort.postMessage(0)
}

const answers = async (workers) => (await Promise.all(workers.map((one) => once(one, 'message')))).flat()

/** What a turn of these workers takes the process for each record; `counts` is what each has delivered. */
async function turn(workers) {
  const before = process.cpuUsage()
  const answered = answers(workers)
  for (const worker of workers) worker.postMessage('go')
  const counts = await answered
  const { user, system } = process.cpuUsage(before)
  return { cost: ((user + system) * 1000) / (workers.length * ROUNDS * CALLS), counts }
}

async function measure(name, figures) {
  // Its client is the whole process's, and lives as long as this thread's.
  const whole = recorder(name)
  if (!whole) return
  const workers = Array.from({ length: THREADS.at(-1) }, () => new Worker(__filename, { workerData: name }))
  await answers(workers)
  const asked = workers.map(() => 0)
  for (let i = 0; i < WARMING + TURNS; i++) {
    for (const count of THREADS) {
      const { cost, counts } = await turn(workers.slice(0, count))
      for (let j = 0; j < count; j++) asked[j] += ROUNDS * CALLS
      const sum = asked.reduce((a, b) => a + b)
      const right = name === 'libmalti' ? (await whole.delivered()) === sum : counts.every((one, j) => one === asked[j])
      if (!right) throw new Error(`${name}: not all was delivered`)
      if (i >= WARMING) (figures[`${name}_${count}`] ??= []).push(cost)
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
}

async function main() {
  const alive = setInterval(() => {}, 1000)
  const figures = {}
  for (const name of NAMES) await measure(name, figures)
  console.log(JSON.stringify(figures))
  clearInterval(alive)
}

isMainThread ? main() : work()
