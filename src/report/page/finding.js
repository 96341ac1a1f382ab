'use strict'
// What went wrong: the verdict, the rule, the operations that conflict, the events that led there, the line that replays it.

const Finding = (() => {
  const { finding } = Run
  const UNKNOWN = 2 // how an operation ends that was not answered
  const SHOWN = 12 // so many operations of a core, and no more at once
  const byId = id => document.getElementById(id)

  function element(tag, className, text) {
    const made = document.createElement(tag)
    if (className) made.className = className
    if (text !== undefined) made.textContent = text
    return made
  }

  // A button with time, place and words of an event, which selects it.
  function step(row, times = 1) {
    const button = element('button', `step${Run.kind[row] === Run.K.violated ? ' bad' : ''}`)
    button.type = 'button'
    button.dataset.row = row
    button.append(element('span', 'when', Run.time(Run.at[row])), element('span', '', Run.places[Run.place[row]]), element('span', '', Run.words(row) + (times > 1 ? `, ${times} times in a row` : '')))
    button.addEventListener('click', () => View.select(row))
    return button
  }

  function jump(row, text) {
    const button = element('button', 'jump', text)
    button.type = 'button'
    button.addEventListener('click', () => View.select(row))
    return button
  }

  function head() {
    const marks = { passed: ['✓', 'good'], violated: ['✕', 'bad'], no_progress: ['✕', 'bad'], nothing_to_check: ['○', 'neutral'] }
    const [mark, kind] = marks[finding.verdict] ?? ['?', 'unsure']
    const badge = byId('badge')
    badge.textContent = `${mark} ${finding.verdict.replaceAll('_', ' ').toUpperCase()}`
    badge.className = kind
    byId('finding').classList.add(kind)
    if (finding.rule !== null) {
      const [name, statement] = finding.rule
      byId('rule').append(element('span', '', 'the rule '), element('b', 'mono', name), element('span', '', `: ${statement}`))
    }
    if (finding.replay !== null) {
      byId('command').textContent = finding.replay
      byId('replay').hidden = false
    }
    byId('copy').addEventListener('click', copy)
    const sentence = byId('sentence')
    sentence.classList.add('clamped')
    byId('more').hidden = sentence.scrollHeight <= sentence.clientHeight + 2
    byId('more').addEventListener('click', () => {
      byId('more').textContent = sentence.classList.toggle('clamped') ? 'all of it' : 'less of it'
    })
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(finding.replay)
      byId('copy').textContent = 'copied'
    } catch {
      getSelection().selectAllChildren(byId('command'))
      byId('copy').textContent = 'selected'
    }
  }

  function chain() {
    for (const [number, row] of finding.causes.entries()) {
      const item = element('li')
      item.append(step(row, finding.times[number]))
      byId('causes').append(item)
    }
    // What clients were told is judged at the end, when what happened is long past.
    if (finding.causes.every(row => Run.kind[row] !== Run.K.violated)) byId('led').textContent = 'What happened meanwhile'
    byId('chain').hidden = finding.causes.length === 0
  }

  function besides() {
    const notes = byId('notes')
    if (finding.prefix !== null) notes.append(element('li', '', finding.prefix.sentence))
    for (const [text, row] of finding.notes) {
      const item = element('li')
      item.append(row === null ? element('span', '', text) : jump(row, text))
      notes.append(item)
    }
    byId('besides').hidden = notes.childElementCount === 0
  }

  // An operation of the core, as a button that selects its end.
  function operationStep([index, why]) {
    const operation = Run.operations[index]
    const row = Math.max(operation.end, operation.invoke)
    const item = element('li')
    const button = element('button', 'step')
    button.type = 'button'
    button.dataset.row = row
    const what = said(operation) + (why === '' ? '' : ` — ${why}`)
    button.append(element('span', 'when', span(operation)), element('span', '', Run.places[operation.place]), element('span', '', what))
    button.addEventListener('click', () => View.select(row))
    item.append(button)
    return item
  }

  // Of a large core the last operations come first to the eye, and the others unfold.
  function core() {
    const earlier = finding.conflict.slice(0, -SHOWN)
    byId('conflict').append(...finding.conflict.slice(-SHOWN).map(operationStep))
    if (earlier.length > 0) {
      byId('before').hidden = false
      byId('before').querySelector('summary').textContent = `${earlier.length} operations before these`
      byId('before').querySelector('ol').append(...earlier.map(operationStep))
    }
    for (const sentence of finding.orders) byId('orders').append(element('li', '', sentence))
    // Of two operations the headline says it all.
    byId('why').hidden = finding.orders.length === 0 || (finding.orders.length === 1 && finding.conflict.length <= 2)
    byId('orders').hidden = byId('why').hidden
    byId('core').hidden = finding.conflict.length === 0
  }

  // Who was not answered gave up at some time, but what was asked may happen later.
  const isOpen = operation => operation.end < 0 || operation.ending === UNKNOWN
  const said = operation => Run.texts[operation.text] + (isOpen(operation) ? ' ⇒ never answered' : '')
  const span = operation => `${moment(operation.invoke)} to ${isOpen(operation) ? 'never' : moment(operation.end)}`
  const moment = row => (row < 0 ? '?' : Run.time(Run.at[row]))

  // The operations in lanes, in the order of their invokes and returns: the distances mean nothing, the order does.
  function draw() {
    if (finding.conflict.length === 0) return
    const core = finding.conflict.slice(-SHOWN).map(([index]) => index)
    const before = core.length === finding.conflict.length ? (finding.prefix?.order ?? []).filter(index => !core.includes(index)) : []
    const drawn = [...before, ...core].map(index => ({ isBefore: before.includes(index), ...Run.operations[index] }))
    byId('figure').replaceChildren(figure(drawn, Math.max(byId('figure').clientWidth, 480)), element('p', 'caption', caption(before.length, core.length)))
  }

  function caption(before, core) {
    const sentences = ['In the order of calls and returns; distances mean nothing.']
    if (before > 0) sentences.push('Pale: no part of the conflict, but the end of the longest order that was found.')
    const left = finding.conflict.length - core
    if (left > 0) sentences.push(`${left} operations before these are not drawn; all of them are in the list.`)
    return sentences.join(' ')
  }

  // One line for each client; more where operations of one client were under way at once.
  function inLines(drawn, rows) {
    const lines = []
    const places = [...new Set(drawn.map(operation => operation.place))].sort((a, b) => a - b)
    for (const place of places) {
      const ends = []
      for (const operation of drawn.filter(operation => operation.place === place).sort((a, b) => a.invoke - b.invoke)) {
        const free = ends.findIndex(end => end <= operation.invoke)
        const depth = free < 0 ? ends.length : free
        ends[depth] = isOpen(operation) ? Infinity : operation.end
        lines.push({ operation, place, line: depth, from: rows.indexOf(operation.invoke), to: isOpen(operation) ? rows.length : rows.indexOf(operation.end) })
      }
    }
    let top = 0
    for (const place of places) {
      const here = lines.filter(bar => bar.place === place)
      for (const bar of here) bar.line += top
      top += 1 + Math.max(...here.map(bar => bar.line)) - top
    }
    return { lines, places, count: top }
  }

  function figure(drawn, width) {
    const rows = [...new Set(drawn.flatMap(operation => [operation.invoke, operation.end]))].filter(row => row >= 0).sort((a, b) => a - b)
    const { lines, places, count } = inLines(drawn, rows)
    const [left, lane] = [70, 46]
    const unit = (width - left - 30) / Math.max(rows.length, 1)
    const x = step => (step >= rows.length ? width - 1 : left + 10 + unit * (Math.max(step, 0) + 0.25))
    const y = line => line * lane + 30
    const svg = shape('svg', { viewBox: `0 0 ${width} ${count * lane + 22}`, width, height: count * lane + 22, role: 'img' })
    for (const place of places) {
      const line = Math.min(...lines.filter(bar => bar.place === place).map(bar => bar.line))
      svg.append(fitted({ x: 4, y: y(line) + 4 }, Run.places[place], left - 6))
    }
    for (let line = 0; line < count; line++) svg.append(shape('line', { class: 'lane', x1: left, x2: width, y1: y(line), y2: y(line) }))
    const lastEnd = Math.max(...drawn.filter(operation => !operation.isBefore && !isOpen(operation)).map(operation => operation.end))
    for (const bar of lines) {
      const { operation, line } = bar
      const [begin, end] = [x(bar.from), Math.max(x(bar.to), x(bar.from) + 6)]
      const box = { x: begin, y: y(line) - 10, width: end - begin, height: 20, rx: 3 }
      const after = Math.min(width, ...lines.filter(other => other.line === line && other.from > bar.from).map(other => x(other.from)))
      svg.append(shape('rect', { class: operation.isBefore ? 'bar before' : 'bar', ...box }))
      svg.append(fitted({ x: begin + 5, y: y(line) + 4 }, said(operation), end - begin - 10))
      svg.append(fitted({ class: 'dim', x: begin, y: y(line) - 14 }, moment(operation.invoke), after - begin - 6))
      if (!operation.isBefore && operation.end === lastEnd) svg.append(shape('text', { class: 'dim', x: end, y: y(line) + 23, 'text-anchor': 'end' }, 'the last answer ▴'))
    }
    return svg
  }

  // A text that ends where its room does; the pointer is told all of it.
  const pen = document.createElement('canvas').getContext('2d')
  function fitted(attributes, text, room) {
    pen.font = '12px system-ui, sans-serif'
    let [low, high] = [0, text.length]
    const cut = length => (length === text.length ? text : `${text.slice(0, length)}…`)
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (pen.measureText(cut(middle)).width <= room) low = middle
      else high = middle - 1
    }
    const made = shape('text', attributes, low === 0 ? '' : cut(low))
    if (low < text.length) made.append(shape('title', {}, text))
    return made
  }

  function shape(tag, attributes, text) {
    const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    if (text !== undefined) made.textContent = text
    return made
  }

  function facts() {
    for (const [name, value] of [...Run.facts, ['rows', Run.n.toLocaleString('en')]]) {
      const fact = element('span', '', `${name} `)
      fact.append(element('b', '', value))
      byId('facts').append(fact, ' ')
    }
  }

  // Marks the steps that are the selected event.
  function mark() {
    for (const button of document.querySelectorAll('#finding .step')) button.classList.toggle('on', Number(button.dataset.row) === View.row)
  }

  function build() {
    head()
    core()
    chain()
    besides()
    byId('finding').hidden = ['core', 'chain', 'besides'].every(id => byId(id).hidden)
    facts()
  }

  return { build, draw, mark, element, step, jump }
})()
