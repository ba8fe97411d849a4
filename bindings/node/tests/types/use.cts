// Every export as CommonJS has it, by `import` and by `require`.

import { createServer, type Server } from 'node:http'
import express = require('express')
import fastify = require('fastify')
import Koa = require('koa')
import malti = require('libmalti')
import { flushOnSignal, init, type Said, type Settings, type Stats } from 'libmalti'
import onExpress = require('libmalti/express')
import onFastify = require('libmalti/fastify')
import onKoa = require('libmalti/koa')

const settings: Settings = { logger: console, service_name: 'shop' }
const started: boolean = init(settings)
const recorded: boolean = malti.record('GET', '/a/{b}', 200, 1500, 'alice', 'note')
const delivered: Promise<boolean> = malti.flush().then(() => malti.shutdown())
flushOnSignal('SIGTERM')
malti.setConsumer('alice')
malti.setContext(undefined)
malti.setEndpoint(null)
const ledger: Stats = malti.stats()
const text: string = malti.version()
const server: Server = malti.instrument(createServer((req) => req.malti satisfies Said | undefined))

express().use(onExpress(settings))
fastify().register(onFastify, settings)
new Koa().use(onKoa(settings))

// @ts-expect-error
malti.default
// @ts-expect-error
malti.record('GET')
// @ts-expect-error
onExpress(7)

export = { delivered, ledger, recorded, server, started, text }
