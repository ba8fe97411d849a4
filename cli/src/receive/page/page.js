// The live page: asks the receiver for figures once a second and writes them into the document.
// Names come from strangers. They are only ever set as text, and no HTML is made of anything.

const POLL_MS = 1000
const SEARCH_MS = 150
const ROWS = 100
const RECORDS = 30
const CLASSES = ['2xx', '3xx', '4xx', '5xx', '1xx', 'other']
const SVG = 'http://www.w3.org/2000/svg'

const find = (selector, within = document) => within.querySelector(selector)
const all = (selector, within = document) => [...within.querySelectorAll(selector)]

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** Writes only what differs: most of a table stays the same from one second to the next. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** A name may be longer than what is seen of it; the rest is told where one points at it. */
function writeName(element, name) {
  write(element, name)
  attribute(element, 'title', name)
}

function attribute(element, name, value) {
  if (value === null) element.removeAttribute(name)
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

// ---------------------------------------------------------------------------------------- Numbers

const whole = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })
const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 })
const seconds = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

const count = (value) => whole.format(value)
const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`

function percent(part, of) {
  if (!part || !of) return '0 %'
  const value = (100 * part) / of
  if (value < 0.1) return '< 0.1 %'
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`
}

function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return '–'
  if (milliseconds < 1000) return `${milliseconds} ms`
  return `${seconds.format(milliseconds / 1000)} s`
}

function span(length) {
  if (length < 60) return `${length} s`
  if (length < 3600) return length === 60 ? 'minute' : `${length / 60} min`
  return `${length / 3600} h`
}

const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const hours = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

