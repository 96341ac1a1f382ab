'use strict'
// How many events there are in each lane and column of pixels, where they are too many to be drawn one by one.
//
// The run is divided into slots once; a wide window adds up slots, a narrow one, which has fewer events, counts them.

const Density = (() => {
  const { lanes } = Lanes
  const SLOTS = 1 << 14
  const laneOf = new Int16Array(Run.places.length).fill(-1)
  lanes.forEach((lane, number) => { laneOf[lane.place] = number })
  const slots = new Uint32Array(SLOTS * lanes.length)
  const lostSlots = new Uint8Array(SLOTS * lanes.length)
  let isStale = true
  let counts = new Uint32Array(0)
  let lost = new Uint8Array(0)

  function divide() {
    slots.fill(0)
    lostSlots.fill(0)
    const scale = SLOTS / (View.last() * 1.0001)
    for (let row = 0; row < Run.n; row++) {
      const lane = laneOf[Run.place[row]]
      if (lane < 0 || !View.shown[row]) continue
      const slot = lane * SLOTS + ((View.x(row) * scale) | 0)
      slots[slot]++
      if (Run.isLost(row)) lostSlots[slot] = 1
    }
    isStale = false
  }

  // The counts of `columns` columns of pixels for each lane, and the greatest of them.
  function measure(from, to, columns) {
    if (isStale) divide()
    if (counts.length !== columns * lanes.length) {
      counts = new Uint32Array(columns * lanes.length)
      lost = new Uint8Array(columns * lanes.length)
    }
    counts.fill(0)
    lost.fill(0)
    const slot = View.last() * 1.0001 / SLOTS
    if (slot * Lanes.scale() < 1) addSlots(slot, columns)
    else addRows(from, to, columns)
    let most = 1
    for (let cell = 0; cell < counts.length; cell++) if (counts[cell] > most) most = counts[cell]
    return most
  }

  function addSlots(width, columns) {
    const first = Math.max(0, Math.floor(View.from / width))
    const last = Math.min(SLOTS, Math.ceil(View.to / width))
    for (let slot = first; slot < last; slot++) {
      const column = Lanes.toX((slot + 0.5) * width) | 0
      if (column < 0 || column >= columns) continue
      for (let lane = 0; lane < lanes.length; lane++) {
        counts[lane * columns + column] += slots[lane * SLOTS + slot]
        lost[lane * columns + column] |= lostSlots[lane * SLOTS + slot]
      }
    }
  }

  function addRows(from, to, columns) {
    const scale = Lanes.scale()
    const offset = Lanes.GUTTER - View.from * scale
    for (let row = from; row < to; row++) {
      const lane = laneOf[Run.place[row]]
      if (lane < 0 || !View.shown[row]) continue
      const column = (View.x(row) * scale + offset) | 0
      if (column < 0 || column >= columns) continue
      counts[lane * columns + column]++
      if (Run.isLost(row)) lost[lane * columns + column] = 1
    }
  }

  // Bars on a logarithmic scale, the same for all lanes; below them, where a message never arrived.
  function draw(c, width, from, to) {
    const columns = Math.ceil(width)
    const unit = 1 / Math.log2(1 + measure(from, to, columns))
    lanes.forEach((lane, number) => {
      if (lane.kind === 'world') return
      const room = lane.kind === 'node' ? 26 : 8
      const base = lane.top + lane.height - 3
      const start = number * columns
      c.globalAlpha = 0.55
      c.fillStyle = Lanes.colours.fetch
      const bar = column => (counts[start + column] === 0 ? 0 : Math.max(1, Math.round(Math.log2(1 + counts[start + column]) * unit * room)))
      runs(bar, columns, (column, length, height) => c.fillRect(column, base - height, length, height))
      c.globalAlpha = 1
      c.fillStyle = Lanes.colours.fault
      runs(column => lost[start + column], columns, (column, length) => c.fillRect(column, base, length, 3))
    })
  }

  // Calls `act` for each run of equal columns that are not empty.
  function runs(value, columns, act) {
    let begin = Lanes.GUTTER
    let current = value(begin)
    for (let column = begin + 1; column <= columns; column++) {
      const next = column < columns ? value(column) : -1
      if (next === current) continue
      if (current > 0) act(begin, column - begin, current)
      begin = column
      current = next
    }
  }

  return { draw, forget: () => { isStale = true } }
})()
