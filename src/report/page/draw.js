'use strict'
// Draws the lanes. Few events are drawn one by one, with their messages; of many, how many there are: what a frame costs
// depends on the width of the window and not on the length of the run.

const Draw = (() => {
  const { lanes, of, colours, GUTTER } = Lanes
  const { K } = Run
  const ONE_BY_ONE = 2000
  const hint = document.getElementById('hint')
  let c = null
  let width = 0

  function draw() {
    const fitted = Lanes.fit(Lanes.canvas, Lanes.height)
    c = fitted.context
    width = fitted.width
    c.fillStyle = colours.ground
    c.fillRect(0, 0, width, Lanes.height)
    const from = View.rowAt(View.from)
    const to = View.rowAt(View.to)
    drawGround()
    for (const lane of lanes) if (lane.kind === 'node') drawNode(lane, from, to)
    drawOperations(from, to)
    drawFaultLines(from, to)
    const isFew = to - from <= ONE_BY_ONE
    if (isFew) {
      drawMessages(from, to)
      drawEvents(from, to)
    } else {
      Density.draw(c, width, from, to)
      for (const row of Run.violations) if (row >= from && row < to) drawEvent(row)
    }
    drawSelection()
    c.clearRect(0, 0, GUTTER, Lanes.height)
    hint.hidden = isFew
    hint.textContent = `${(to - from).toLocaleString('en')} events here: bars say how many; zoom in for each of them`
  }

  const px = row => Lanes.toX(View.x(row))
  const clampX = pixel => Math.min(Math.max(pixel, GUTTER - 4), width + 4)

  function drawGround() {
    c.font = '11px system-ui, sans-serif'
    for (const lane of lanes) {
      c.fillStyle = colours.line
      c.fillRect(GUTTER, lane.top, width, 1)
    }
    const step = niceStep((View.to - View.from) / (width / 110))
    c.fillStyle = colours.dim
    for (let mark = Math.ceil(View.from / step) * step; mark < View.to; mark += step) {
      const x = Lanes.toX(mark)
      if (mark < 0 || x < GUTTER) continue
      c.fillStyle = colours.line
      c.fillRect(Math.round(x), Lanes.AXIS - 5, 1, Lanes.height)
      c.fillStyle = colours.dim
      c.fillText(View.bySteps ? `#${mark}` : Run.isInLines ? Run.time(mark) : axisTime(mark, step), x + 3, 13)
    }
  }

  function niceStep(least) {
    const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)))
    return Math.max(1, [1, 2, 5, 10].map(factor => factor * power).find(step => step >= least))
  }

  function axisTime(nanoseconds, step) {
    const digits = Math.max(0, 9 - Math.floor(Math.log10(step)))
    return `${(nanoseconds / 1e9).toFixed(Math.min(digits, 9))} s`
  }

  // A node's role and epoch as a band, its cursors as lines on one scale for all nodes.
  function drawNode(lane, from, to) {
    const node = Nodes.of.get(lane.place)
    if (node === undefined) return
    const { role, epoch } = node
    let index = Math.max(Nodes.index(role, from), 0)
    let drawnTo = -1
    for (; index < role.at.length && role.at[index] <= to; index++) {
      const begin = clampX(px(role.at[index]))
      const next = index + 1 < role.at.length ? role.at[index + 1] : Run.n
      const end = next < Run.n ? clampX(px(next)) : clampX(Lanes.toX(View.last()))
      if (end - begin < 0.7 && Math.floor(end) === drawnTo) continue
      drawnTo = Math.floor(end)
      drawBand(lane, role.value[index], Nodes.index(epoch, role.at[index]), epoch, begin, end)
    }
    drawChanges(lane, epoch, role, from, to)
    drawStanding(lane, node.paused, from, to)
    drawCursor(lane, node.hw, from, to, colours.hw, [])
    drawCursor(lane, node.end, from, to, colours.end, [2, 3])
  }

  function drawBand(lane, value, epochIndex, epoch, begin, end) {
    const name = Run.roles[value]
    c.fillStyle = Lanes.roleColour(value)
    const isThin = ['follower', 'unattached', 'starting'].includes(name)
    c.fillRect(begin, lane.top + (isThin ? 11 : 3), Math.max(end - begin, 1), isThin ? 5 : 13)
    if (name === 'down') {
      c.fillStyle = colours.ground
      for (let x = begin + 3; x < end - 2; x += 6) c.fillRect(x, lane.top + 6, 3, 7)
    }
    if (end - begin < 46) return
    c.save()
    c.beginPath()
    c.rect(begin, lane.top, end - begin, 20)
    c.clip()
    const at = epochIndex < 0 || name === 'down' || name === 'starting' ? '' : `@${epoch.value[epochIndex]}`
    const label = `${name}${at}`
    c.font = name === 'leader' ? 'bold 11px system-ui, sans-serif' : '11px system-ui, sans-serif'
    const labelWidth = c.measureText(label).width
    const x = Math.max(begin, GUTTER) + 4
    if (isThin || name === 'down') {
      c.fillStyle = colours.ground
      c.fillRect(x - 2, lane.top + 1, labelWidth + 4, 14)
      c.fillStyle = colours.dim
    } else {
      c.fillStyle = '#000000'
    }
    c.fillText(label, x, lane.top + 13)
    c.restore()
  }

  // An epoch that changes while the role stays is a notch in the band.
  function drawChanges(lane, epoch, role, from, to) {
    let drawn = -9
    for (let index = Math.max(Nodes.index(epoch, from), 0); index < epoch.at.length && epoch.at[index] <= to; index++) {
      const x = px(epoch.at[index])
      if (x - drawn < 1 || x < GUTTER) continue
      c.fillStyle = colours.text
      c.fillRect(x, lane.top + 2, 1, 15)
      if (x - drawn > 44 && !role.at.includes(epoch.at[index])) {
        c.font = '11px system-ui, sans-serif'
        c.fillText(`@${epoch.value[index]}`, x + 3, lane.top + 10)
      }
      drawn = x
    }
  }

  function drawStanding(lane, paused, from, to) {
    for (let index = Math.max(Nodes.index(paused, from), 0); index < paused.at.length && paused.at[index] <= to; index++) {
      if (paused.value[index] !== 1) continue
      const begin = clampX(px(paused.at[index]))
      const end = index + 1 < paused.at.length ? clampX(px(paused.at[index + 1])) : width
      c.fillStyle = colours.down
      for (let x = begin; x < end; x += 5) c.fillRect(x, lane.top + 20, 2, 4)
    }
  }

  let low = 0
  let high = 1
  // The least and the greatest offset within the window, over all nodes.
  function measure(from, to) {
    low = Infinity
    high = -Infinity
    for (const node of Nodes.of.values()) {
      for (const track of [node.hw, node.end]) {
        const begin = Math.max(Nodes.index(track, from), 0)
        const end = Math.max(Nodes.index(track, to), begin)
        const step = Math.max(1, Math.floor((end - begin) / 500))
        for (let index = begin; index <= end && index < track.at.length; index += step) {
          if (track.value[index] < 0) continue
          low = Math.min(low, track.value[index])
          high = Math.max(high, track.value[index])
        }
        if (end < track.at.length && track.value[end] >= 0) high = Math.max(high, track.value[end])
      }
    }
    if (high <= low) [low, high] = [low - 1, low + 1]
  }

  function drawCursor(lane, track, from, to, colour, dash) {
    if (lane === lanes.find(one => one.kind === 'node') && track === Nodes.of.get(lane.place).hw) measure(from, to)
    const y = value => lane.top + lane.height - 4 - ((value - low) / (high - low)) * (lane.height - 28)
    c.strokeStyle = colour
    c.lineWidth = 1.25
    c.globalAlpha = 0.75
    c.setLineDash(dash)
    c.beginPath()
    let isDown = false
    const begin = Math.max(Nodes.index(track, from), 0)
    const end = Nodes.index(track, to) + 1
    // Of many changes in one column of pixels, the last is drawn.
    const isCrowded = end - begin > 2 * width
    for (let index = begin; index < end; index++) {
      const x = clampX(px(track.at[index]))
      if (isCrowded) index = Math.max(index, Run.lowerBound(track.at, View.rowAt(Lanes.fromX(x + 1)), index, end) - 1)
      const value = track.value[index]
      if (value < 0) {
        isDown = false
        continue
      }
      if (isDown) c.lineTo(x, y(value))
      else c.moveTo(x, y(value))
      c.lineTo(index + 1 < track.at.length ? clampX(px(track.at[index + 1])) : clampX(Lanes.toX(View.last())), y(value))
      isDown = true
    }
    c.stroke()
    c.setLineDash([])
    c.globalAlpha = 1
  }

  const conflict = new Set(Run.finding.conflict.map(([index]) => index))
  // Where operations begin, ascending; and how far those up to each of them reach.
  const begins = Int32Array.from(Run.operations, operation => operation.begin)
  const reaches = Int32Array.from(Run.operations, operation => operation.drawnTo)
  for (let index = 1; index < begins.length; index++) {
    begins[index] = Math.max(begins[index], begins[index - 1])
    reaches[index] = Math.max(reaches[index], reaches[index - 1])
  }

  // From invoke to return; what nobody answered fades out.
  function drawOperations(from, to) {
    const drawn = new Map()
    c.font = '11px system-ui, sans-serif'
    const end = Run.lowerBound(begins, to)
    for (let index = Run.lowerBound(reaches, from); index < end; index++) {
      const operation = Run.operations[index]
      const lane = of[operation.place]
      if (lane === null || operation.drawnTo < from || operation.begin < 0) continue
      const begin = px(operation.begin)
      const end = operation.drawnTo >= Run.n ? Lanes.toX(Math.max(View.last(), View.to)) : px(operation.drawnTo)
      const cell = Math.floor(end) * 8 + operation.depth
      if (end - begin < 1 && drawn.get(lane) === cell && !conflict.has(index)) continue
      drawn.set(lane, cell)
      drawOperation(lane, operation, clampX(begin), clampX(end), conflict.has(index))
    }
  }

  function drawOperation(lane, operation, begin, end, isInConflict) {
    const top = lane.top + 2 + operation.depth * Lanes.BAR
    const breadth = Math.max(end - begin, 1.5)
    c.fillStyle = [colours.follower, colours.unattached, colours.follower][operation.ending]
    if (operation.ending === 2) {
      const fading = c.createLinearGradient(begin, 0, begin + Math.max(breadth, 40), 0)
      fading.addColorStop(0, colours.follower)
      fading.addColorStop(1, colours.ground)
      c.fillStyle = fading
    }
    c.fillRect(begin, top, breadth, 13)
    if (isInConflict) {
      c.strokeStyle = colours.bad
      c.lineWidth = 2.5
      c.strokeRect(begin - 1, top - 1, breadth + 2, 15)
    }
    if (breadth < 50) return
    c.save()
    c.beginPath()
    c.rect(begin, top, breadth, 13)
    c.clip()
    c.fillStyle = colours.text
    const mark = ['', '✕ ', '? '][operation.ending]
    c.fillText(mark + Run.texts[operation.text], Math.max(begin, GUTTER) + 4, top + 10)
    c.restore()
  }

  function drawFaultLines(from, to) {
    const begin = Run.lowerBound(Run.faults, from)
    let drawn = -9
    let labelEnd = -9
    const lane = lanes.find(one => one.kind === 'world')
    if (lane === undefined) return
    for (let index = begin; index < Run.faults.length && Run.faults[index] < to; index++) {
      const row = Run.faults[index]
      if (!View.shown[row]) continue
      const x = px(row)
      if (x - drawn < 2) continue
      drawn = x
      c.fillStyle = colours.fault
      c.globalAlpha = 0.25
      c.fillRect(x, lane.top, 1, Lanes.height)
      c.globalAlpha = 1
      triangle(x, lane.top + 9, 5, colours.fault)
      if (x > labelEnd) {
        const label = Run.words(row).replace(/^(fault \w+|script): /, '')
        c.font = '11px system-ui, sans-serif'
        const room = index + 1 < Run.faults.length ? Math.max(px(Run.faults[index + 1]) - x, 130) : 400
        c.fillStyle = colours.fault
        c.save()
        c.beginPath()
        c.rect(x, lane.top, room, 34)
        c.clip()
        c.fillText(label, x + 1, lane.top + 27)
        c.restore()
        labelEnd = x + Math.min(c.measureText(label).width, room) + 6
      }
    }
  }

  function triangle(x, y, size, colour) {
    c.fillStyle = colour
    c.beginPath()
    c.moveTo(x - size, y - size)
    c.lineTo(x + size, y - size)
    c.lineTo(x, y + size)
    c.fill()
  }

  function drawMessages(from, to) {
    // Messages that were sent before the window and arrive in it or behind it.
    const earliest = Math.max(0, from - 2000)
    const batches = new Map()
    for (let row = earliest; row < to; row++) {
      if (Run.kind[row] === K.sent && (row >= from || Run.arrives[row] >= from)) gatherMessage(batches, row, Run.arrives[row])
      else if (row >= from && Run.kind[row] === K.received && (Run.isRepeated[row] || Run.cause[row] < earliest)) gatherMessage(batches, Run.cause[row], row)
    }
    drawBatches(batches, 1, to - from <= 800)
  }

  // Lines of one colour and dash are drawn at once.
  function gatherMessage(batches, row, arrival) {
    if (row < 0 || !View.shown[row]) return
    const lane = of[Run.place[row]]
    const other = Run.peer[row] < 0 ? null : of[Run.peer[row]]
    if (lane === null || other === null) return
    if (arrival < 0) {
      const way = other.middle - lane.middle
      return put(batches, Run.isLost(row) ? 'lost' : 'open', [px(row), lane.middle, px(row) + 7, lane.middle + Math.sign(way) * Math.min(Math.abs(way) / 2, 30)])
    }
    const isSlow = Run.at[arrival] - Run.at[row] > Run.slow
    put(batches, `${isSlow ? 'slow' : 'soon'} ${Lanes.messageColour(row)}`, [px(row), lane.middle, px(arrival), other.middle])
  }

  function put(batches, style, line) {
    const lines = batches.get(style)
    if (lines === undefined) batches.set(style, [line])
    else lines.push(line)
  }

  function drawBatches(batches, lineWidth, hasHeads) {
    c.globalAlpha = lineWidth > 1 ? 1 : 0.7
    for (const [style, lines] of batches) {
      c.setLineDash({ lost: [2, 2], open: [2, 2], slow: [6, 4], soon: [] }[style.slice(0, 4)])
      c.strokeStyle = { lost: colours.fault, open: colours.dim }[style] ?? style.slice(5)
      c.lineWidth = lineWidth
      c.beginPath()
      for (const [x, y, endX, endY] of lines) {
        c.moveTo(x, y)
        c.lineTo(endX, endY)
      }
      c.stroke()
      c.setLineDash([])
      c.fillStyle = c.strokeStyle
      c.beginPath()
      if (style === 'lost') for (const [, , x, y] of lines) cross(x, y)
      else if (hasHeads && style !== 'open') for (const line of lines) arrowHead(...line, lineWidth)
      if (style === 'lost') c.stroke()
      else c.fill()
    }
    c.globalAlpha = 1
  }

  function drawMessage(row, lineWidth, arrival = Run.arrives[row]) {
    const batches = new Map()
    gatherMessage(batches, row, arrival)
    drawBatches(batches, lineWidth, true)
  }

  function cross(x, y) {
    c.moveTo(x - 3, y - 3)
    c.lineTo(x + 3, y + 3)
    c.moveTo(x + 3, y - 3)
    c.lineTo(x - 3, y + 3)
  }

  function arrowHead(x, y, endX, endY, lineWidth) {
    const angle = Math.atan2(endY - y, endX - x)
    const size = 5 + lineWidth
    c.moveTo(endX, endY)
    c.lineTo(endX - size * Math.cos(angle - 0.4), endY - size * Math.sin(angle - 0.4))
    c.lineTo(endX - size * Math.cos(angle + 0.4), endY - size * Math.sin(angle + 0.4))
  }

  // Which labels come first where there is no room for all.
  const RANKS = [
    kind => kind === K.violated,
    kind => kind === K.down || kind === K.started,
    kind => kind === K.note || kind === K.state,
    kind => kind === K.sent || kind === K.received || kind === K.lost || kind === K.disk,
  ]
  const isImportant = kind => kind === K.violated || kind === K.down || kind === K.started || kind === K.note || kind === K.state

  function drawEvents(from, to) {
    for (let row = from; row < to; row++) if (View.shown[row]) drawEvent(row)
    if (to - from > 500) return
    const taken = new Map(lanes.map(lane => [lane, [[], []]]))
    RANKS.forEach((isOfRank, rank) => {
      if (rank === RANKS.length - 1 && to - from > 150) return
      for (let row = from; row < to; row++) if (View.shown[row] && isOfRank(Run.kind[row])) drawLabel(row, taken, rank < 3 ? 0 : 1)
    })
  }

  // Above the line what nodes do, below it what they say and write; to the left of the event where the right is taken.
  function drawLabel(row, taken, line) {
    const lane = of[Run.place[row]]
    if (lane === null || lane.kind !== 'node') return
    const x = px(row)
    const label = Run.words(row).replace(/^note: /, '').replace('__cluster_metadata-0/', '').replace(/^(VIOLATED \w+): .*/, '$1')
    c.font = Run.kind[row] === K.violated ? 'bold 12px system-ui, sans-serif' : '11px system-ui, sans-serif'
    const breadth = c.measureText(label).width
    const isFree = (begin, end) => begin > GUTTER && end < width && taken.get(lane)[line].every(([from, to]) => end < from || begin > to)
    const begin = [x + 8, x - breadth - 8].find(begin => isFree(begin, begin + breadth))
    if (begin === undefined || x < GUTTER) return
    taken.get(lane)[line].push([begin - 6, begin + breadth + 6])
    c.fillStyle = Run.kind[row] === K.violated ? colours.bad : line === 0 ? colours.text : colours.dim
    c.fillText(label, begin, lane.middle + (line === 0 ? -9 : 20))
  }

  function drawEvent(row) {
    const lane = of[Run.place[row]]
    if (lane === null) return
    const x = px(row)
    const y = lane.middle
    switch (Run.kind[row]) {
      case K.sent: case K.received: return square(x, y, 2, Lanes.messageColour(row))
      case K.lost: return dot(x, y, 3, colours.fault)
      case K.disk: return square(x, y + 9, 3, colours.disk)
      case K.tick: return square(x, y, 1, colours.dim)
      case K.note: return diamond(x, y, 4.5, colours.note)
      case K.state: return diamond(x, y, 3, colours.dim)
      case K.fault: return undefined
      case K.started: return triangle(x, y, -6, colours.note)
      case K.down: return triangle(x, y, 6, colours.fault)
      case K.violated: return star(x, y)
      default: return square(x, y + 8, 1.5, colours.dim)
    }
  }

  function dot(x, y, size, colour) {
    c.fillStyle = colour
    c.beginPath()
    c.arc(x, y, size, 0, 7)
    c.fill()
  }

  function square(x, y, size, colour) {
    c.fillStyle = colour
    c.fillRect(x - size, y - size, size * 2, size * 2)
  }

  function diamond(x, y, size, colour) {
    c.fillStyle = colour
    c.beginPath()
    c.moveTo(x - size, y)
    c.lineTo(x, y - size)
    c.lineTo(x + size, y)
    c.lineTo(x, y + size)
    c.fill()
  }

  function star(x, y) {
    dot(x, y, 8, colours.bad)
    c.fillStyle = colours.ground
    c.font = 'bold 13px system-ui, sans-serif'
    c.fillText('!', x - 2, y + 5)
  }

  // The selected event, the chain of its causes, what it caused; and the violation, as a line through everything.
  function drawSelection() {
    for (const row of Run.violations) {
      c.fillStyle = colours.bad
      c.fillRect(px(row) - 1, Lanes.AXIS, 2, Lanes.height)
    }
    if (Run.n === 0) return
    const chain = [View.row]
    while (chain.length < 200 && Run.cause[chain[chain.length - 1]] >= 0) chain.push(Run.cause[chain[chain.length - 1]])
    for (const row of chain) {
      if (Run.kind[row] === K.received && Run.cause[row] >= 0) drawMessage(Run.cause[row], 2.5, row)
    }
    for (const effect of Run.effects(View.row)) if (Run.kind[effect] === K.received) drawMessage(View.row, 2.5, effect)
    c.strokeStyle = colours.select
    for (const row of chain.slice(1)) ring(row, 6, 1.5)
    ring(View.row, 9, 2.5)
    c.fillStyle = colours.select
    const x = px(View.row)
    c.globalAlpha = 0.7
    c.fillRect(x - 0.5, Lanes.AXIS - 6, 1, Lanes.height)
    c.globalAlpha = 1
    triangle(x, Lanes.AXIS - 4, 5, colours.select)
  }

  function ring(row, size, lineWidth) {
    const lane = of[Run.place[row]]
    if (lane === null) return
    const y = Run.kind[row] === K.fault ? lane.top + 9 : lane.middle
    c.lineWidth = lineWidth
    c.beginPath()
    c.arc(px(row), y, size, 0, 7)
    c.stroke()
  }

  // The event that is meant by a point of the canvas: the nearest of that lane; -1 if none is near.
  function eventAt(x, y) {
    const lane = Lanes.laneAt(y)
    if (lane === null) return -1
    const near = View.rowAt(Lanes.fromX(x))
    const reach = 14 / Lanes.scale()
    let best = -1
    for (const direction of [-1, 1]) {
      for (let row = direction < 0 ? near - 1 : near; row >= 0 && row < Run.n; row += direction) {
        const distance = Math.abs(View.x(row) - Lanes.fromX(x))
        if (distance > reach) break
        if (Run.place[row] !== lane.place || !View.shown[row]) continue
        const isBetter = best < 0 || distance < Math.abs(View.x(best) - Lanes.fromX(x)) || (View.x(best) === View.x(row) && isImportant(Run.kind[row]) && !isImportant(Run.kind[best]))
        if (isBetter) best = row
        if (distance > 0 && best >= 0 && direction > 0) break
      }
    }
    return best
  }

  return { draw, eventAt }
})()
