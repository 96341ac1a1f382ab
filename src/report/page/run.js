'use strict'
// The run: every event as a row of typed arrays, and what follows from them. Nothing here changes once it is read.

const Run = (() => {
  const data = JSON.parse(document.getElementById('data').textContent)
  const n = data.at.length
  const { places, kinds, texts, roles } = data
  const kind = Uint8Array.from(data.kind)
  const place = Uint16Array.from(data.place)
  const text = Uint32Array.from(data.text)
  const peer = Int16Array.from(data.peer, number => number - 1)
  const cause = Int32Array.from(data.cause, (back, row) => (back === 0 ? -1 : row - back))
  const at = new Float64Array(n)
  for (let row = 0, now = 0; row < n; row++) at[row] = now += data.at[row]
  for (const column of ['at', 'kind', 'place', 'text', 'peer', 'cause']) data[column] = null

  const K = Object.fromEntries(kinds.map((name, index) => [name, index]))
  const arrives = new Int32Array(n).fill(-1)
  const isRepeated = new Uint8Array(n)
  for (let row = 0; row < n; row++) {
    if (kind[row] !== K.received || cause[row] < 0) continue
    if (arrives[cause[row]] < 0) arrives[cause[row]] = row
    else isRepeated[row] = 1
  }

  // What each row caused: rows first[row] to first[row + 1] of `caused`, ascending.
  const first = new Uint32Array(n + 1)
  for (let row = 0; row < n; row++) if (cause[row] >= 0) first[cause[row] + 1]++
  for (let row = 0; row < n; row++) first[row + 1] += first[row]
  const caused = new Uint32Array(first[n])
  const filled = first.slice(0, n)
  for (let row = 0; row < n; row++) if (cause[row] >= 0) caused[filled[cause[row]]++] = row

  // Longer than most messages take by far.
  const delays = []
  const step = Math.max(1, Math.floor(n / 20000))
  for (let row = 0; row < n; row += step) if (arrives[row] >= 0) delays.push(at[arrives[row]] - at[row])
  delays.sort((a, b) => a - b)
  const slow = 4 * (delays[delays.length >> 1] ?? 0)

  // Sent, and not arrived: lost with its connection; or still on its way when the run ended, if that was soon after.
  const end = n > 0 ? at[n - 1] : 0
  const isMissing = row => kind[row] === K.sent && arrives[row] < 0
  const isLost = row => isMissing(row) && at[row] + slow <= end

  const violations = []
  const faults = []
  for (let row = 0; row < n; row++) {
    if (kind[row] === K.violated) violations.push(row)
    else if (kind[row] === K.fault) faults.push(row)
  }

  function words(row) {
    const said = texts[text[row]]
    const other = peer[row] < 0 ? '' : places[peer[row]]
    switch (kind[row]) {
      case K.sent: return `→ ${other}  ${said}${isLost(row) ? '  (never arrived)' : isMissing(row) ? '  (on its way at the end)' : ''}`
      case K.received: return `← ${other}  ${said}${isRepeated[row] ? '  (again)' : ''}`
      case K.lost: return `✕ ${other}  ${said}`
      default: return said
    }
  }

  // Some histories know no times, only in which line of their file something stands.
  const isInLines = data.clock === 'lines'

  // Nanoseconds as seconds, without the zeros at the end.
  function time(nanoseconds) {
    if (isInLines) return `line ${nanoseconds}`
    const whole = Math.floor(nanoseconds / 1e9)
    const rest = String(Math.round(nanoseconds - whole * 1e9)).padStart(9, '0').replace(/0+$/, '')
    return rest === '' ? `${whole}s` : `${whole}.${rest}s`
  }

  // The first index of an ascending array whose value is not below `value`.
  function lowerBound(array, value, from = 0, to = array.length) {
    while (from < to) {
      const middle = (from + to) >>> 1
      if (array[middle] < value) from = middle + 1
      else to = middle
    }
    return from
  }

  const effects = row => caused.subarray(first[row], first[row + 1])
  const operations = data.operations.map(([of, said, ending, invoke, end]) => ({ place: of, text: said, ending, invoke, end }))
  return {
    n, at, place, kind, text, peer, cause, arrives, isRepeated, isLost, effects, slow, violations, faults, operations,
    places, kinds, texts, roles, K, words, time, lowerBound,
    isInLines, title: data.title, finding: data.finding, facts: data.facts, tracks: data.tracks,
    end,
  }
})()

// What is known of every node at an event: the last change up to it.
const Nodes = (() => {
  const fields = ['role', 'epoch', 'leader', 'vote', 'hw', 'end', 'recovering', 'paused']
  const of = new Map()
  for (const [place, track] of Object.entries(Run.tracks)) {
    const node = {}
    for (const field of fields) node[field] = { at: Int32Array.from(track[`${field}At`]), value: track[field] }
    of.set(Number(place), node)
  }
  // The index of the last change up to `row`; -1 where there is none.
  const index = (track, row) => Run.lowerBound(track.at, row + 1) - 1
  function state(place, row) {
    const node = of.get(place)
    const found = {}
    for (const field of fields) {
      const last = index(node[field], row)
      found[field] = last < 0 ? -1 : node[field].value[last]
    }
    return found
  }
  return { of, index, state, fields, places: [...of.keys()].sort((a, b) => a - b) }
})()