/** A moment as one reads it from now: with its day where that is another. */
function moment(time) {
  const date = new Date(time)
  const today = date.toDateString() === new Date().toDateString()
  return today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`
}

/** The label of a slot's start, in seconds since 1970. */
function slotTime(start, width) {
  const date = new Date(start * 1000)
  if (width < 60) return clock.format(date)
  return width < 3600 ? hours.format(date) : `${day.format(date)} ${hours.format(date)}`
}

// ------------------------------------------------------------------------------------ The address

/** What is looked at. It stands in the address, so that it can be shared and gone back from. */
let view

const FILTERS = ['service', 'method', 'endpoint', 'consumer', 'status']

function fromAddress() {
  const query = new URLSearchParams(location.search)
  const table = (letter) => {
    const sort = query.get(`${letter}sort`) ?? '-count'
    return {
      sort: sort.replace(/^-/, ''),
      descending: sort.startsWith('-'),
      search: query.get(`${letter}search`) ?? '',
      page: Math.max(1, Number.parseInt(query.get(`${letter}page`) ?? '1', 10) || 1),
    }
  }
  const seen = { range: query.get('range') ?? '5m', endpoints: table('e'), consumers: table('c') }
  for (const name of FILTERS) seen[name] = query.get(name)
  return seen
}

function toAddress({ range, endpoints, consumers, ...filters }) {
  const query = new URLSearchParams()
  if (range !== '5m') query.set('range', range)
  for (const name of FILTERS) if (filters[name] !== null) query.set(name, filters[name])
  for (const [letter, table] of [
    ['e', endpoints],
    ['c', consumers],
  ]) {
    const sort = (table.descending ? '-' : '') + table.sort
    if (sort !== '-count') query.set(`${letter}sort`, sort)
    if (table.search) query.set(`${letter}search`, table.search)
    if (table.page > 1) query.set(`${letter}page`, table.page)
  }
  const text = query.toString()
  return text ? `/?${text}` : '/'
}

/** Looks at something else. Each step is one to go back to, except letters of a search. */
function look(changes, step = true) {
  view = { ...view, ...changes }
  if (FILTERS.some((name) => name in changes) || 'range' in changes) {
    view.endpoints = { ...view.endpoints, page: 1 }
    view.consumers = { ...view.consumers, page: 1 }
  }
  history[step ? 'pushState' : 'replaceState'](null, '', toAddress(view))
  show(true)
}

const sameEndpoint = (row) =>
  view.endpoint === row.endpoint && view.method === row.method && view.service === row.service

/** Chooses an endpoint, or gives the choice up. With it goes the service that it is of. */
function chooseEndpoint(row) {
  const { endpoint, method, service } = row
  if (sameEndpoint(row)) look({ endpoint: null, method: null, service: null })
  else look({ endpoint, method, service })
}

const chooseConsumer = ({ consumer }) =>
  look({ consumer: view.consumer === consumer ? null : consumer })
const chooseStatus = (status) => look({ status: view.status === status ? null : status })

// ------------------------------------------------------------------------------------- The charts

const MARGIN = { left: 46, right: 8, top: 6, bottom: 20 }

/** Where in a chart a slot and a share of the height are. */
function plane(svg, slots) {
  const { width, height } = svg.getBoundingClientRect()
  const inner = {
    width: Math.max(1, width - MARGIN.left - MARGIN.right),
    height: height - MARGIN.top - MARGIN.bottom,
  }
  const step = inner.width / slots
  return {
    ...inner,
    step,
    x: (slot) => MARGIN.left + slot * step,
    y: (share) => MARGIN.top + inner.height * (1 - share),
  }
}

const fixed = (number) => Number(number.toFixed(2))
const box = (x, y, width, height) =>
  `M${fixed(x)} ${fixed(y)}h${fixed(width)}v${fixed(height)}h${fixed(-width)}z`

/** Lines and labels: `marks` are [share of the height, label]. */
function axes(area, chart, marks) {
  const parts = marks.flatMap(([share, label]) => {
    const y = Math.round(area.y(share))
    return [
      draw('path', { class: 'grid', d: `M${MARGIN.left} ${y}h${fixed(area.width)}` }),
      draw('text', { x: MARGIN.left - 7, y: y + 4, 'text-anchor': 'end' }, label),
    ]
  })
  // Round times in the zone of who looks, as many as there is room for.
  const room = Math.max(2, Math.floor(area.width / 80))
  const length = chart.slots * chart.width
  const every =
    [
      15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 432000,
      864000,
    ].find((step) => length / step <= room) ?? length
  const zone = new Date(chart.start * 1000).getTimezoneOffset() * 60
  const first = Math.ceil((chart.start - zone) / every) * every + zone
  for (let time = first; time < chart.start + length; time += every) {
    const x = area.x((time - chart.start) / chart.width)
    if (x > MARGIN.left + area.width - 12) break
    const date = new Date(time * 1000)
    const label = every >= 86400 ? day.format(date) : hours.format(date)
    parts.push(
      draw('path', { class: 'grid', d: `M${fixed(x)} ${MARGIN.top + area.height}v4` }),
      draw(
        'text',
        { x: fixed(x), y: MARGIN.top + area.height + 16, 'text-anchor': 'middle' },
        every < 60 ? clock.format(date) : label,
      ),
    )
  }
  return parts
}

/** A round count of at least `value`, and how many parts its axis has, of whole requests each. */
function ceiling(value) {
  for (let scale = 1; ; scale *= 10) {
    for (const [top, parts] of [
      [1, 1],
      [1.5, 3],
      [2, scale > 1 ? 4 : 2],
      [3, 3],
      [4, 4],
      [5, 5],
      [6, 3],
      [8, 4],
      [10, 5],
    ]) {
      if (top * scale >= value && Number.isInteger(top * scale)) return [top * scale, parts]
    }
  }
}

/** What a chart last showed, to draw it again when its size or the cursor changes. */
const charts = {}

function chartOf(id, drawing) {
  const figure = find(`#${id}`)
  const chart = {
    svg: find('svg[role="img"]', figure),
    reading: find('.reading', figure),
    legend: find('.legend', figure),
    drawing,
    slot: null,
  }
  charts[id] = chart
  const at = (event) => {
    if (!latest) return
    const area = plane(chart.svg, latest.slots)
    const slot = Math.floor(
      (event.clientX - chart.svg.getBoundingClientRect().left - MARGIN.left) / area.step,
    )
    chart.slot = slot >= 0 && slot < latest.slots ? slot : null
    redraw(chart)
  }
  chart.svg.addEventListener('pointermove', at)
  chart.svg.addEventListener('pointerdown', at)
  chart.svg.addEventListener('pointerleave', () => {
    chart.slot = null
    redraw(chart)
  })
}

function redraw(chart) {
  if (!latest) return
  const area = plane(chart.svg, latest.slots)
  const { parts, reading } = chart.drawing(latest, area, chart.slot)
  if (chart.slot !== null) {
    parts.push(
      draw('path', {
        class: 'cursor',
        d: box(area.x(chart.slot), MARGIN.top, area.step, area.height),
      }),
    )
  }
  chart.svg.replaceChildren(...parts)
  write(chart.reading, reading)
}

const inSlot = (chart, slot) => `${slotTime(chart.start + slot * chart.width, chart.width)}  ·  `
const present = (chart) => CLASSES.filter((name) => chart.statuses[name])
const totals = (chart) =>
  Array.from({ length: chart.slots }, (_, slot) =>
    present(chart).reduce((sum, name) => sum + chart.statuses[name][slot], 0),
  )

