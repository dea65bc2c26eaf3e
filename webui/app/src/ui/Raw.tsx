// A message as bytes: its head in the order and case of the wire, its body as transferred.

import { useEffect, useMemo, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Exchange, Side } from '../api/types.ts'
import { size } from '../lib/format.ts'
import { piece, Source } from '../lib/source.ts'
import { message } from '../model/console.ts'
import { Scan } from './Body.tsx'
import { useConsole } from './context.ts'
import { Hex } from './Hex.tsx'
import { Copy, Download } from './icons.tsx'

export function Raw({ x }: { x: Exchange }) {
  const app = useConsole()
  const [side, setSide] = useState<Side>('request')
  const [hex, setHex] = useState(false)
  const [got, setGot] = useState<api.Bytes | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const path = api.rawPath(x.id, side)
  const bytes = useMemo(() => {
    const abort = new AbortController()
    return { abort, source: new Source(path, got?.total ?? 0, abort.signal) }
  }, [path, got])
  useEffect(() => () => bytes.abort.abort(), [bytes])
  useEffect(() => {
    const abort = new AbortController()
    setProblem('')
    api.range(path, 0, piece, abort.signal).then(setGot, (e) => { if (!abort.signal.aborted) setProblem(message(e)) })
    return () => abort.abort()
  }, [path, x.seq])
  const label = `The ${side} as bytes`
  const whole = got && got.bytes.length === got.total
  return (
    <div class="body">
      <div class="tools">
        <div class="choice" role="group" aria-label="Whose bytes">
          {(['request', 'response'] as const).map((s) => <button key={s} type="button" aria-pressed={s === side} onClick={() => { setGot(undefined); setSide(s) }}>{s === 'request' ? 'Request' : 'Response'}</button>)}
        </div>
        <div class="choice" role="group" aria-label="View">
          <button type="button" aria-pressed={!hex} onClick={() => setHex(false)}>Text</button>
          <button type="button" aria-pressed={hex} onClick={() => setHex(true)}>Hex</button>
        </div>
        <span class="grow" />
        <span class="dim">{got ? size(got.total) : ''}</span>
        {whole && got.total > 0 && (
          <button type="button" class="tool" aria-label="Copy the message" title="Copy the message" onClick={() => void app.copyText(new TextDecoder().decode(got.bytes), 'Message')}><Copy /></button>
        )}
        <a class="tool" href={path} download={`exchange-${x.id}-${side}.http`} aria-label="Save the message" title="Save the message"><Download /></a>
      </div>
      {/^HTTP\/[23]/.test(side === 'request' ? x.request.httpVersion : x.response?.httpVersion ?? '') && (
        <p class="note">This went over {side === 'request' ? x.request.httpVersion : x.response!.httpVersion} in binary frames; its head is written here as HTTP/1 writes one.</p>
      )}
      {/chunked/i.test((side === 'request' ? x.request : x.response)?.headers?.find((f) => f.name.toLowerCase() === 'transfer-encoding')?.value ?? '') && (
        <p class="note">The sizes between its chunks (Transfer-Encoding) are not kept; the chunks follow each other.</p>
      )}
      {problem ? <p class="empty">{problem}</p> : !got ? <p class="empty">Loading …</p> : got.total === 0 ? <p class="empty">There was no answer.</p> : (
        <>
          {!whole && !hex && <p class="note">This is the first {size(got.bytes.length)} of {size(got.total)}; the hex view reads anywhere.</p>}
          {hex ? <Hex source={bytes.source} label={label} /> : <Scan bytes={got.bytes} kind="text" colour="none" label={label} />}
        </>
      )}
    </div>
  )
}
