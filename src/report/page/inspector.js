'use strict'
// The selected event, its causes and effects, and the state of every node at that moment.

const Inspector = (() => {
  const { element, jump } = Finding
  const byId = id => document.getElementById(id)
  const COLUMNS = [
    ['node', (state, place) => Run.places[place], []],
    ['role', state => (state.role < 0 ? '–' : Run.roles[state.role]), ['role']],
    ['epoch', state => orDash(state.epoch), ['epoch']],
    ['leader', state => (state.leader < 0 ? '–' : `n${state.leader}`), ['leader']],
    ['vote', state => (state.vote < 0 ? '–' : `n${state.vote}`), ['vote']],
    ['hw', state => orDash(state.hw), ['hw']],
    ['end', state => orDash(state.end), ['end']],
    ['', state => [state.recovering === 1 ? 'recovering' : '', state.paused === 1 ? 'stands still' : ''].join(' ').trim(), ['recovering', 'paused']],
  ]
  const orDash = number => (number < 0 ? '–' : String(number))

  function show() {
    if (Run.n === 0) return
    const { row } = View
    const event = byId('event')
    event.textContent = `#${row}  ${Run.time(Run.at[row])}  ${Run.places[Run.place[row]]}\n${Run.words(row)}${delay(row)}`
    event.className = Run.kind[row] === Run.K.violated ? 'bad' : ''
    byId('links').replaceChildren(...causes(row), ...effects(row))
    byId('moment').textContent = `after #${row}, at ${Run.time(Run.at[row])}`
    byId('nodes').replaceChildren(...table(row))
    byId('every').hidden = Nodes.places.length === 0
  }

  function delay(row) {
    const [sent, arrival] = Run.kind[row] === Run.K.sent ? [row, Run.arrives[row]] : [Run.cause[row], row]
    const isMessage = Run.kind[row] === Run.K.sent || Run.kind[row] === Run.K.received
    return isMessage && sent >= 0 && arrival >= 0 ? `\non its way for ${((Run.at[arrival] - Run.at[sent]) / 1e6).toFixed(3)} ms` : ''
  }

  function link(label, row) {
    const line = element('div')
    line.append(`${label} `, jump(row, `#${row} ${Run.places[Run.place[row]]}  ${Run.words(row)}`))
    return line
  }

  function causes(row) {
    const links = []
    for (let cause = Run.cause[row]; cause >= 0 && links.length < 6; cause = Run.cause[cause]) {
      links.push(link(links.length === 0 ? 'because of' : '⤷ because of', cause))
    }
    return links
  }

  function effects(row) {
    const all = Run.effects(row)
    const links = Array.from(all.subarray(0, 8), effect => link('led to', effect))
    if (all.length > links.length) links.push(element('div', '', `and to ${all.length - links.length} events more`))
    return links
  }

  // Cells that this event has changed stand out.
  function table(row) {
    const head = element('tr')
    for (const [name] of COLUMNS) head.append(element('th', '', name))
    const lines = Nodes.places.map(place => {
      const [state, before] = [Nodes.state(place, row), Nodes.state(place, row - 1)]
      const line = element('tr', place === Run.place[row] ? 'here' : '')
      for (const [name, text, fields] of COLUMNS) {
        const isChanged = row > 0 && fields.some(field => state[field] !== before[field])
        const cell = element('td', isChanged ? 'changed' : '', text(state, place))
        if (name === 'role' && state.role >= 0) cell.prepend(element('span', `swatch ${Run.roles[state.role]}`))
        line.append(cell)
      }
      return line
    })
    return Nodes.places.length === 0 ? [] : [head, ...lines]
  }

  return { show }
})()