function drawRequests(chart, area, slot) {
  const sums = totals(chart)
  const most = Math.max(...sums)
  const [top, marks] = ceiling(Math.max(1, most))
  const gap = area.step > 5 ? 1.5 : area.step > 3 ? 1 : 0
  const below = new Array(chart.slots).fill(0)
  const bars = present(chart).map((name) => {
    const d = chart.statuses[name].map((value, place) => {
      if (!value) return ''
      // What is there at all can be seen.
      const height = Math.max((area.height * value) / top, 1.5)
      below[place] += height
      return box(area.x(place) + gap / 2, area.y(0) - below[place], area.step - gap, height)
    })
    return draw('path', { class: `s-${name}`, d: d.join('') })
  })
  const lines = Array.from({ length: marks + 1 }, (_, part) => [
    part / marks,
    (top < 10_000 ? whole : short).format((top * part) / marks),
  ])
  let reading = `Peak: ${count(most)} at ${slotTime(chart.start + sums.indexOf(most) * chart.width, chart.width)}`
  if (!most) reading = 'No requests'
  if (slot !== null) {
    const each = present(chart)
      .filter((name) => chart.statuses[name][slot])
      .map((name) => `${name} ${count(chart.statuses[name][slot])}`)
    reading = inSlot(chart, slot) + [plural(sums[slot], 'request'), ...each].join('  ·  ')
  }
  return { parts: [...axes(area, chart, lines), ...bars], reading }
}

const LINES = ['p50', 'p95', 'p99']

function drawLatency(chart, area, slot) {
  const values = LINES.flatMap((name) => chart[name]).filter((value) => value !== null)
  // Powers of ten, for a few slow ones must not flatten the rest.
  const low = Math.floor(Math.log10(Math.max(1, Math.min(...values, 1e9))))
  const bottom = values.length ? low : 0
  const top = Math.max(bottom + 1, Math.ceil(Math.log10(Math.max(1, ...values))))
  const share = (value) => (Math.log10(Math.max(1, value)) - bottom) / (top - bottom)
  const marks = []
  for (let power = bottom; power <= top; power += 1) {
    for (const digit of top - bottom > 2 ? [1] : top - bottom > 1 ? [1, 3] : [1, 2, 5]) {
      const value = digit * 10 ** power
      if (share(value) <= 1) marks.push([share(value), duration(value)])
    }
  }
  const lines = LINES.map((name) => {
    let open = false
    const d = chart[name].map((value, place) => {
      if (value === null) {
        open = false
        return ''
      }
      const point = `${fixed(area.x(place + 0.5))} ${fixed(area.y(share(value)))}`
      // A lone one is a dot: a line without length that has round ends.
      const move = open ? `L${point}` : `M${point}h.01`
      open = true
      return move
    })
    return draw('path', { class: `l-${name}`, d: d.join('') })
  })
  const { total } = chart
  let reading = total.count
    ? `All: ${LINES.map((name) => `${name} ${duration(total[name])}`).join('  ·  ')}`
    : 'No requests'
  if (slot !== null) {
    const each = LINES.map((name) => `${name} ${duration(chart[name][slot])}`)
    reading = inSlot(chart, slot) + (chart.p50[slot] === null ? 'no requests' : each.join('  ·  '))
  }
  return { parts: [...axes(area, chart, marks), ...lines], reading }
}

const HEATS = 6

