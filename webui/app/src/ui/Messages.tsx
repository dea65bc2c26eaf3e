// Messages of a WebSocket or an event stream: numbered without holes, so that any stretch of them can be asked for. Only
// the pages near what is on the screen are kept.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Exchange, Message } from '../api/types.ts'
import { unbase64 } from '../lib/curl.ts'
import { nature } from '../lib/content.ts'
import { clock, count, size } from '../lib/format.ts'
import { visible } from '../lib/visible.ts'
import { Scan } from './Body.tsx'
import { useConsole } from './context.ts'
import { Hex, inMemory } from './Hex.tsx'
import { VirtualRows } from './VirtualRows.tsx'

const page = 100
const keep = 40

export function Messages({ x }: { x: Exchange }) {
  const app = useConsole()
  const cache = useMemo(() => new Map<number, Message[]>(), [x.id])
  const pending = useRef(new Set<number>())
  const [total, setTotal] = useState(x.messages)
  const [, arrived] = useState(0)
  const [chosen, setChosen] = useState<Message | undefined>(undefined)
  const newest = useRef(x.messages)

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

  function need(n: number): void {
    if (pending.current.has(n)) return
    pending.current.add(n)
    api.messages(x.id, n * page, page).then((got) => {
      const have = cache.get(n) ?? []
      for (const m of got) {
        if (Math.floor((m.n - 1) / page) === n) have[(m.n - 1) % page] = m
        if (m.n > newest.current) newest.current = m.n
      }
      cache.set(n, have)
      trim(n)
      setTotal(newest.current)
      arrived((v) => v + 1)
    }, () => {}).finally(() => pending.current.delete(n))
  }

  if (total === 0) return <p class="empty">{x.state === 'open' ? 'No message yet; they appear here as they come.' : 'No message was exchanged.'}</p>
  return (
    <div class="messages">
      <VirtualRows rows={total} rowHeight={26} label="Messages" class="message-list" follow={x.state === 'open' && !chosen}>
        {(first, last) => Array.from({ length: last - first }, (_, i) => {
          const at = first + i
          const n = Math.floor(at / page)
          const m = cache.get(n)?.[at % page]
          if (!m) {
            need(n)
            return <div key={at} class="message" />
          }
          return (
            <button key={at} type="button" class={`message ${m.direction}`} aria-pressed={chosen?.n === m.n} onClick={() => setChosen(chosen?.n === m.n ? undefined : m)}>
              <span class="direction">{m.direction === 'sent' ? '↑' : '↓'}<span class="offscreen">{m.direction}</span></span>
              <span class="when">{clock(m.time)}</span>
              <span class="kind">{m.kind}</span>
              <span class="preview">{preview(m)}</span>
              <span class="length">{size(m.size)}</span>
            </button>
          )
        })}
      </VirtualRows>
      {chosen && <One m={chosen} onClose={() => setChosen(undefined)} />}
    </div>
  )
}

function preview(m: Message): string {
  if (m.text !== undefined) return visible(m.text.slice(0, 300))
  if (!m.data) return ''
  const b = unbase64(m.data.slice(0, 64))
  return Array.from(b, (c) => c.toString(16).padStart(2, '0')).join(' ')
}

/** One shows a message's payload. */
function One({ m, onClose }: { m: Message; onClose: () => void }) {
  const app = useConsole()
  const bytes = useMemo(() => (m.text !== undefined ? new TextEncoder().encode(m.text) : m.data ? unbase64(m.data) : new Uint8Array()) as Uint8Array<ArrayBuffer>, [m])
  const looks = nature('', bytes.subarray(0, 8192)).looks
  const look = looks[0]!
  return (
    <section class="one" aria-label={`Message ${m.n} in full`}>
      <h3>
        Message {count(m.n)} <span class="dim">{m.direction} · {m.kind} · {size(m.size)}{m.truncated ? ', not all of it kept' : ''}</span><span class="grow" />
        {m.text !== undefined && <button type="button" class="link" onClick={() => void app.copyText(m.text!, 'Message')}>Copy</button>}
        <button type="button" class="link" onClick={onClose}>Close</button>
      </h3>
      {bytes.length === 0 ? <p class="dim">empty</p>
        : look === 'json' || look === 'xml' ? <Scan bytes={bytes} kind={look} colour={look === 'xml' ? 'markup' : 'json'} label={`Message ${m.n}`} />
          : look === 'hex' ? <Hex source={inMemory(bytes)} label={`Message ${m.n}`} /> : <Scan bytes={bytes} kind="text" colour="none" label={`Message ${m.n}`} />}
    </section>
  )
}
