'use strict'
// All shown events, a line each. Only the lines in sight exist; the scroll bar stands for all of them.

const List = (() => {
  const { element } = Finding
  const LINE = 22
  // Browsers cap the height of an element; above it, the scroll bar moves by more than a line.
  const HEIGHT_MAX = 8e6
  const list = document.getElementById('list')
  const rows = document.getElementById('rows')
  let all = new Uint32Array(0)
  let first = 0
  let isOurs = false

  const visible = () => Math.ceil(list.clientHeight / LINE)
  const scrollMax = () => Math.max(1, list.scrollHeight - list.clientHeight)

  function gather() {
    all = new Uint32Array(View.shownCount())
    for (let row = 0, index = 0; row < Run.n; row++) if (View.shown[row]) all[index++] = row
    document.getElementById('height').style.height = `${Math.min(all.length * LINE, HEIGHT_MAX)}px`
    const isAll = all.length === Run.n
    document.getElementById('count').textContent = isAll ? `all ${Run.n.toLocaleString('en')}` : `${all.length.toLocaleString('en')} of ${Run.n.toLocaleString('en')}`
    document.getElementById('matches').textContent = View.query === '' ? '' : `${all.length.toLocaleString('en')} found`
    reveal()
  }

  // Scrolls so that the selected event is in sight.
  function reveal() {
    const index = Run.lowerBound(all, View.row)
    if (index < first + 1 || index > first + visible() - 3) first = Math.max(0, index - Math.floor(visible() / 2))
    first = Math.min(first, Math.max(0, all.length - visible() + 1))
    isOurs = true
    list.scrollTop = all.length * LINE <= HEIGHT_MAX ? first * LINE : (first / Math.max(1, all.length - visible() + 1)) * scrollMax()
    fill()
  }

  function fill() {
    const lines = []
    for (let index = first; index < Math.min(all.length, first + visible() + 1); index++) lines.push(line(all[index], index - first))
    rows.style.top = `${list.scrollTop}px`
    rows.replaceChildren(...lines)
  }

  function line(row, place) {
    const kind = Run.kind[row] === Run.K.violated ? ' bad' : Run.kind[row] === Run.K.fault || Run.kind[row] === Run.K.down ? ' fault' : ''
    const made = element('div', `row${kind}${row === View.row ? ' on' : ''}`)
    made.style.top = `${place * LINE}px`
    made.dataset.row = row
    const words = element('span', '', Run.words(row))
    words.title = words.textContent
    made.append(element('span', 'dim', `#${row}`), element('span', 'dim', Run.time(Run.at[row])), element('span', '', Run.places[Run.place[row]]), words)
    return made
  }

  list.addEventListener('scroll', () => {
    if (isOurs) {
      isOurs = false
      return
    }
    const share = list.scrollTop / scrollMax()
    first = all.length * LINE <= HEIGHT_MAX ? Math.floor(list.scrollTop / LINE) : Math.round(share * Math.max(0, all.length - visible() + 1))
    fill()
  })
  rows.addEventListener('click', event => {
    const line = event.target.closest('.row')
    if (line !== null) View.select(Number(line.dataset.row))
  })

  return { gather, reveal, fill }
})()
