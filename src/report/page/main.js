'use strict'
// Buttons, keys, the mouse; and the beginning.

const Main = (() => {
  const byId = id => document.getElementById(id)
  const { canvas } = Lanes
  const { K } = Run
  const to = row => { if (row >= 0) View.select(row) }
  const isFault = row => Run.kind[row] === K.fault
  const inLane = row => Run.place[row] === Run.place[View.row]

  const ACTIONS = [
    [['ArrowRight', 'l'], 'next', 'next event', () => to(View.find(1))],
    [['ArrowLeft', 'h'], 'previous', 'previous event', () => to(View.find(-1))],
    [['Shift+ArrowRight', 'L'], null, 'next event of the same lane', () => to(View.find(1, inLane))],
    [['Shift+ArrowLeft', 'H'], null, 'previous event of the same lane', () => to(View.find(-1, inLane))],
    [['c', 'ArrowUp'], 'cause', 'what caused it', () => to(Run.cause[View.row] ?? -1)],
    [['e', 'ArrowDown'], 'effect', 'what it caused', () => to(Run.effects(View.row)[0] ?? -1)],
    [['f'], 'fault', 'next fault', () => to(View.find(1, isFault))],
    [['F'], null, 'previous fault', () => to(View.find(-1, isFault))],
    [['v'], 'violation', 'the violation', () => to(nextViolation())],
    [['Home'], null, 'first event', () => to(0)],
    [['End'], null, 'last event', () => to(Run.n - 1)],
    [['+', '='], 'in', 'zoom in', () => View.zoom(0.5)],
    [['-'], 'out', 'zoom out', () => View.zoom(2)],
    [['[', ','], null, 'move the window left', () => View.pan(-0.25)],
    [[']', '.'], null, 'move the window right', () => View.pan(0.25)],
    [['0'], 'all', 'the whole run', () => View.all()],
    [['t'], 'order', 'by time, or one step for each event', () => View.toggleSteps()],
    [['/'], null, 'search', () => byId('query').focus()],
    [['?'], 'help', 'this help', () => byId('keys').showModal()],
  ]

  // In a history without a run behind it, the last answer of what conflicts.
  const conflictRow = Run.finding.conflict.map(([index]) => Math.max(Run.operations[index].end, Run.operations[index].invoke)).pop()
  const violations = Run.violations.length > 0 || conflictRow === undefined ? Run.violations : [conflictRow]
  const nextViolation = () => violations.find(row => row > View.row) ?? violations[0] ?? -1

  function buttons() {
    for (const [, id, , act] of ACTIONS) if (id !== null) byId(id).addEventListener('click', act)
    byId('violation').disabled = violations.length === 0
    byId('fault').disabled = Run.faults.length === 0
    // Where there is but one kind, there is nothing to choose.
    const present = new Set(Run.kind)
    const groups = Object.keys(View.GROUPS).filter(group => View.GROUPS[group].some(kind => present.has(K[kind])))
    for (const group of groups.length > 1 ? groups : []) {
      const label = Finding.element('label')
      const box = Finding.element('input')
      box.type = 'checkbox'
      box.dataset.group = group
      box.addEventListener('change', () => View.hide(group, !box.checked))
      label.append(box, group)
      byId('kinds').append(label)
    }
    for (const [keys, , what] of ACTIONS) {
      const line = Finding.element('tr')
      const cell = Finding.element('td')
      keys.forEach((key, index) => cell.append(index === 0 ? '' : ' or ', Finding.element('kbd', '', key.replace('Arrow', ''))))
      line.append(cell, Finding.element('td', '', what))
      byId('keytable').append(line)
    }
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId('keys').open) return
    // Elsewhere than on the lanes, these scroll.
    if (['ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key) && event.target !== canvas) return
    const isTyping = event.target === byId('query')
    if (isTyping) {
      if (event.key === 'Enter') to(View.shown[View.row] ? View.find(event.shiftKey ? -1 : 1) : firstShown())
      if (event.key === 'Escape') event.target.blur()
      return
    }
    const name = event.shiftKey && event.key.length > 1 ? `Shift+${event.key}` : event.key
    const action = ACTIONS.find(([keys]) => keys.includes(name))
    if (action === undefined || (event.target.tagName === 'INPUT' && event.key === ' ')) return
    event.preventDefault()
    action[3]()
  }

  // The first shown event from the selected one on, or else the one before.
  const firstShown = () => (View.find(1) >= 0 ? View.find(1) : View.find(-1))

  function mouse() {
    let grip = null
    canvas.addEventListener('wheel', event => {
      event.preventDefault()
      const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)
      if (isSideways) View.pan((event.deltaX || event.deltaY) / 1500)
      else View.zoom(1.0015 ** event.deltaY, Lanes.fromX(event.offsetX))
    }, { passive: false })
    canvas.addEventListener('pointerdown', event => {
      canvas.setPointerCapture(event.pointerId)
      grip = { x: event.clientX, from: View.from, to: View.to, hasMoved: false }
    })
    canvas.addEventListener('pointermove', event => {
      if (grip === null) return tip(event)
      const moved = (event.clientX - grip.x) / Lanes.scale()
      grip.hasMoved ||= Math.abs(event.clientX - grip.x) > 3
      canvas.classList.toggle('dragged', grip.hasMoved)
      if (grip.hasMoved) View.look(grip.from - moved, grip.to - moved)
    })
    canvas.addEventListener('pointerup', event => {
      if (grip !== null && !grip.hasMoved) to(Draw.eventAt(event.offsetX, event.offsetY))
      grip = null
      canvas.classList.remove('dragged')
    })
    canvas.addEventListener('pointerleave', () => { byId('tip').hidden = true })
    canvas.addEventListener('dblclick', event => View.zoom(0.2, Lanes.fromX(event.offsetX)))
  }

  function tip(event) {
    const row = Draw.eventAt(event.offsetX, event.offsetY)
    const shown = byId('tip')
    shown.hidden = row < 0
    if (row < 0) return
    shown.textContent = `${Run.time(Run.at[row])}  ${Run.places[Run.place[row]]}  ${Run.words(row)}`
    shown.style.left = `${Math.max(70, Math.min(event.offsetX + 14, canvas.clientWidth - 300))}px`
    shown.style.top = `${event.offsetY + 16}px`
  }

  function search() {
    let timer = 0
    const known = Run.places.filter(name => name !== 'world').pop()
    const moment = Run.isInLines || Run.end < 2e8 ? [] : [Run.time(Math.round(Run.end / 2e8) * 1e8)]
    byId('query').placeholder = `search: ${['words', ...(known === undefined ? [] : [known]), '#120', ...moment].join(', ')}  ( / )`
    byId('query').addEventListener('input', event => {
      clearTimeout(timer)
      timer = setTimeout(() => View.search(event.target.value), 120)
    })
  }

  // What the controls say follows what is looked at.
  function reflect() {
    byId('order').setAttribute('aria-pressed', String(View.bySteps))
    for (const box of document.querySelectorAll('#kinds input')) box.checked = !View.hidden.has(box.dataset.group)
    if (document.activeElement !== byId('query')) byId('query').value = View.query
  }

  // Looks at what is to be explained; or at everything, where nothing is.
  function begin() {
    const { causes, conflict } = Run.finding
    const rows = conflict.flatMap(([index]) => [Run.operations[index].invoke, Run.operations[index].end]).filter(row => row >= 0)
    const core = [...rows, ...causes].sort((a, b) => a - b)
    View.filter()
    View.row = core.length > 0 ? core[core.length - 1] : firstLed()
    if (core.length > 0) View.show(core)
    else View.all()
    View.changed('row')
  }

  // Where somebody comes to lead; nothing is to be seen before. Or else the last event.
  function firstLed() {
    const leads = Run.roles.indexOf('leader')
    const rows = [...Nodes.of.values()].flatMap(({ role }) => [...role.at].filter((_, index) => role.value[index] === leads))
    return rows.length > 0 ? Math.min(...rows) : Math.max(Run.n - 1, 0)
  }

  function start() {
    Finding.build()
    buttons()
    search()
    mouse()
    document.addEventListener('keydown', keys)
    View.onChange(['size'], Lanes.measure)
    View.onChange(['shown', 'scale', 'size'], Overview.forget)
    View.onChange(['shown', 'scale'], Density.forget)
    View.onChange(['window', 'row', 'shown', 'size'], Draw.draw)
    View.onChange(['size'], Finding.draw)
    View.onChange(['window', 'shown', 'size'], Overview.draw)
    View.onChange(['row'], () => { Inspector.show(); Finding.mark(); List.reveal() })
    View.onChange(['shown'], List.gather)
    View.onChange(['window', 'shown'], reflect)
    if (!View.readAddress()) begin()
    addEventListener('hashchange', View.readAddress)
    addEventListener('resize', () => View.changed('size'))
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      Lanes.readColours()
      View.changed('size')
    })
  }

  return { start }
})()

Main.start()
