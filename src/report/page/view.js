'use strict'
// What is looked at: the window, the selected event, the search. It can be written into the address and read from there.

const View = (() => {
  const GROUPS = {
    messages: ['sent', 'received', 'lost'], disk: ['disk'], timers: ['tick'], notes: ['note', 'state'],
    faults: ['fault', 'started', 'down'], operations: ['operation'],
  }
  const groupOf = new Array(Run.kinds.length).fill(null)
  for (const [name, kinds] of Object.entries(GROUPS)) for (const kind of kinds) groupOf[Run.K[kind]] = name

  const view = { from: 0, to: 1, bySteps: false, row: 0, query: '', hidden: new Set() }
  const shown = new Uint8Array(Run.n).fill(1)
  let shownCount = Run.n
  const listeners = []
  let isDue = false
  let addressTimer = 0

  const x = row => (view.bySteps ? row : Run.at[row])
  const last = () => (view.bySteps ? Math.max(1, Run.n) : Math.max(1, Run.end))
  // The rows from the first at or after `from` to the first after `to`.
  const rowAt = value => (view.bySteps ? Math.min(Run.n, Math.max(0, Math.ceil(value))) : Run.lowerBound(Run.at, value))

  function changed(what) {
    for (const listener of listeners) if (listener.on.includes(what)) listener.isDue = true
    clearTimeout(addressTimer)
    addressTimer = setTimeout(writeAddress, 150)
    if (isDue) return
    isDue = true
    requestAnimationFrame(() => {
      isDue = false
      for (const listener of listeners) {
        if (!listener.isDue) continue
        listener.isDue = false
        listener.act()
      }
    })
  }

  // Calls `act` before the next frame whenever one of these has changed: 'window', 'scale', 'row', 'shown', 'size'.
  const onChange = (on, act) => listeners.push({ on, act, isDue: true })

  function look(from, to) {
    const least = view.bySteps || Run.isInLines ? 4 : 1000
    const span = Math.min(Math.max(to - from, least), last() * 1.1)
    const middle = (from + to) / 2
    const margin = last() * 0.05
    view.from = Math.min(Math.max(middle - span / 2, -margin), last() + margin - span)
    view.to = view.from + span
    changed('window')
  }

  function zoom(factor, around = x(view.row)) {
    const inside = around >= view.from && around <= view.to ? around : (view.from + view.to) / 2
    look(inside - (inside - view.from) * factor, inside + (view.to - inside) * factor)
  }

  const pan = share => look(view.from + (view.to - view.from) * share, view.to + (view.to - view.from) * share)
  const all = () => look(-last() * 0.01, last() * 1.02)

  function select(row) {
    if (row < 0 || row >= Run.n) return
    view.row = row
    const span = view.to - view.from
    if (x(row) < view.from + span * 0.02 || x(row) > view.to - span * 0.02) look(x(row) - span / 2, x(row) + span / 2)
    changed('row')
  }

  // The window around these rows.
  function show(rows) {
    const [low, high] = [x(rows[0]), x(rows[rows.length - 1])]
    const margin = Math.max((high - low) * 0.15, view.bySteps || Run.isInLines ? 5 : 200000)
    look(low - margin, high + 2 * margin)
  }

  function toggleSteps() {
    const [from, to] = [rowAt(view.from), Math.max(rowAt(view.to) - 1, 0)]
    view.bySteps = !view.bySteps
    changed('scale')
    look(x(Math.min(from, Run.n - 1)), x(Math.min(Math.max(to, from), Run.n - 1)))
    select(view.row)
  }

  // Which rows are shown: those of groups that are not hidden, in which every word of the query is found.
  function filter() {
    const terms = view.query.toLowerCase().split(/\s+/).filter(term => term !== '' && !isPlaceInTime(term))
    const lower = terms.length > 0 ? Run.texts.map(text => text.toLowerCase()) : []
    const tests = terms.map(term => ({
      place: Run.places.map(name => (name.toLowerCase() === term ? 1 : 0)),
      kind: Run.kinds.map(name => (name === term ? 1 : 0)),
      text: Uint8Array.from(lower, text => (text.includes(term) ? 1 : 0)),
      never: 'never arrived'.includes(term) && term.length > 3,
    }))
    const group = groupOf.map(name => (view.hidden.has(name) ? 0 : 1))
    shownCount = 0
    for (let row = 0; row < Run.n; row++) {
      let isShown = group[Run.kind[row]]
      for (const test of tests) {
        isShown &= test.text[Run.text[row]] | test.place[Run.place[row]] | test.kind[Run.kind[row]]
          | (Run.peer[row] >= 0 && test.place[Run.peer[row]])
          | (test.never && Run.isLost(row))
      }
      shown[row] = isShown
      shownCount += isShown
    }
    changed('shown')
  }

  // `#120` is an event, `2.6s` a moment.
  const isPlaceInTime = term => /^#\d+$/.test(term) || /^\d+(\.\d+)?s$/.test(term)
  function goTo(term) {
    if (term[0] === '#') return select(Math.min(Number(term.slice(1)), Run.n - 1))
    const row = Math.min(Run.lowerBound(Run.at, parseFloat(term) * 1e9), Run.n - 1)
    look(x(row) - (view.to - view.from) / 2, x(row) + (view.to - view.from) / 2)
    select(row)
  }

  function search(query) {
    view.query = query
    filter()
    const moment = query.split(/\s+/).find(isPlaceInTime)
    if (moment !== undefined) goTo(moment)
  }

  function hide(group, isHidden) {
    if (isHidden) view.hidden.add(group)
    else view.hidden.delete(group)
    filter()
  }

  // The next shown row in this direction for which `wanted` holds; -1 if there is none.
  function find(direction, wanted = () => true) {
    for (let row = view.row + direction; row >= 0 && row < Run.n; row += direction) {
      if (shown[row] && wanted(row)) return row
    }
    return -1
  }

  function address() {
    const parts = [`e=${view.row}`, `from=${view.from.toFixed(0)}`, `to=${view.to.toFixed(0)}`]
    if (view.bySteps) parts.push('by=steps')
    if (view.query !== '') parts.push(`q=${encodeURIComponent(view.query)}`)
    if (view.hidden.size > 0) parts.push(`hide=${[...view.hidden].join(',')}`)
    return `#${parts.join('&')}`
  }

  const writeAddress = () => {
    if (location.hash === address()) return
    // Browsers refuse when they are asked too often; the next change asks again.
    try { history.replaceState(null, '', address()) } catch { /* the address stays as it was */ }
  }

  // Takes what the address says; false if it says nothing.
  function readAddress() {
    const said = new Map(location.hash.slice(1).split('&').map(part => part.split('=')))
    const number = name => (said.has(name) && /^-?\d+$/.test(said.get(name)) ? Number(said.get(name)) : null)
    if (number('e') === null) return false
    view.bySteps = said.get('by') === 'steps'
    view.hidden = new Set((said.get('hide') ?? '').split(',').filter(name => name in GROUPS))
    try { view.query = decodeURIComponent(said.get('q') ?? '') } catch { view.query = '' }
    view.row = Math.min(Math.max(number('e'), 0), Math.max(Run.n - 1, 0))
    filter()
    changed('scale')
    if (number('from') !== null && number('to') > number('from')) look(number('from'), number('to'))
    else all()
    changed('row')
    return true
  }

  return Object.assign(view, {
    GROUPS, shown, shownCount: () => shownCount, x, last, rowAt, changed, onChange, look, zoom, pan, all, select, show,
    toggleSteps, filter, search, hide, find, readAddress, groupOf,
  })
})()