function drawHeat(chart, area, slot) {
  const { bounds, rows } = chart.heat
  const warm = rows.map((row) => row.some(Boolean))
  // At least four rows, so that one is no wall.
  let low = Math.max(0, warm.indexOf(true))
  let high = Math.max(low, warm.lastIndexOf(true))
  while (high - low < 3) {
    if (high < rows.length - 1) high += 1
    else low -= 1
  }
  const most = Math.max(1, ...rows.flat())
  // By the logarithm: the few slow ones are what one looks for.
  const heat = (value) =>
    Math.min(HEATS, 1 + Math.floor((HEATS * Math.log(value)) / Math.log(most + 1)))
  const paths = Array.from({ length: HEATS }, () => [])
  const height = area.height / (high - low + 1)
  for (let row = low; row <= high; row += 1) {
    rows[row].forEach((value, place) => {
      if (!value) return
      const y = area.y(0) - (row - low + 1) * height
      paths[heat(value) - 1].push(
        box(area.x(place) + 0.25, y + 0.5, Math.max(1, area.step - 0.5), height - 1),
      )
    })
  }
  const every = Math.ceil((high - low + 1) / 7)
  const marks = []
  for (let row = low; row <= high; row += every)
    marks.push([(row - low) / (high - low + 1), duration(bounds[row])])
  const squares = paths.map((parts, level) =>
    draw('path', { class: `h-${level + 1}`, d: parts.join('') }),
  )
  const under = (row) => (row + 1 < bounds.length ? `under ${duration(bounds[row + 1])}` : 'longer')
  const busiest = (values) => values.indexOf(Math.max(...values))
  const sums = rows.map((row) => row.reduce((sum, value) => sum + value, 0))
  const top = busiest(sums)
  let reading = chart.total.count
    ? `${percent(sums[top], chart.total.count)} of all took ${duration(bounds[top])} or more, ${under(top)}`
    : 'No requests'
  if (slot !== null) {
    const each = []
    for (let row = high; row >= low; row -= 1)
      if (rows[row][slot]) each.push(`${duration(bounds[row])}+ ${count(rows[row][slot])}`)
    reading = inSlot(chart, slot) + (each.length ? each.slice(0, 8).join('  ·  ') : 'no requests')
  }
  return { parts: [...axes(area, chart, marks), ...squares], reading }
}

const swatch = (name) =>
  draw(
    'svg',
    { viewBox: '0 0 10 10', 'aria-hidden': 'true' },
    draw('rect', { class: name, width: 10, height: 10, rx: 2 }),
  )
const stroke = (name) =>
  draw(
    'svg',
    { viewBox: '0 0 12 10', 'aria-hidden': 'true' },
    draw('path', { class: name, d: 'M1 5h10' }),
  )

function legends() {
  charts['latency-chart'].legend.append(
    ...LINES.map((name) => make('li', {}, stroke(`l-${name}`), name)),
  )
  const steps = Array.from({ length: HEATS }, (_, level) => swatch(`h-${level + 1}`))
  charts['heat-chart'].legend.append(make('li', {}, 'few', ...steps, 'many'))
  charts['requests-chart'].legend.append(
    ...CLASSES.map((name) => {
      const button = make(
        'button',
        { type: 'button', 'data-status': name },
        swatch(`s-${name}`),
        name,
      )
      button.addEventListener('click', () => chooseStatus(name))
      return make('li', {}, button)
    }),
  )
}

/** The charts' figures for those who can't see them, made while the table is open. */
function showFigures(chart) {
  const details = find('#figures')
  if (!details.open) return
  const names = present(chart)
  const titles = ['Time', 'Requests', ...names, ...LINES]
  find('thead', details).replaceChildren(
    make(
      'tr',
      {},
      ...titles.map((title, place) =>
        make('th', { scope: 'col', class: place ? 'number' : '' }, title),
      ),
    ),
  )
  const sums = totals(chart)
  const rows = sums.map((sum, slot) => {
    if (!sum) return null
    const cells = [
      count(sum),
      ...names.map((name) => count(chart.statuses[name][slot])),
      ...LINES.map((name) => duration(chart[name][slot])),
    ]
    const time = slotTime(chart.start + slot * chart.width, chart.width)
    return make(
      'tr',
      {},
      make('th', { scope: 'row' }, time),
      ...cells.map((cell) => make('td', { class: 'number' }, cell)),
    )
  })
  find('tbody', details).replaceChildren(...rows.filter(Boolean).reverse())
}

// ------------------------------------------------------------------------------------- The tables

const line = (row) => {
  const most = Math.max(1, ...row.spark)
  const step = 100 / (row.spark.length - 1)
  const points = row.spark.map(
    (value, place) => `${fixed(place * step)} ${fixed(19 - (18 * value) / most)}`,
  )
  return `M-2 22L${points.join('L')}L102 22z`
}

/** A column: its title, what the server sorts it by, its cell's class, how a cell is written. */
const text = (show, title, sort, kind) => ({
  title,
  sort,
  kind,
  fill: (cell, row) => write(cell, show(row)),
})
/** A text of any length, of which the cell shows some lines. */
const long = (show, title, kind = '') => ({
  title,
  kind,
  fill(cell, row) {
    if (!cell.firstChild) cell.append(make('bdi', { class: 'name' }))
    writeName(cell.firstChild, show(row))
  },
})
const number = (title, sort, show, kind = '') => text(show, title, sort, `number ${kind}`)
const share = (title, sort, key, tone, kind = '') => ({
  title,
  sort,
  kind: `number ${kind}`,
  fill(cell, row) {
    write(cell, percent(row[key], row.count))
    attribute(cell, 'class', `number ${kind} ${row[key] ? tone : 'none'}`)
  },
})
const spark = {
  title: 'Over time',
  kind: 'optional',
  fill(cell, row) {
    if (!cell.firstChild) {
      cell.append(
        draw(
          'svg',
          {
            class: 'spark',
            viewBox: '0 0 100 20',
            preserveAspectRatio: 'none',
            'aria-hidden': 'true',
          },
          draw('path'),
        ),
      )
    }
    attribute(cell.firstChild.firstChild, 'd', line(row))
  },
}

