// What a page loaded, as a waterfall: the exchanges of one client that the page, or what it loaded, asked for.

import { useEffect, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Summary } from '../api/types.ts'
import { clock, duration, moment, plural, size, typeName } from '../lib/format.ts'
import { cause, outcome, statusText } from '../lib/story.ts'
import { parts } from '../lib/url.ts'
import { clip, visible } from '../lib/visible.ts'
import { message } from '../model/console.ts'
import { layOut, ticks, type Bar, type Loading } from '../model/pageload.ts'
import { useConsole } from './context.ts'
import { Back, outcomeName, Sign } from './icons.tsx'
import { Text } from './Text.tsx'

const pages = 'method:GET type:html status:2xx..3xx -is:replay'

export function PageLoad() {
  const app = useConsole()
  const id = app.selected.value
  return (
    <main class="page">
      <div class="load">
        {id === undefined ? <Choose /> : <Waterfall key={id} id={id} />}
      </div>
    </main>
  )
}

function Title({ children }: { children: preact.ComponentChildren }) {
  const app = useConsole()
  return (
    <div class="page-title">
      <button type="button" class="tool" aria-label="Back to the traffic" title="Back (Esc)" onClick={() => (app.page.value = 'traffic')}><Back /></button>
      <h1>{children}</h1>
    </div>
  )
}

/** Choose lists the pages that were loaded lately. */
function Choose() {
  const app = useConsole()
  const [list, setList] = useState<Summary[] | undefined>(undefined)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const stop = new AbortController()
    api.list({ filter: pages, limit: 50 }, stop.signal).then((p) => setList(p.exchanges), (e) => { if (!stop.signal.aborted) setProblem(message(e)) })
    return () => stop.abort()
  }, [])
  return (
    <>
      <Title>The loading of a page</Title>
      {problem && <p role="alert">{visible(problem)}</p>}
      {list?.length === 0 && <p class="dim">No page of HTML was loaded in this capture.</p>}
      {list && list.length > 0 && <p class="dim">The latest pages, newest first. Any other exchange can be chosen in the list: <kbd>w</kbd> shows what followed it.</p>}
      <ul class="pages">
        {list?.map((x) => (
          <li key={x.id}><button type="button" class="link" onClick={() => app.select(x.id)}><Text text={clip(x.request.url, 300)} /></button> <span class="dim">{moment(x.startedDateTime).slice(0, 19)}, {statusText(x)}</span></li>
        ))}
      </ul>
    </>
  )
}

function Waterfall({ id }: { id: number }) {
  const app = useConsole()
  const [page, setPage] = useState<api.PageLoad | undefined>(undefined)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const read = async () => {
      try {
        const p = await api.pageLoad(id, stop.signal)
        setPage(p)
        setProblem('')
        // A page that loads is looked at again.
        const last = Math.max(...p.exchanges.map((x) => Date.parse(x.startedDateTime) + Math.max(x.time, 0)))
        if (p.exchanges.some((x) => x.state === 'open' && x.kind === 'http') || Date.now() - last < 4000) timer = setTimeout(() => void read(), 1000)
      } catch (e) {
        if (!stop.signal.aborted) setProblem(message(e))
      }
    }
    void read()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [id])
  const first = page?.exchanges[0]
  if (!page || !first) return <><Title>The loading of a page</Title>{problem && <p role="alert">{visible(problem)}</p>}</>
  const l = layOut(page.exchanges, Date.now())
  return (
    <>
      <Title>The loading of a page</Title>
      <p class="wrap load-url"><Text text={clip(first.request.url, 600)} /></p>
      <p role="status">
        {plural(page.exchanges.length, 'exchange')}, {size(l.bytes)}, in {duration(l.took)} from {clock(first.startedDateTime)}
        {l.failed > 0 && <>; <span class="status failed"><Sign of="failed" /> {l.failed} failed</span></>}
        {l.refused > 0 && <>; <span class="status client"><Sign of="client" /> {plural(l.refused, 'error')} answered</span></>}.
        {!page.complete && ' There was more than is shown.'} <button type="button" class="link" onClick={() => app.select(undefined)}>Other pages</button>
      </p>
      <Legend l={l} />
      <Falls l={l} />
      <p class="dim small">Told apart by client, User-Agent, Referer and Sec-Fetch-Dest, until nothing happened for two seconds.</p>
    </>
  )
}

