// Messages of a WebSocket, an event stream or a gRPC call: numbered without holes, so that any stretch of them can be asked
// for. Only the pages near what is on the screen are kept, however many there are.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import * as api from '../api/sending.ts'
import type { Exchange, Message } from '../api/types.ts'
import { clock, count, plural, size } from '../lib/format.ts'
import { preview, said, unread, type Saying } from '../lib/message.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Search } from './icons.tsx'
import { OneMessage } from './OneMessage.tsx'
import { SayForm } from './SayForm.tsx'
import { VirtualRows } from './VirtualRows.tsx'

const page = 100
const keep = 40
/** As many results of a search are held; more are found by searching for more. */
const mostFound = 5000

const everything: api.MessageSearch = { contains: '', direction: '' }

export function Messages({ x }: { x: Exchange }) {
  const app = useConsole()
  const cache = useMemo(() => new Map<number, Message[]>(), [x.id])
  const pending = useRef(new Set<number>())
  const [total, setTotal] = useState(x.messages)
  const [, arrived] = useState(0)
  const [chosen, setChosen] = useState<Message | undefined>(undefined)
  const [search, setSearch] = useState(everything)
  const [saying, setSaying] = useState<Saying | undefined>(undefined)
  const newest = useRef(x.messages)
  const searching = search.contains !== '' || search.direction !== ''
  const found = useFound(x.id, search, total)

  useEffect(() => {
    if (x.messages > newest.current) {
      newest.current = x.messages
      setTotal(x.messages)
    }
  }, [x.messages])

  useEffect(() => {
    if (x.state !== 'open') return
    const before = app.feed.onMessage
    let due = false
    app.feed.onMessage = (id, m) => {
      if (id !== x.id) return
      put(m)
      if (m.n > newest.current) newest.current = m.n
      if (due) return
      due = true
      setTimeout(() => {
        due = false
        setTotal(newest.current)
        arrived((n) => n + 1)
      }, 100)
    }
    app.feed.subscribe(x.id, newest.current)
    return () => {
      app.feed.onMessage = before
      app.feed.unsubscribe()
    }
  }, [x.id, x.state])

  function put(m: Message): void {
    // What is too long for the stream is read when it is looked at.
    if (unread(m)) return
    const n = Math.floor((m.n - 1) / page)
    const have = cache.get(n)
    // A page that was never read is read whole when it is looked at.
    if (have) have[(m.n - 1) % page] = m
    else if ((m.n - 1) % page === 0) cache.set(n, [m])
    trim(n)
  }

  function trim(near: number): void {
    while (cache.size > keep) {
      let far = -1
      for (const n of cache.keys()) if (far < 0 || Math.abs(n - near) > Math.abs(far - near)) far = n
      cache.delete(far)
    }
  }

  /** read fills a page of the cache. Where messages are large, that takes several answers. */
  async function read(n: number): Promise<void> {
    const have = cache.get(n) ?? []
    for (let after = n * page; after < Math.min((n + 1) * page, newest.current);) {
      const got = await api.findMessages(x.id, after, (n + 1) * page - after, everything)
      for (const m of got.messages) have[(m.n - 1) % page] = m
      if (got.through <= after) break
      after = got.through
      if (after > newest.current) newest.current = after
    }
    cache.set(n, have)
    trim(n)
    setTotal(newest.current)
  }

  function need(n: number): void {
    if (pending.current.has(n)) return
    pending.current.add(n)
    read(n).then(() => arrived((v) => v + 1), () => {}).finally(() => setTimeout(() => pending.current.delete(n), 250))
  }

  const at = (i: number): Message | undefined => {
    if (searching) return found.messages[i]
    const n = Math.floor(i / page)
    const m = cache.get(n)?.[i % page]
    if (!m) need(n)
    return m
  }
  const open = x.state === 'open'
  const speaks = x.kind === 'websocket'
  return (
    <div class="messages">
      <div class="message-tools" role="search" aria-label="Search the messages">
        <label class="message-search"><Search /><span class="offscreen">Search the messages</span>
          <input type="search" placeholder="Search the messages" value={search.contains} spellcheck={false} autocapitalize="off" autocomplete="off"
            onInput={(e) => setSearch({ ...search, contains: e.currentTarget.value })}
            onKeyDown={(e) => { if (e.key === 'Escape' && search.contains !== '') { e.stopPropagation(); setSearch({ ...search, contains: '' }) } }} />
        </label>
        <label class="offscreen" for="message-direction">Direction</label>
        <select id="message-direction" value={search.direction} onChange={(e) => setSearch({ ...search, direction: e.currentTarget.value as api.MessageSearch['direction'] })}>
          <option value="">both ways</option><option value="sent">↑ sent</option><option value="received">↓ received</option>
        </select>
        <span class="dim" role="status">{searching ? foundText(found, total) : plural(total, 'message')}</span>
        <span class="grow" />
        {speaks && !open && <Again x={x} />}
      </div>
      {found.problem !== '' && searching && <p class="note warn" role="alert">{found.problem}</p>}
      {total === 0 ? <p class="empty">{open ? 'No message yet; they appear here as they come.' : 'No message was exchanged.'}</p> : (
        <VirtualRows key={searching ? 'found' : 'all'} rows={searching ? found.messages.length : total} rowHeight={26} label="Messages" class="message-list" follow={open && !chosen}>
          {(first, last) => Array.from({ length: last - first }, (_, i) => {
            const m = at(first + i)
            if (!m) return <div key={first + i} class="message" />
            return <Row key={first + i} m={m} pressed={chosen?.n === m.n} onClick={() => setChosen(chosen?.n === m.n ? undefined : m)} />
          })}
        </VirtualRows>
      )}
      {chosen && <OneMessage key={chosen.n} x={x} m={chosen} onClose={() => setChosen(undefined)} onAgain={speaks && open ? () => setSaying(said(chosen)) : undefined} />}
      {speaks && open && <SayForm id={x.id} given={saying} />}
    </div>
  )
}

