// Measures the page with a real eaves that holds many exchanges, in headless Chromium. See usage below, and bench/PAGE.md
// for what came of it.
import { execFileSync, fork, spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const usage = `npm run performance -- [options]

  --rows N         exchanges to store before measuring (default 100000)
  --data DIR       a data directory to measure instead; traffic is added to it
  --only LIST      of paint, live, scroll, body, keys (default: all)
  --seconds N      how long each rate of the live list lasts (default 5)
  --write          add the table to bench/PAGE.md`

const app = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = join(app, '../..')
const self = fileURLToPath(import.meta.url)

/** A list that drops more than this share of its frames is not held at 60 a second. */
const tolerated = 0.05
const rates = [100, 250, 500, 1000, 2000, 4000]
/** The rows that are scrolled through. */
const scrolled = 100_000
const bigBody = 100 << 20

if (process.argv[2] === 'load') load(JSON.parse(process.argv[3]))
else await main()

async function main() {
  const { values: o } = parseArgs({ options: { rows: { type: 'string', default: '100000' }, data: { type: 'string' }, only: { type: 'string', default: 'paint,live,scroll,body,keys' }, seconds: { type: 'string', default: '5' }, write: { type: 'boolean' }, help: { type: 'boolean' } } })
  if (o.help) return console.log(usage)
  const temporary = mkdtempSync(join(tmpdir(), 'eaves-performance-'))
  const ends = [() => rmSync(temporary, { recursive: true, force: true })]
  try {
    const binary = process.env.EAVES_BINARY ?? build(temporary, 'eaves', './cmd/eaves')
    const data = o.data ?? join(temporary, 'data')
    if (!existsSync(join(data, 'eaves.db'))) {
      console.error(`storing ${o.rows} exchanges …`)
      execFileSync(build(temporary, 'store', './bench/store'), ['-n', o.rows, '-fill', '-wait=false', '-dir', data], { stdio: ['ignore', 'ignore', 'inherit'] })
    }
    const eaves = await start(binary, data, temporary)
    ends.push(eaves.stop)
    const origin = await serve()
    ends.push(origin.close)
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--js-flags=--expose-gc'] })
    ends.push(() => browser.close())
    const status = await eaves.api('/status')
    const table = []
    const row = (what, figure) => { table.push(`| ${what} | ${figure} |`); console.error(`${what}: ${figure}`) }
    const measures = { paint, keys, scroll, body, live }
    for (const [name, measure] of Object.entries(measures)) if (o.only.split(',').includes(name)) await measure({ browser, eaves, origin, row, seconds: Number(o.seconds) })
    const text = [
      `## ${new Date().toISOString().slice(0, 10)}, ${status.exchanges.toLocaleString('en-US')} exchanges`, '',
      `    npm run performance -- ${process.argv.slice(2).filter((a) => a !== '--write').join(' ')}`.trimEnd(), '',
      `Commit ${execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim()}, Chromium ${browser.version()} headless without a GPU, Node ${process.version}, ${execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }).trim()}; `
      + `${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB; load average ${loadavg()[0].toFixed(1)} at the end.`, '',
      '| what | figure |', '| --- | --- |', ...table, '',
    ].join('\n')
    console.log(text)
    if (o.write) appendFileSync(join(root, 'bench/PAGE.md'), '\n' + text)
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

// --- what is measured

/** paint loads the page in fresh browsers, so to speak: nothing of it is cached. */
async function paint({ browser, eaves, row }) {
  const first = []
  const rows = []
  for (let i = 0; i < 15; i++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await context.newPage()
    await page.addInitScript(() => {
      const seen = new MutationObserver(() => {
        if (!document.querySelector('.runway .row')) return
        seen.disconnect()
        // The frame that shows them ends before the next one begins.
        requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => { globalThis.rowsAt = performance.now() }; c.port2.postMessage(0) })
      })
      seen.observe(document, { childList: true, subtree: true })
    })
    await page.goto(eaves.url)
    await page.waitForFunction(() => globalThis.rowsAt !== undefined)
    const at = await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0]?.startTime, globalThis.rowsAt])
    first.push(at[0])
    rows.push(at[1])
    await context.close()
  }
  row('first paint, nothing cached: median of 15; worst', `${ms(median(first))}; ${ms(Math.max(...first))}`)
  row('newest rows on the screen: median; worst', `${ms(median(rows))}; ${ms(Math.max(...rows))}`)
}