const column = {
  count: number('Requests', 'count', (row) => count(row.count)),
  client: share('4xx', 'client_errors', 'client_errors', 'warn', 'optional'),
  server: share('5xx', 'server_errors', 'server_errors', 'bad'),
  p50: number('p50', 'p50', (row) => duration(row.p50), 'optional'),
  p95: number('p95', 'p95', (row) => duration(row.p95)),
  p99: number('p99', 'p99', (row) => duration(row.p99), 'optional'),
}

/** A table that keeps its rows by name. */
class Table {
  constructor(id, key, columns) {
    this.section = find(`#${id}`)
    this.body = find('tbody', this.section)
    this.key = key
    this.columns = columns
    this.rows = new Map()
    this.head = columns.map(({ title, kind = '' }) =>
      make('th', { scope: 'col', class: kind }, title),
    )
    find('thead', this.section).append(make('tr', {}, ...this.head))
  }

  /** Whether rows stay where they are. */
  get held() {
    return false
  }

  fill(rows, nothing, anew) {
    const wanted = new Map(rows.map((row) => [this.key(row), row]))
    for (const [key, row] of this.rows) {
      if (!wanted.has(key)) {
        row.remove()
        this.rows.delete(key)
      }
    }
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null
    let order = [...wanted.keys()]
    if (!anew && this.held) order = [...new Set([...this.rows.keys(), ...order])]
    const placed = new Map()
    for (const key of order) {
      const row = this.rows.get(key) ?? this.row()
      placed.set(key, row)
      const at = this.body.children[placed.size - 1]
      if (at !== row) this.body.insertBefore(row, at ?? null)
      row.data = wanted.get(key)
      for (const [place, column] of this.columns.entries())
        column.fill(row.children[place], row.data)
    }
    this.rows = placed
    for (const spare of [...this.body.children].slice(placed.size)) spare.remove()
    if (!placed.size)
      this.body.append(
        make('tr', {}, make('td', { class: 'nothing', colspan: this.columns.length }, nothing)),
      )
    if (focused?.isConnected && document.activeElement !== focused)
      focused.focus({ preventScroll: true })
  }

  row() {
    const row = make('tr')
    this.columns.forEach(({ kind, name, click }) => {
      const cell = name
        ? make('th', { scope: 'row' }, make('button', { type: 'button' }))
        : make('td', { class: kind ?? '' })
      if (name) cell.firstChild.addEventListener('click', () => click(row.data))
      row.append(cell)
    })
    return row
  }
}

/** A table with search, sorting and pages, which the server does. */
class Listing extends Table {
  constructor(id, noun, key, columns) {
    super(id, key, columns)
    this.id = id
    this.noun = noun
    columns.forEach(({ title, sort }, place) => {
      if (!sort) return
      const button = make('button', { type: 'button' }, title)
      button.addEventListener('click', () => this.sortBy(sort))
      this.head[place].replaceChildren(button)
    })
    this.search = find('input', this.section)
    let typing
    this.search.addEventListener('input', () => {
      clearTimeout(typing)
      typing = setTimeout(
        () => this.change({ search: this.search.value, page: 1 }, false),
        SEARCH_MS,
      )
    })
    this.previous = find('.previous', this.section)
    this.next = find('.next', this.section)
    this.previous.addEventListener('click', () => this.change({ page: view[id].page - 1 }))
    this.next.addEventListener('click', () => this.change({ page: view[id].page + 1 }))
  }

  /** While somebody points at a row or has the focus there: the wrong one would be chosen. */
  get held() {
    return this.body.matches(':hover') || this.body.contains(document.activeElement)
  }

  change(changes, step = true) {
    look({ [this.id]: { ...view[this.id], ...changes } }, step)
  }

  sortBy(sort) {
    const now = view[this.id]
    // Names begin with A, figures with the largest.
    const descending = now.sort === sort ? !now.descending : sort !== 'name'
    this.change({ sort, descending, page: 1 })
  }

