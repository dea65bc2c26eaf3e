// One message in full: laid out as what it is, as text, or as bytes.

import { useMemo, useState } from 'preact/hooks'
import type { Exchange, Message } from '../api/types.ts'
import { nature, type Look } from '../lib/content.ts'
import { count, moment, size } from '../lib/format.ts'
import { payload, serverEvent } from '../lib/message.ts'
import { parts } from '../lib/url.ts'
import { Scan, Special } from './Body.tsx'
import { useConsole } from './context.ts'
import { Hex, inMemory } from './Hex.tsx'
import { Text } from './Text.tsx'

type View = 'pretty' | 'text' | 'hex'
const names: Record<View, string> = { pretty: 'Pretty', text: 'Text', hex: 'Hex' }

export function OneMessage({ x, m, onClose, onAgain }: { x: Exchange; m: Message; onClose: () => void; onAgain?: (() => void) | undefined }) {
  const app = useConsole()
  const bytes = useMemo(() => payload(m), [m])
  const looks = useMemo(() => nature('', bytes.subarray(0, 8192)).looks, [bytes])
  const views: View[] = m.kind === 'grpc' ? ['pretty', 'hex'] : looks[0] === 'hex' ? ['hex', 'text'] : looks[0] === 'text' && m.kind !== 'event' ? ['text', 'hex'] : ['pretty', 'text', 'hex']
  const [chosen, setChosen] = useState<View | undefined>(undefined)
  const view = chosen && views.includes(chosen) ? chosen : views[0]!
  return (
    <section class="one" aria-label={`Message ${m.n} in full`}>
      <h3>
        Message {count(m.n)} <span class="dim">{m.direction} · {m.kind} · {size(m.size)} · {moment(m.time)}{m.injected ? ' · put in by eaves' : ''}{m.truncated ? ' · not all of it kept' : ''}</span><span class="grow" />
        {bytes.length > 0 && (
          <span class="choice" role="group" aria-label="View of the message">
            {views.map((v) => <button key={v} type="button" aria-pressed={v === view} onClick={() => setChosen(v)}>{names[v]}</button>)}
          </span>
        )}
        {onAgain && <button type="button" class="link" onClick={onAgain}>Say again …</button>}
        {m.text !== undefined && <button type="button" class="link" onClick={() => void app.copyText(m.text!, 'Message')}>Copy</button>}
        <button type="button" class="link" onClick={onClose}>Close</button>
      </h3>
      {bytes.length === 0 ? <p class="dim">empty</p> : view === 'hex' ? <Hex source={inMemory(bytes)} label={`Message ${m.n}, bytes`} />
        : view === 'text' ? <Scan bytes={bytes} kind="text" colour="none" label={`Message ${m.n}`} />
          : m.kind === 'grpc' ? <Fields x={x} m={m} bytes={bytes} /> : m.kind === 'event' ? <Event text={m.text ?? new TextDecoder().decode(bytes)} n={m.n} /> : <Pretty bytes={bytes} look={looks[0]!} n={m.n} />}
    </section>
  )
}

/** Fields shows a gRPC message: JSON where that is what is spoken, else Protocol Buffers, with a schema if the reader has one. */
function Fields({ x, m, bytes }: { x: Exchange; m: Message; bytes: Uint8Array<ArrayBuffer> }) {
  const side = m.direction === 'sent' ? 'request' : 'response'
  const type = (side === 'request' ? x.request : x.response)?.headers?.find((f) => f.name.toLowerCase() === 'content-type')?.value ?? ''
  if (/\+json\b/.test(type)) return <Pretty bytes={bytes} look="json" n={m.n} />
  return <Special look="protobuf" bytes={bytes} partial={m.truncated === true} label={`Message ${m.n}`} path={parts(x.request.url).path} side={side} header={(name) => (name === 'content-type' ? type : '')} finding={false} onClose={() => {}} />
}

function Pretty({ bytes, look, n }: { bytes: Uint8Array<ArrayBuffer>; look: Look; n: number }) {
  const kind = look === 'json' || look === 'xml' ? look : 'text'
  return <Scan bytes={bytes} kind={kind} colour={look === 'xml' || look === 'html' ? 'markup' : look === 'json' ? 'json' : 'none'} label={`Message ${n}`} />
}

/** Event shows a server-sent event by its fields. */
function Event({ text, n }: { text: string; n: number }) {
  const e = serverEvent(text)
  const data = useMemo(() => new TextEncoder().encode(e.data) as Uint8Array<ArrayBuffer>, [text])
  const look = nature('', data.subarray(0, 8192)).looks[0]!
  return (
    <>
      <dl class="event-fields">
        <div><dt>event</dt><dd><Text text={e.event} /></dd></div>
        {e.id !== undefined && <div><dt>id</dt><dd><Text text={e.id} /></dd></div>}
        {e.retry !== undefined && <div><dt>retry</dt><dd><Text text={e.retry} /></dd></div>}
        {e.comments.length > 0 && <div><dt>comment</dt><dd><Text text={e.comments.join(' ')} /></dd></div>}
      </dl>
      {data.length > 0 ? <Pretty bytes={data} look={look} n={n} /> : <p class="dim">no data</p>}
    </>
  )
}