/** keys goes down and up the list and measures from each key press to the end of the frame that it changed. */
async function keys({ browser, eaves, row }) {
  const page = await open(browser, eaves)
  await page.evaluate(() => {
    globalThis.keyTimes = []
    document.addEventListener('keydown', (e) => {
      requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => globalThis.keyTimes.push(performance.now() - e.timeStamp); c.port2.postMessage(0) })
    }, true)
  })
  for (const key of ['k', 'j']) {
    for (let i = key === 'j' ? 1 : 0; i < 60; i++) {
      const before = await page.evaluate(() => [document.querySelector('.runway .row.selected')?.id, globalThis.keyTimes.length])
      await page.keyboard.press(key)
      await page.waitForFunction(([id, n]) => globalThis.keyTimes.length > n && document.querySelector('.runway .row.selected')?.id !== id, before)
    }
  }
  // The first one also opens the detail.
  const times = (await page.evaluate(() => globalThis.keyTimes)).slice(1)
  row('key press to paint, j and k, with the detail open: median of 119; 95 %; worst', `${ms(median(times))}; ${ms(at(times, 0.95))}; ${ms(Math.max(...times))}`)
  await page.close()
}

/** scroll goes back through the list until so many rows have been on the screen, and compares the heap. */
async function scroll({ browser, eaves, row }) {
  const page = await open(browser, eaves)
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('HeapProfiler.enable')
  const heap = async () => {
    await cdp.send('HeapProfiler.collectGarbage')
    return (await cdp.send('Runtime.getHeapUsage')).usedSize
  }
  const before = await heap()
  const begun = Date.now()
  const passed = await page.evaluate(async (want) => {
    const el = document.querySelector('.scroller')
    const ids = () => [...document.querySelectorAll('.runway .row')].map((r) => Number(r.dataset.id))
    const seen = new Set(ids())
    const frame = () => new Promise(requestAnimationFrame)
    let still = 0
    while (seen.size < want && still < 300) {
      const n = seen.size
      el.scrollTop -= el.clientHeight * 0.9
      await frame()
      for (const id of ids()) seen.add(id)
      still = seen.size === n ? still + 1 : 0
    }
    return seen.size
  }, Math.min(scrolled, (await eaves.api('/status')).exchanges - 100))
  const took = (Date.now() - begun) / 1000
  const after = await heap()
  const held = await page.evaluate(() => document.querySelectorAll('.runway .row').length)
  row(`heap before, and after ${passed.toLocaleString('en-US')} rows were scrolled through (${Math.round(passed / took).toLocaleString('en-US')} rows a second; ${held} rows in the page)`, `${mb(before)}, ${mb(after)}`)
  await page.close()
}

/** body opens an answer of 100 MB. */
async function body({ browser, eaves, origin, row }) {
  await eaves.get(`${origin.url}/big`)
  const page = await open(browser, eaves)
  await page.keyboard.press('End')
  await page.locator('.runway .row.selected', { hasText: '/big' }).waitFor()
  await page.getByRole('tab', { name: 'Overview' }).waitFor()
  await page.evaluate(() => {
    globalThis.longest = 0
    let last = performance.now()
    const watch = () => { const now = performance.now(); globalThis.longest = Math.max(globalThis.longest, now - last); last = now; requestAnimationFrame(watch) }
    watch()
    document.querySelector('#tab-response, [role=tab][aria-controls*=response]')
    const tab = [...document.querySelectorAll('[role=tab]')].find((t) => t.textContent.startsWith('Response'))
    const begun = performance.now()
    tab.click()
    const look = () => {
      if (!document.querySelector('.code .line')) return requestAnimationFrame(look)
      const c = new MessageChannel()
      c.port1.onmessage = () => { globalThis.firstLines = performance.now() - begun }
      c.port2.postMessage(0)
    }
    look()
    globalThis.clicked = begun
  })
  await page.waitForFunction(() => globalThis.firstLines !== undefined)
  const first = await page.evaluate(() => globalThis.firstLines)
  await page.getByText(/This is the first/).waitFor({ state: 'detached', timeout: 120_000 })
  const [all, longest] = await page.evaluate(() => [performance.now() - globalThis.clicked, globalThis.longest])
  row('a JSON body of 100 MB: first lines on the screen; all laid out; longest frame meanwhile', `${ms(first)}; ${ms(all)}; ${ms(longest)}`)
  await page.close()
}