function Row({ m, pressed, onClick }: { m: Message; pressed: boolean; onClick: () => void }) {
  return (
    <button type="button" class={`message ${m.direction}`} aria-pressed={pressed} onClick={onClick} onKeyDown={walk}>
      <span class="direction">{m.direction === 'sent' ? '↑' : '↓'}<span class="offscreen">{m.direction}</span></span>
      <span class="when">{clock(m.time)}</span>
      <span class="kind">{m.kind}</span>
      <span class="preview">{m.injected && <span class="tag" title="eaves put this message in">put in</span>}{preview(m)}</span>
      <span class="length">{size(m.size)}</span>
    </button>
  )
}

/** walk moves the focus to the row above or below. */
function walk(e: KeyboardEvent): void {
  const row = e.currentTarget as HTMLElement
  const next = e.key === 'ArrowDown' ? row.nextElementSibling : e.key === 'ArrowUp' ? row.previousElementSibling : null
  if (!(next instanceof HTMLButtonElement)) return
  e.preventDefault()
  next.focus()
}

/** Again replays a conversation that has ended. */
function Again({ x }: { x: Exchange }) {
  const app = useConsole()
  return (
    <>
      <button type="button" class="button" title="Open it anew and say what the client said, each message once the origin has answered as much (r)" onClick={() => void app.replay(x.id)}>Replay conversation</button>
      <button type="button" class="link" title="Say it with the pauses that were between the messages" onClick={() => void app.replay(x.id, { pauses: 'recorded' })}>with its pauses</button>
    </>
  )
}

interface Found {
  messages: Message[]
  through: number
  done: boolean
  problem: string
}

function foundText(f: Found, total: number): string {
  const n = f.messages.length
  if (n >= mostFound) return `the first ${count(n)} that match`
  if (!f.done) return `${count(n)} found, looking … ${total > 0 ? Math.round((f.through / total) * 100) : 0} %`
  return `${count(n)} of ${count(total)}`
}

/** useFound searches the messages on the server, goes on as more come, and begins anew when the search changes. */
function useFound(id: number, search: api.MessageSearch, total: number): Found {
  const nothing: Found = { messages: [], through: 0, done: false, problem: '' }
  const [found, setFound] = useState(nothing)
  const have = useRef(nothing)
  const { contains, direction } = search
  const going = useRef<AbortController | undefined>(undefined)
  const wanted = useRef(total)
  wanted.current = total

  async function go(abort: AbortController): Promise<void> {
    try {
      while (have.current.through < wanted.current && have.current.messages.length < mostFound) {
        const got = await api.findMessages(id, have.current.through, 500, { contains, direction }, abort.signal)
        if (abort.signal.aborted) return
        const stuck = got.through <= have.current.through
        have.current = { messages: [...have.current.messages, ...got.messages].slice(0, mostFound), through: got.through, done: false, problem: '' }
        setFound(have.current)
        if (stuck) break
      }
      have.current = { ...have.current, done: true }
    } catch (e) {
      if (abort.signal.aborted) return
      have.current = { ...have.current, done: true, problem: message(e) }
    }
    setFound(have.current)
    if (going.current === abort) going.current = undefined
  }

  useEffect(() => {
    have.current = nothing
    setFound(nothing)
    if (contains === '' && direction === '') return
    const abort = new AbortController()
    const timer = setTimeout(() => { void go((going.current = abort)) }, 150)
    return () => {
      clearTimeout(timer)
      abort.abort()
      going.current = undefined
    }
  }, [id, contains, direction])

  useEffect(() => {
    if (contains === '' && direction === '' || going.current || !have.current.done) return
    void go((going.current = new AbortController()))
  }, [total])
  return found
}
