'use strict'
// The whole run in a strip: who led, how much happened, where the faults are and where the violation; and the window.

const Overview = (() => {
  const canvas = document.getElementById('overview')
  const HEIGHT = 58
  const still = document.createElement('canvas')
  let isStale = true

  const toX = (value, width) => (value / View.last()) * (width - 8) + 4
  const fromX = (x, width) => ((x - 4) / (width - 8)) * View.last()

  function drawStill(width, ratio) {
    still.width = width * ratio
    still.height = HEIGHT * ratio
    const c = still.getContext('2d')
    c.scale(ratio, ratio)
    c.fillStyle = Lanes.colours.ground
    c.fillRect(0, 0, width, HEIGHT)
    const columns = new Uint32Array(Math.ceil(width))
    for (let row = 0; row < Run.n; row++) columns[toX(View.x(row), width) | 0] += View.shown[row]
    const most = columns.reduce((one, other) => Math.max(one, other), 1)
    c.fillStyle = Lanes.colours.unattached
    columns.forEach((count, x) => { if (count > 0) c.fillRect(x, HEIGHT - Math.max(1, (count / most) * 20), 1, 20) })
    const rowHeight = Math.min(6, 28 / Math.max(1, Nodes.places.length))
    Nodes.places.forEach((place, number) => {
      const { role } = Nodes.of.get(place)
      role.value.forEach((value, index) => {
        const begin = toX(View.x(role.at[index]), width)
        const end = index + 1 < role.at.length ? toX(View.x(role.at[index + 1]), width) : width - 4
        c.fillStyle = Lanes.roleColour(value)
        c.fillRect(begin, 4 + number * rowHeight, Math.max(end - begin, 0.6), rowHeight - 1)
      })
    })
    c.fillStyle = Lanes.colours.fault
    for (const row of Run.faults) c.fillRect(toX(View.x(row), width), HEIGHT - 24, 1, 4)
    c.fillStyle = Lanes.colours.bad
    for (const row of Run.violations) {
      c.fillRect(toX(View.x(row), width) - 1.5, 0, 3, HEIGHT)
    }
  }

  function draw() {
    const { context: c, width } = Lanes.fit(canvas, HEIGHT)
    const ratio = window.devicePixelRatio || 1
    if (isStale || still.width !== Math.round(width * ratio)) drawStill(width, ratio)
    isStale = false
    c.drawImage(still, 0, 0, width, HEIGHT)
    const [from, to] = [toX(View.from, width), toX(View.to, width)]
    c.fillStyle = Lanes.colours.select
    c.globalAlpha = 0.15
    c.fillRect(from, 0, Math.max(to - from, 2), HEIGHT)
    c.globalAlpha = 1
    c.strokeStyle = Lanes.colours.select
    c.lineWidth = 1.5
    c.strokeRect(from, 1, Math.max(to - from, 3), HEIGHT - 2)
  }

  function lookAt(event) {
    const middle = fromX(event.clientX - canvas.getBoundingClientRect().left, canvas.clientWidth)
    const half = (View.to - View.from) / 2
    View.look(middle - half, middle + half)
  }

  canvas.addEventListener('pointerdown', event => {
    canvas.setPointerCapture(event.pointerId)
    lookAt(event)
  })
  canvas.addEventListener('pointermove', event => { if (event.buttons === 1) lookAt(event) })

  return { draw, forget: () => { isStale = true } }
})()
