// Opens a page from disk in chromium without a window, and expects of it what a reader would: node page.js WHAT FILE FOLDER.
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { chromium } = require('playwright-core')

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

// A browser that has never seen anything, and what it complained about.
async function open(folder, colorScheme) {
  const profile = fs.mkdtempSync(path.join(folder, 'profile-'))
  const options = { executablePath: process.env.KRAFTBED_CHROMIUM, headless: true, args: FLAGS, colorScheme, viewport: { width: 1400, height: 1000 } }
  const context = await chromium.launchPersistentContext(profile, options)
  const complaints = []
  await context.exposeBinding('complain', (_, what) => complaints.push(what))
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', event => window.complain(`policy: ${event.violatedDirective} ${event.blockedURI}`))
  })
  context.on('page', page => listen(page, complaints))
  context.pages().forEach(page => listen(page, complaints))
  return { context, complaints, close: async () => { await context.close(); fs.rmSync(profile, { recursive: true, force: true }) } }
}

function listen(page, complaints) {
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`) })
  page.on('pageerror', error => complaints.push(`error: ${error.stack}`))
  page.on('dialog', dialog => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss() })
  page.on('request', request => {
    const isOwn = request.url().startsWith('file:') && request.url().split('#')[0].endsWith('.html')
    if (!isOwn && request.url() !== 'about:blank') complaints.push(`request: ${request.url()}`)
  })
}

async function visit(context, url) {
  const page = await context.newPage()
  await page.goto(url)
  await page.waitForFunction(() => document.querySelectorAll('#rows .row').length > 0)
  return page
}

const event = page => page.locator('#event').innerText()
const row = page => page.evaluate(() => View.row)
// Two frames: one that draws, and one after it.
const settled = page => page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))))

async function press(page, key) {
  await page.keyboard.press(key)
  await settled(page)
}

// How many different colours a canvas shows: of a blank one, one.
const colours = (page, id) => page.evaluate(id => {
  const canvas = document.getElementById(id)
  const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)
  return new Set(pixels).size
}, id)

async function walk(file, folder) {
  const url = pathToFileURL(file).href
  const { context, complaints, close } = await open(folder, 'light')
  const page = await visit(context, url)

  // Within ten seconds: what went wrong, the rule, what led there, how to see it again.
  assert.match(await page.locator('#badge').innerText(), /VIOLATED/)
  assert.match(await page.locator('h1').innerText(), /node \d leads epoch \d+ again, after a restart/)
  assert.match(await page.locator('#rule').innerText(), /leaders_are_elected.*never resumes it after a restart/)
  assert.match(await page.locator('#command').innerText(), / run \S+restarts_as_leader\.json --seed 1$/)
  const steps = await page.locator('#causes .step').allInnerTexts()
  assert.match(steps.at(-1), /VIOLATED/)
  assert.ok(steps.some(step => /starts again/.test(step)), steps.join('\n'))
  assert.ok(await colours(page, 'lanes') > 10 && await colours(page, 'overview') > 5)
  await page.screenshot({ path: path.join(folder, 'light.png'), fullPage: true })

  // A click on a step, on the canvas, on a line of the list selects that event.
  await page.locator('#causes .step', { hasText: 'starts again' }).last().click()
  await settled(page)
  assert.match(await event(page), /starts again/)
  const down = await page.evaluate(() => {
    const row = Run.kind.lastIndexOf(Run.K.down)
    View.show([row])
    Lanes.canvas.scrollIntoView()
    const box = Lanes.canvas.getBoundingClientRect()
    return { row, x: box.x + Lanes.toX(View.x(row)), y: box.y + Lanes.of[Run.place[row]].middle }
  })
  await settled(page)
  await page.mouse.click(down.x, down.y)
  await settled(page)
  assert.match(await event(page), /down: /)
  await page.locator('#rows .row').nth(2).click()
  await settled(page)
  assert.equal(await row(page), Number(await page.locator('#rows .row').nth(2).getAttribute('data-row')))

  // Keys: the violation, the event before and after, cause and effect, faults, zoom, the whole run, by steps.
  await page.locator('#lanes').focus()
  await press(page, 'v')
  assert.match(await event(page), /VIOLATED leaders_are_elected/)
  const last = await row(page)
  await press(page, 'ArrowLeft')
  assert.equal(await row(page), last - 1)
  await press(page, 'ArrowRight')
  assert.equal(await row(page), last)
  await press(page, 'c')
  const cause = await row(page)
  assert.equal(cause, await page.evaluate(last => Run.cause[last], last))
  await press(page, 'e')
  assert.equal(await page.evaluate(() => Run.cause[View.row]), cause)
  await press(page, 'Home')
  assert.equal(await row(page), 0)
  await press(page, 'f')
  assert.match(await event(page), /fault \w+: |script: /)
  const span = () => page.evaluate(() => View.to - View.from)
  const before = await span()
  await press(page, '+')
  assert.ok(await span() < before)
  await press(page, '0')
  assert.ok(await span() > await page.evaluate(() => Run.end))
  await press(page, 't')
  assert.equal(await page.locator('#order').getAttribute('aria-pressed'), 'true')
  await press(page, '?')
  assert.ok(await page.locator('#keys').isVisible())
  await press(page, 'Escape')
  assert.ok(!await page.locator('#keys').isVisible())

  // The wheel zooms, a drag moves.
  const box = await page.locator('#lanes').boundingBox()
  await page.mouse.move(box.x + 500, box.y + 200)
  const wide = await span()
  await page.mouse.wheel(0, -400)
  await settled(page)
  assert.ok(await span() < wide)
  const from = await page.evaluate(() => View.from)
  await page.mouse.down()
  await page.mouse.move(box.x + 300, box.y + 200, { steps: 4 })
  await page.mouse.up()
  await settled(page)
  assert.ok(await page.evaluate(() => View.from) > from)

  // A search shows what it finds and nothing else; a filter hides a kind.
  await press(page, '/')
  await page.keyboard.type('n2 becomes')
  await page.waitForFunction(() => View.query === 'n2 becomes')
  await settled(page)
  const found = await page.locator('#rows .row').allInnerTexts()
  assert.ok(found.length > 0 && found.every(line => /n2/.test(line) && /becomes/.test(line)), found.join('\n'))
  assert.match(await page.locator('#matches').innerText(), /^\d+ found$/)
  await page.keyboard.press('Enter')
  await settled(page)
  assert.match(await event(page), /becomes/)
  await page.locator('#kinds input[data-group="disk"]').uncheck()
  await settled(page)
  assert.ok(await page.evaluate(() => Run.kind.every((kind, row) => kind !== Run.K.disk || !View.shown[row])))

  // The address carries all of that to another page.
  await page.waitForFunction(() => location.hash.includes('q=') && location.hash.includes('hide=disk'))
  await page.waitForTimeout(300)
  const state = page => page.evaluate(() => [View.row, Math.round(View.from), Math.round(View.to), View.bySteps, View.query, [...View.hidden]])
  const other = await visit(context, page.url())
  assert.deepEqual(await state(other), await state(page))
  assert.equal(await other.locator('#query').inputValue(), 'n2 becomes')
  assert.equal(await event(other), await event(page))
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  assert.deepEqual(complaints, [])
  await close()

  const dark = await open(folder, 'dark')
  const darkPage = await visit(dark.context, url)
  assert.notEqual(await darkPage.evaluate(() => getComputedStyle(document.body).backgroundColor), ground)
  assert.ok(await colours(darkPage, 'lanes') > 10)
  await darkPage.screenshot({ path: path.join(folder, 'dark.png'), fullPage: true })
  assert.deepEqual(dark.complaints, [])
  await dark.close()
}

async function conflict(file, folder) {
  const { context, complaints, close } = await open(folder, 'light')
  const page = await visit(context, pathToFileURL(file).href)
  assert.match(await page.locator('h1').innerText(), /p2 read 1/)
  const operations = await page.locator('#conflict .step').allInnerTexts()
  assert.equal(operations.length, 2)
  assert.match(operations[1], /p2\s+read ⇒ 1 — sees what was overwritten/)
  assert.equal(await page.locator('#figure rect').count(), 3)
  assert.equal(await page.locator('#figure .before').count(), 1)
  assert.match(await page.locator('#figure .caption').innerText(), /distances mean nothing\. Pale:/)
  assert.deepEqual(await page.locator('#labels div').allInnerTexts(), ['p0', 'p1', 'p2'])
  assert.equal(await page.locator('#kinds input').count(), 0)
  assert.match(await page.locator('#notes').innerText(), /The first 2 of 4/)
  await page.locator('#conflict .step').first().click()
  await settled(page)
  assert.match(await event(page), /p1\s+write 2/)
  await page.locator('#lanes').focus()
  await press(page, 'v')
  assert.match(await event(page), /p2\s+read ⇒ 1/)
  assert.ok(await colours(page, 'lanes') > 5)
  await page.screenshot({ path: path.join(folder, 'conflict.png'), fullPage: true })
  assert.deepEqual(complaints, [])
  await close()
}

async function hostile(file, folder) {
  const { context, complaints, close } = await open(folder, 'dark')
  const page = await visit(context, pathToFileURL(file).href)
  const text = await page.locator('h1').innerText()
  assert.match(text, /^<\/script><script>window\.hurt = 1/)
  for (const id of ['rule', 'command', 'conflict', 'notes', 'facts', 'event', 'labels']) {
    assert.ok((await page.locator(`#${id}`).innerText()).includes(text.slice(0, 20)), id)
  }
  assert.equal(await page.evaluate(() => window.hurt), undefined)
  assert.equal(await page.locator('img').count(), 0)
  // The policy holds even for what gets into the page by another way.
  const blocked = await page.evaluate(async () => {
    const script = document.createElement('script')
    script.textContent = 'window.hurt = 3'
    document.body.append(script)
    return fetch('https://example.com/').then(() => 'reached', () => 'blocked')
  })
  assert.equal(blocked, 'blocked')
  assert.equal(await page.evaluate(() => window.hurt), undefined)
  await settled(page)
  const expected = complaint => /^policy: |^console: .*[Cc]ontent.[Ss]ecurity.[Pp]olicy|^console: .*example\.com/.test(complaint)
  assert.deepEqual(complaints.filter(complaint => !expected(complaint)), [])
  assert.ok(complaints.some(complaint => /^policy: script-src/.test(complaint)), complaints.join('\n'))
  assert.ok(complaints.some(complaint => /^policy: (connect|default)-src/.test(complaint)), complaints.join('\n'))
  await close()
}

const [what, file, folder] = process.argv.slice(2)
const run = { walk, conflict, hostile }[what]
run(file, folder).then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