  path() {
    const { sort, descending, search, page } = view[this.id]
    const query = asked()
    query.set('range', view.range)
    query.set('sort', sort)
    query.set('order', descending ? 'desc' : 'asc')
    if (search) query.set('search', search)
    query.set('offset', (page - 1) * ROWS)
    query.set('limit', ROWS)
    return `/api/${this.id}?${query}`
  }

  show({ matches, rows }, anew) {
    const { sort, descending, search, page } = view[this.id]
    this.columns.forEach((column, place) => {
      const order = descending ? 'descending' : 'ascending'
      attribute(this.head[place], 'aria-sort', column.sort === sort ? order : null)
    })
    if (document.activeElement !== this.search) this.search.value = search
    const pages = Math.max(1, Math.ceil(matches / ROWS))
    const from = (page - 1) * ROWS + 1
    const extent =
      pages > 1 && rows.length
        ? `${count(from)}–${count(from + rows.length - 1)} of ${count(matches)}`
        : count(matches)
    write(find('.extent', this.section), extent)
    this.previous.hidden = this.next.hidden = pages === 1 && page === 1
    this.previous.disabled = page <= 1
    this.next.disabled = page >= pages
    this.fill(
      rows,
      search ? `No ${this.noun} has “${search}” in its name` : `No ${this.noun} in this time`,
      anew,
    )
  }
}

/** The cell that has the row's name, and chooses it. */
const name = (title, parts, chosen, click) => ({
  title,
  sort: 'name',
  name: true,
  click,
  fill(cell, row) {
    const button = cell.firstChild
    if (!button.firstChild) {
      button.append(...parts.map(([tag, kind]) => make(tag, { class: kind })))
    }
    for (const [place, [, , show]] of parts.entries()) writeName(button.children[place], show(row))
    attribute(button, 'aria-pressed', String(chosen(row)))
    attribute(cell.parentElement, 'class', chosen(row) ? 'chosen' : '')
  },
})

const tables = {
  endpoints: new Listing(
    'endpoints',
    'endpoint',
    ({ service, method, endpoint }) => JSON.stringify([service, method, endpoint]),
    [
      name(
        'Endpoint',
        [
          ['span', 'method', (row) => row.method],
          ['bdi', 'name mono', (row) => row.endpoint],
          ['bdi', 'name service', (row) => row.service],
        ],
        sameEndpoint,
        chooseEndpoint,
      ),
      column.count,
      spark,
      column.client,
      column.server,
      column.p50,
      column.p95,
      column.p99,
      number('Consumers', 'partners', (row) => count(row.consumers), 'spare'),
    ],
  ),
  consumers: new Listing('consumers', 'consumer', ({ consumer }) => consumer, [
    name(
      'Consumer',
      [['bdi', 'name', (row) => row.consumer || '(none)']],
      (row) => row.consumer === view.consumer,
      chooseConsumer,
    ),
    column.count,
    spark,
    column.server,
    column.p95,
    number('Endpoints', 'partners', (row) => count(row.endpoints), 'spare'),
  ]),
}

const records = new Table('records', (row) => row.id, [
  text((row) => moment(row.created_at), 'Time', null, 'nowrap'),
  {
    title: 'Status',
    kind: 'number',
    fill(cell, { status }) {
      write(cell, String(status))
      attribute(cell, 'class', `number ${status >= 500 ? 'bad' : status >= 400 ? 'warn' : ''}`)
    },
  },
  text((row) => row.method, 'Method', null, 'optional'),
  long((row) => row.endpoint, 'Endpoint', 'path'),
  number('Took', null, (row) => duration(row.response_time)),
  long((row) => row.consumer, 'Consumer'),
  long((row) => row.service, 'Service', 'optional'),
  long((row) => row.node ?? '', 'Node', 'optional'),
  long((row) => row.context ?? '', 'Context', 'optional'),
])

// --------------------------------------------------------------------------------- Everything else

/** The chart that is shown. */
let latest = null

function showTiles({ total, slots, width }) {
  const rate = total.count / (slots * width)
  const per =
    rate * 60 < 1 ? '' : rate < 1 ? `${digits.format(rate * 60)}/min` : `${short.format(rate)}/s`
  const tiles = [
    ['Requests', count(total.count), per, ''],
    [
      '5xx',
      percent(total.server_errors, total.count),
      total.server_errors ? count(total.server_errors) : '',
      total.server_errors ? 'bad' : '',
    ],
    [
      '4xx',
      percent(total.client_errors, total.count),
      total.client_errors ? count(total.client_errors) : '',
      total.client_errors ? 'warn' : '',
    ],
    ...LINES.map((name) => [name, duration(total[name]), '', '']),
  ]
  const list = find('#tiles')
  if (!list.firstChild) {
    list.append(
      ...tiles.map(([title]) =>
        make('div', {}, make('dt', {}, title), make('dd', {}, make('span'), make('small'))),
      ),
    )
  }
  tiles.forEach(([, value, beside, tone], place) => {
    const [figure, small] = find('dd', list.children[place]).children
    write(figure, value)
    write(small, beside)
    attribute(figure, 'class', tone)
  })
}