/** live looks at the end of the list while traffic arrives at rising rates. */
async function live({ browser, eaves, origin, row, seconds }) {
  const page = await open(browser, eaves)
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable')
  const busy = async () => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value
  const watch = async () => {
    const tasks = await busy()
    const f = await page.evaluate((for_) => new Promise((done) => {
      const times = []
      const begun = performance.now()
      let last = begun
      const next = (t) => {
        times.push(t - last)
        last = t
        if (t - begun < for_) requestAnimationFrame(next)
        else done({ frames: times.length, took: t - begun, longest: Math.max(...times.slice(1)) })
      }
      requestAnimationFrame(next)
    }), seconds * 1000)
    return { dropped: Math.max(0, 1 - f.frames / ((f.took / 1000) * 60)), fps: f.frames / (f.took / 1000), longest: f.longest, busy: (await busy()) - tasks, took: f.took / 1000 }
  }
  const words = (w) => `${w.fps.toFixed(1)} frames a second, ${(w.dropped * 100).toFixed(1)} % dropped, longest ${ms(w.longest)}, page busy ${Math.round((w.busy / w.took) * 100)} %`
  const idle = await watch()
  row('live list: no traffic', words(idle))
  let most = 0
  for (const rate of rates) {
    const traffic = fork(self, ['load', JSON.stringify({ proxy: eaves.ready.proxy, url: `${origin.url}/live`, rate })])
    try {
      await new Promise((go) => setTimeout(go, 1000))
      const before = (await eaves.api('/status')).exchanges
      const w = await watch()
      const arrived = Math.round(((await eaves.api('/status')).exchanges - before) / w.took)
      if (w.dropped <= idle.dropped + tolerated) most = Math.max(most, arrived)
      row(`live list: ${rate.toLocaleString('en-US')} a second asked for, ${arrived.toLocaleString('en-US')} arrived`, words(w))
      if (arrived < rate * 0.6) break // the machine has no more to give
    } finally {
      traffic.kill()
    }
  }
  row(`rows a second held at 60 frames (at most ${tolerated * 100} % more frames dropped than without traffic)`, most.toLocaleString('en-US'))
  await page.close()
}

// --- what it takes

function build(dir, name, what) {
  const out = join(dir, name)
  execFileSync('go', ['build', '-tags', 'sqlite_fts5', '-o', out, what], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  return out
}

async function start(binary, data, dir) {
  const file = join(dir, 'ready.json')
  const child = spawn(binary, ['run', '--data', data, '--listen', '127.0.0.1:0', '--console', '127.0.0.1:0', '--ready-file', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  for (let i = 0; !existsSync(file); i++) {
    if (child.exitCode !== null || i > 6000) throw new Error('eaves did not start')
    await new Promise((go) => setTimeout(go, 20))
  }
  const ready = JSON.parse(readFileSync(file, 'utf8'))
  const api = async (path) => {
    const r = await fetch(`${ready.console}/api/v1${path}`, { headers: { Authorization: `Bearer ${ready.token}` } })
    if (!r.ok) throw new Error(`${path}: ${r.status}`)
    return r.json()
  }
  const get = (url) => new Promise((done, failed) => {
    const [host, port] = ready.proxy.split(':')
    const s = connect(Number(port), host, () => s.write(`GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: close\r\n\r\n`))
    s.on('data', () => {})
    s.on('close', done)
    s.on('error', failed)
  })
  return { ready, api, get, url: `${ready.console}/?token=${ready.token}`, stop: () => new Promise((done) => { child.once('exit', done); child.kill() }) }
}

/** serve is the origin: small answers, and one of 100 MB. */
async function serve() {
  const big = Buffer.from(`{"id": 123456789, "name": "somebody or other", "tags": ["a", "b", "c"], "note": "${'x'.repeat(40)}"},\n`)
  const server = createServer((q, a) => {
    if (q.url !== '/big') return a.setHeader('Content-Type', 'application/json').end('{"ok":true}')
    a.setHeader('Content-Type', 'application/json')
    a.write('[')
    let left = Math.floor(bigBody / big.length)
    const more = () => {
      while (left-- > 0) if (!a.write(big)) return a.once('drain', more)
      a.end('{}]')
    }
    more()
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => { server.closeAllConnections(); server.close() } }
}

/** load is a process of its own: it asks at a rate, over connections that are kept. */
function load({ proxy, url, rate }) {
  const [host, port] = proxy.split(':')
  const connections = 16
  let sent = 0
  const begun = performance.now()
  for (let i = 0; i < connections; i++) {
    const s = connect(Number(port), host)
    let waiting = false
    s.on('error', () => process.exit(1))
    // An answer comes in one piece: it is small.
    s.on('data', () => { waiting = false })
    setInterval(() => {
      if (waiting || sent >= ((performance.now() - begun) / 1000) * rate) return
      waiting = true
      sent++
      s.write(`GET ${url}/${sent} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`)
    }, 1)
  }
}

async function open(browser, eaves) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  await page.goto(eaves.url)
  await page.locator('.runway .row').first().waitFor()
  await page.getByText('live', { exact: true }).waitFor()
  return page
}

function at(list, share) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}
function median(list) { return at(list, 0.5) }
function ms(n) { return n < 10 ? `${n.toFixed(1)} ms` : `${Math.round(n)} ms` }
function mb(n) { return `${(n / 2 ** 20).toFixed(1)} MB` }
