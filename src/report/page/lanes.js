'use strict'
// Where everything stands: one lane for the world, one for each client, one for each node; and the colours.

const Lanes = (() => {
  const GUTTER = 64
  const AXIS = 22
  const HEIGHT = { world: 34, client: 14, node: 70 }
  // Operations of one client that are under way at once stand above each other, so many at most.
  const DEPTH_MAX = 4
  const BAR = 14
  const canvas = document.getElementById('lanes')
  const labels = document.getElementById('labels')
  const lanes = []
  const of = new Array(Run.places.length).fill(null)

  const isUsed = new Uint8Array(Run.places.length)
  for (let row = 0; row < Run.n; row++) isUsed[Run.place[row]] = 1
  for (const operation of Run.operations) isUsed[operation.place] = 1

  // Each operation goes where the last one ended first.
  const depths = new Array(Run.places.length).fill(0)
  const ends = Run.places.map(() => [])
  const tails = Run.places.map(() => [])
  for (const operation of Run.operations) {
    const taken = ends[operation.place]
    const begin = operation.invoke < 0 ? operation.end : operation.invoke
    let depth = taken.findIndex(end => end <= begin)
    if (depth < 0) depth = taken.length < DEPTH_MAX ? taken.length : taken.indexOf(Math.min(...taken))
    // What is still under way there, and drawn over, is drawn no further.
    const before = tails[operation.place][depth]
    if (before !== undefined) before.drawnTo = Math.min(before.drawnTo, begin)
    operation.begin = begin
    operation.drawnTo = operation.end < 0 ? Run.n : operation.end
    tails[operation.place][depth] = operation
    taken[depth] = operation.drawnTo
    operation.depth = depth
    depths[operation.place] = taken.length
  }

  // Whom it is about comes first: clients, where their operations conflict, and else nodes.
  const kindOf = place => (Run.places[place] === 'world' ? 'world' : Nodes.of.has(place) ? 'node' : 'client')
  const order = Run.finding.conflict.length > 0 ? ['world', 'client', 'node'] : ['world', 'node', 'client']
  const inOrder = [...Run.places.keys()].sort((a, b) => order.indexOf(kindOf(a)) - order.indexOf(kindOf(b)) || a - b)
  let top = AXIS
  for (const place of inOrder) {
    const [name, kind] = [Run.places[place], kindOf(place)]
    if (!isUsed[place] && kind !== 'node') continue
    const height = HEIGHT[kind] + (kind === 'client' ? Math.max(depths[place], 1) * BAR : 0)
    const middle = kind === 'node' ? top + 44 : kind === 'client' ? top + height - 6 : top + height / 2
    const lane = { place, name, kind, top, height, middle }
    lanes.push(lane)
    of[place] = lane
    top += lane.height
    const label = document.createElement('div')
    label.textContent = name === 'world' ? 'faults' : name
    label.style.top = `${lane.top}px`
    label.style.height = `${lane.height}px`
    labels.append(label)
  }
  const height = top + 4

  const colours = {}
  function readColours() {
    const style = getComputedStyle(document.documentElement)
    for (const name of ['ground', 'raised', 'line', 'text', 'dim', 'accent', 'bad', 'badground', 'leader', 'candidate', 'follower',
      'unattached', 'down', 'resigned', 'vote', 'fetch', 'epoch', 'client', 'other', 'note', 'disk', 'fault', 'select', 'hw', 'end']) {
      colours[name] = style.getPropertyValue(`--${name}`).trim()
    }
  }
  readColours()

  // Sets a canvas to the size at which it is shown, in the screen's own pixels.
  function fit(canvas, cssHeight) {
    const ratio = window.devicePixelRatio || 1
    const width = Math.max(canvas.clientWidth, 200)
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(cssHeight * ratio)) {
      canvas.width = Math.round(width * ratio)
      canvas.height = Math.round(cssHeight * ratio)
      canvas.style.height = `${cssHeight}px`
    }
    const context = canvas.getContext('2d')
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    return { context, width }
  }

  const roleColour = role => {
    const name = Run.roles[role]
    return colours[name === 'prospective' ? 'candidate' : name === 'starting' ? 'unattached' : name] ?? colours.unattached
  }

  // What a message is about decides its colour; told once for each text.
  const ABOUT = [[/^(Pre)?Vote@/, 'vote'], [/^Fetch@/, 'fetch'], [/^(Begin|End)QuorumEpoch/, 'epoch']]
  const about = Run.texts.map(text => ABOUT.find(([pattern]) => pattern.test(text))?.[1] ?? '')
  function messageColour(row) {
    const found = about[Run.text[row]]
    if (found !== '') return colours[found]
    const isClients = !Nodes.of.has(Run.place[row]) || (Run.peer[row] >= 0 && !Nodes.of.has(Run.peer[row]))
    return colours[isClients ? 'client' : 'other']
  }

  // To ask an element for its width makes the browser lay the page out, so it is asked only when that may have changed.
  let width = canvas.clientWidth
  function measure() {
    width = canvas.clientWidth
  }
  const scale = () => (width - GUTTER - 8) / (View.to - View.from)
  const toX = value => GUTTER + (value - View.from) * scale()
  const fromX = pixel => View.from + (pixel - GUTTER) / scale()
  const laneAt = pixel => lanes.find(lane => pixel >= lane.top && pixel < lane.top + lane.height) ?? null

  return { GUTTER, AXIS, BAR, canvas, lanes, of, height, measure, colours, readColours, fit, roleColour, messageColour, scale, toX, fromX, laneAt }
})()