function option(select, value, label) {
  const one = make('option', { value }, label)
  select.append(one)
  return one
}

function showFilters(chart) {
  const service = find('#service')
  const names = Object.keys(chart.services).sort()
  if (view.service !== null && !names.includes(view.service)) names.push(view.service)
  // A list that is open must not change.
  if (document.activeElement !== service && JSON.stringify(names) !== service.dataset.names) {
    service.dataset.names = JSON.stringify(names)
    service.replaceChildren()
    // No service has a line break in its name.
    option(service, '\n', 'All')
    for (const name of names) option(service, name, name || '(none)')
  }
  service.value = view.service ?? '\n'
  find('#status').value = view.status ?? ''
  const chosen = []
  if (view.endpoint !== null)
    chosen.push([`${view.method ?? ''} ${view.endpoint}`.trim(), { endpoint: null, method: null }])
  if (view.consumer !== null) chosen.push([view.consumer || '(none)', { consumer: null }])
  const list = find('#chosen')
  const labels = JSON.stringify(chosen)
  if (list.dataset.labels !== labels) {
    list.dataset.labels = labels
    const hadFocus = list.contains(document.activeElement)
    list.replaceChildren(
      ...chosen.map(([label, without]) => {
        const name = make('bdi', { class: 'name' })
        writeName(name, label)
        const button = make(
          'button',
          { type: 'button', 'aria-label': `No longer only ${label}` },
          name,
        )
        button.addEventListener('click', () => look(without))
        return make('li', {}, button)
      }),
    )
    if (hadFocus) (find('button', list) ?? service).focus()
  }
  for (const button of all('[data-range]'))
    attribute(button, 'aria-pressed', String(button.dataset.range === view.range))
  for (const button of all('[data-status]')) {
    const { status } = button.dataset
    attribute(button, 'aria-pressed', String(status === view.status))
    button.parentElement.hidden = !chart.statuses[status] && status !== view.status
  }
}

function showNote(chart) {
  const note = find('#note')
  const lines = []
  const longer = { '5m': '1h', '1h': '24h', '24h': '30d' }[view.range]
  if (!chart.in_range && chart.records) {
    lines.push(`None of the ${plural(chart.records, 'record')} received is of this time.`)
  }
  if (chart.unnamed) {
    lines.push(
      `${count(chart.unnamed)} of ${plural(chart.in_range, 'request')} are counted without endpoint or consumer, to bound memory.`,
    )
  }
  const wanted = JSON.stringify([lines, longer])
  if (note.dataset.shown !== wanted) {
    note.dataset.shown = wanted
    note.replaceChildren(lines.join(' '))
    if (!chart.in_range && longer) {
      const button = make('button', { type: 'button' }, 'Look back further')
      button.addEventListener('click', () => look({ range: longer }))
      note.append(button)
    }
  }
  note.hidden = !lines.length
}