function Legend({ l }: { l: Loading }) {
  const names = new Map(l.bars.flatMap((b) => b.segments.map((s) => [s.key, s.name] as const)))
  const order = ['blocked', 'dns', 'connect', 'ssl', 'send', 'wait', 'receive', 'rest'] as const
  return <p class="load-legend">{order.filter((k) => names.has(k)).map((k) => <span key={k}><i class={`p-${k}`} aria-hidden="true" /> {k === 'rest' ? 'Not timed' : names.get(k)}</span>)}</p>
}

function Falls({ l }: { l: Loading }) {
  const app = useConsole()
  const marks = ticks(l.took)
  const percent = (ms: number) => `${(ms / l.took) * 100}%`
  const open = (x: Summary) => {
    app.select(x.id)
    app.page.value = 'traffic'
  }
  return (
    <div class="falls" role="region" aria-label="Waterfall" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Exchange</th><th scope="col" class="number">Status</th><th scope="col" class="number wide">Type</th><th scope="col" class="number wide">Size</th><th scope="col" class="number">Time</th>
            <th scope="col" class="axis"><span class="offscreen">Phases</span>{marks.map((m) => <span key={m} aria-hidden="true" class="tick" style={{ left: percent(m) }}>{duration(m)}</span>)}</th>
          </tr>
        </thead>
        <tbody>
          {l.bars.map((b) => <Fall key={b.x.id} b={b} percent={percent} marks={marks} onOpen={() => open(b.x)} />)}
        </tbody>
      </table>
    </div>
  )
}

function Fall({ b, percent, marks, onOpen }: { b: Bar; percent: (ms: number) => string; marks: number[]; onOpen: () => void }) {
  const { host, path } = parts(clip(b.x.request.url, 1500))
  const kind = outcome(b.x)
  const name = path.split('?')[0]!.split('/').filter(Boolean).pop() ?? host
  const words = b.segments.map((s) => `${s.name} ${duration(s.ms)}`).join(', ')
  const why = cause(b.x)
  return (
    <tr class={kind}>
      <th scope="row" title={visible(b.x.request.url)}><button type="button" class="link" onClick={onOpen}>{visible(name)}</button> <span class="dim">{visible(host)}</span>{why && <span class="cause"> <Text text={clip(why, 200)} /></span>}</th>
      <td class="number"><span class={`status ${kind}`}><Sign of={kind} /> {statusText(b.x)}<span class="offscreen"> {outcomeName[kind]}</span></span></td>
      <td class="number wide">{visible(typeName(b.x.response?.content.mimeType))}</td>
      <td class="number wide">{size(b.x.response?.bodySize ?? -1)}</td>
      <td class="number">{duration(b.ms)}</td>
      <td class="axis" title={words}>
        <span class="offscreen">from {duration(b.from)}: {words}</span>
        {marks.map((m) => <span key={m} aria-hidden="true" class="line" style={{ left: percent(m) }} />)}
        <span class="fall" aria-hidden="true">
          {b.segments.map((s) => <i key={s.key} class={`p-${s.key}`} style={{ left: `min(${percent(s.from)}, 100% - 2px)`, width: percent(s.ms) }} />)}
          {b.bad && <span class="end" style={{ left: `min(${percent(b.from + b.ms)}, 100% - 14px)` }}><Sign of={kind} /></span>}
        </span>
      </td>
    </tr>
  )
}
