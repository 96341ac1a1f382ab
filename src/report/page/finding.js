'use strict'
// What went wrong: the verdict, the rule, the operations that conflict, the events that led there, the line that replays it.

const Finding = (() => {
  const { finding } = Run
  const UNKNOWN = 2 // how an operation ends that was not answered
  const byId = id => document.getElementById(id)

  function element(tag, className, text) {
    const made = document.createElement(tag)
    if (className) made.className = className
    if (text !== undefined) made.textContent = text
    return made
  }

  // A button with time, place and words of an event, which selects it.
  function step(row) {
    const button = element('button', `step${Run.kind[row] === Run.K.violated ? ' bad' : ''}`)
    button.type = 'button'
    button.dataset.row = row
    button.append(element('span', 'when', Run.time(Run.at[row])), element('span', '', Run.places[Run.place[row]]), element('span', '', Run.words(row)))
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
    for (const row of finding.causes) {
      const item = element('li')
      item.append(step(row))
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

  function core() {
    const indexes = [...(finding.prefix?.order ?? []), ...finding.conflict.map(([index]) => index)]
    for (const [index, why] of finding.conflict) {
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
      byId('conflict').append(item)
    }
    for (const sentence of finding.orders) byId('orders').append(element('li', '', sentence))
    // Of two operations the headline says it all.
    byId('why').hidden = finding.orders.length === 0 || (finding.orders.length === 1 && finding.conflict.length <= 2)
    byId('core').hidden = finding.conflict.length === 0
    if (finding.conflict.length > 0) byId('figure').append(figure(indexes))
  }

  // Who was not answered gave up at some time, but what was asked may happen later.
  const isOpen = operation => operation.end < 0 || operation.ending === UNKNOWN
  const said = operation => Run.texts[operation.text] + (isOpen(operation) ? ' ⇒ never answered' : '')
  const span = operation => `${moment(operation.invoke)} to ${isOpen(operation) ? 'never' : moment(operation.end)}`
  const moment = row => (row < 0 ? '?' : Run.time(Run.at[row]))

  // The operations in lanes, in the order of their invokes and returns: the distances mean nothing, the order does.
  function figure(indexes) {
    const chosen = indexes.map(index => ({ index, ...Run.operations[index] }))
    const places = [...new Set(chosen.map(operation => operation.place))].sort((a, b) => a - b)
    const rows = [...new Set(chosen.flatMap(operation => [operation.invoke, operation.end]))].filter(row => row >= 0).sort((a, b) => a - b)
    const [width, left, lane] = [820, 70, 46]
    const unit = (width - left - 30) / Math.max(rows.length, 1)
    const x = row => left + 10 + unit * (row < 0 ? rows.length : rows.indexOf(row) + 0.25)
    const svg = shape('svg', { viewBox: `0 0 ${width} ${places.length * lane + 22}`, role: 'img' })
    places.forEach((place, number) => {
      const y = number * lane + 30
      svg.append(shape('line', { class: 'lane', x1: left, x2: width, y1: y, y2: y }), shape('text', { x: 4, y: y + 4 }, Run.places[place]))
    })
    const last = finding.conflict[finding.conflict.length - 1][0]
    const isBefore = index => finding.conflict.every(([other]) => other !== index)
    for (const operation of chosen) {
      const y = places.indexOf(operation.place) * lane + 30
      const end = isOpen(operation) ? width : x(operation.end)
      const kind = operation.index === last ? 'bar last' : isBefore(operation.index) ? 'bar before' : 'bar'
      svg.append(shape('rect', { class: kind, x: x(operation.invoke), y: y - 10, width: Math.max(end - x(operation.invoke), 6), height: 20, rx: 3 }))
      svg.append(shape('text', { x: x(operation.invoke) + 5, y: y + 4 }, said(operation)))
      svg.append(shape('text', { class: 'dim', x: x(operation.invoke), y: y - 14 }, moment(operation.invoke)))
    }
    return svg
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

  return { build, mark, element, step, jump }
})()