const quoted = (word) =>
  /^[\w\-./:@%+=]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`

function showEmpty({ keys }) {
  const key = keys.length ? 'YOUR_KEY' : 'any-key'
  write(
    find('#exports'),
    [
      `export MALTI_URL=${location.origin}`,
      `export MALTI_API_KEY=${key}`,
      `export MALTI_SERVICE_NAME=${quoted(keys[0] ?? 'my-service')}`,
    ].join('\n'),
  )
  find('#whose-key').hidden = !keys.length
}

function showState(name, label) {
  const state = find('#state')
  attribute(state, 'class', name)
  write(state, label)
}

// -------------------------------------------------------------------------------------- The polling

let paused = false
let timer
let running = null
/** Address and tag of what each part shows: where both are the same again, nothing is to be done. */
const shown = new Map()

/** The filters as a query. */
function asked() {
  const query = new URLSearchParams()
  for (const name of FILTERS) if (view[name] !== null) query.set(name, view[name])
  return query
}

/** Asks, and gives what shows the answer. */
async function ask(path, signal, showing) {
  const answer = await fetch(path, { cache: 'no-cache', signal })
  const tag = path + answer.headers.get('etag')
  if (answer.ok && shown.get(showing) === tag) return () => {}
  const body = await answer.json()
  if (!answer.ok) throw new Error(body.detail)
  return (anew) => {
    shown.set(showing, tag)
    showing(body, anew)
  }
}

const showEndpoints = (answer, anew) => tables.endpoints.show(answer, anew)
const showConsumers = (answer, anew) => tables.consumers.show(answer, anew)
const showRecords = (answer, anew) => records.fill(answer.records.reverse(), 'No record', anew)

/** Asks and shows. `anew`: somebody asked for something else, so what is held is let go. */
async function show(anew) {
  clearTimeout(timer)
  running?.abort()
  const mine = new AbortController()
  running = mine
  if (anew) shown.clear()
  try {
    const charted = asked()
    charted.set('range', view.range)
    const listed = asked()
    listed.set('limit', RECORDS)
    const answers = await Promise.all([
      ask(`/api/traffic?${charted}`, mine.signal, showChart),
      ask(tables.endpoints.path(), mine.signal, showEndpoints),
      ask(tables.consumers.path(), mine.signal, showConsumers),
      ask(`/api/records?${listed}`, mine.signal, showRecords),
    ])
    if (mine.signal.aborted) return
    for (const showing of answers) showing(anew)
    if (paused) showState('paused', `Paused at ${clock.format(new Date())}`)
    else showState('live', 'Live')
  } catch (error) {
    if (mine.signal.aborted) return
    shown.clear()
    showState('lost', error instanceof TypeError ? 'No connection' : error.message)
  }
  if (running === mine) running = null
  next()
}

function next() {
  clearTimeout(timer)
  if (!paused && !document.hidden) timer = setTimeout(show, POLL_MS)
}

function showChart(chart, anew) {
  latest = chart
  const empty = !chart.records
  find('#empty').hidden = !empty
  find('#content').hidden = empty
  if (empty) showEmpty(chart)
  write(find('#requests-title'), `Requests per ${span(chart.width)}`)
  showFilters(chart)
  showNote(chart)
  showTiles(chart)
  Object.values(charts).forEach(redraw)
  showFigures(chart)
  const kept = chart.kept < chart.records ? `, the last ${count(chart.kept)} of them in memory` : ''
  write(find('#totals'), plural(chart.records, 'record') + kept)
  if (anew) write(find('#said'), `${plural(chart.total.count, 'request')}`)
}

function pause() {
  paused = !paused
  attribute(find('#pause'), 'aria-pressed', String(paused))
  if (!paused) return show(false)
  running?.abort()
  clearTimeout(timer)
  showState('paused', `Paused at ${clock.format(new Date())}`)
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name
  else delete document.documentElement.dataset.theme
}

/** Remembered where the browser lets us. */
const memory = {
  get: () => {
    try {
      return localStorage.getItem('theme') ?? ''
    } catch {
      return ''
    }
  },
  set: (value) => {
    try {
      localStorage.setItem('theme', value)
    } catch {
      /* It holds until a reload. */
    }
  },
}

function start() {
  view = fromAddress()
  const themes = find('#theme')
  themes.value = memory.get()
  theme(themes.value)
  themes.addEventListener('change', () => {
    theme(themes.value)
    memory.set(themes.value)
  })
  chartOf('requests-chart', drawRequests)
  chartOf('latency-chart', drawLatency)
  chartOf('heat-chart', drawHeat)
  legends()
  for (const button of all('[data-range]'))
    button.addEventListener('click', () => look({ range: button.dataset.range }))
  find('#pause').addEventListener('click', pause)
  find('#service').addEventListener('change', ({ target }) => {
    // An endpoint is one of its service.
    look({ service: target.value === '\n' ? null : target.value, endpoint: null, method: null })
  })
  find('#status').addEventListener('change', ({ target }) => look({ status: target.value || null }))
  find('#figures').addEventListener('toggle', () => latest && showFigures(latest))
  const copy = find('#copy')
  // Only pages of this machine or by TLS may write there.
  copy.hidden = !navigator.clipboard
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(find('#exports').textContent).then(
      () => write(copy, 'Copied'),
      () => write(copy, 'Not allowed'),
    )
  })
  addEventListener('popstate', () => {
    view = fromAddress()
    show(true)
  })
  document.addEventListener('visibilitychange', () =>
    document.hidden || paused ? clearTimeout(timer) : show(false),
  )
  new ResizeObserver(() => Object.values(charts).forEach(redraw)).observe(find('.charts'))
  show(true)
}

start()
