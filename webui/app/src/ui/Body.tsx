// A body, looked at in the way that suits it. Up to a few megabytes are loaded and laid out at once; of a larger one the
// first piece is shown, the hex view reads anywhere by ranges, and the whole is laid out when it is asked for.

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Exchange, Side } from '../api/types.ts'
import { invalidAt, lookName, nature, toUTF8, type Look, type Nature } from '../lib/content.ts'
import { count, size } from '../lib/format.ts'
import type { Lines, Scanner } from '../lib/lines.ts'
import { scanned } from '../lib/scan.ts'
import { automatic, most, piece, Source } from '../lib/source.ts'
import { parts } from '../lib/url.ts'
import { message } from '../model/console.ts'
import { Code } from './Code.tsx'
import { useConsole } from './context.ts'
import { Form, Image, Parts } from './bodies.tsx'
import { Hex } from './Hex.tsx'
import { Copy, Download } from './icons.tsx'

interface Loaded {
  bytes: Uint8Array<ArrayBuffer>
  total: number
  nature: Nature
  /** Where the bytes stop being UTF-8, -1 if they do not. */
  invalid: number
}

export function bodyInfo(x: Exchange, side: Side) {
  const head = side === 'request' ? x.request : x.response
  const header = (name: string) => head?.headers?.filter((f) => f.name.toLowerCase() === name).map((f) => f.value).join(', ') ?? ''
  return {
    size: head?.bodySize ?? -1,
    truncated: head?.truncated ?? false,
    type: side === 'response' ? header('content-type') || x.response?.content.mimeType || '' : header('content-type'),
    encoding: header('content-encoding').replace(/^identity$/i, ''),
  }
}

export function Body({ x, side, lead }: { x: Exchange; side: Side; lead: ComponentChildren }) {
  const app = useConsole()
  const info = bodyInfo(x, side)
  const [decoded, setDecoded] = useState(true)
  const [chosen, setChosen] = useState<Look | undefined>(undefined)
  const [whole, setWhole] = useState(false)
  const [loaded, setLoaded] = useState<Loaded | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const [progress, setProgress] = useState(-1)
  // A body that is still coming is read anew as it grows: a short one each time, a longer one when it is longer by a tenth.
  const grown = x.state !== 'open' ? -1 : info.size < 256 << 10 ? info.size : Math.floor(Math.log2(Math.min(info.size, automatic)) * 8)

  useEffect(() => {
    setLoaded(undefined)
    setChosen(undefined)
    setWhole(false)
    setDecoded(true)
  }, [x.id, side])

  useEffect(() => {
    const abort = new AbortController()
    setProblem('')
    void (async () => {
      try {
        const limit = whole ? most : automatic
        setProgress(-1)
        let got = await api.bodyRange(x.id, side, decoded && info.encoding !== '', 0, limit, abort.signal, whole ? setProgress : undefined)
        if (!whole && (got.total < 0 || got.total > automatic)) got = { bytes: got.bytes.slice(0, piece), total: got.total }
        const n = nature(info.type, got.bytes.subarray(0, 8192))
        const bytes = n.looks[0] === 'image' || n.looks[0] === 'hex' ? got.bytes : toUTF8(got.bytes, n.charset)
        setProgress(-1)
        setLoaded({ bytes, total: got.total, nature: n, invalid: n.looks.includes('text') && n.looks[0] !== 'hex' && n.looks[0] !== 'image' ? invalidAt(bytes) : -1 })
      } catch (e) {
        if (!abort.signal.aborted) {
          setLoaded(undefined)
          setProblem(message(e))
        }
      }
    })()
    return () => abort.abort()
  }, [x.id, side, decoded, whole, grown, x.state])

  if (problem) {
    return (
      <>
        <div class="tools">{lead}</div>
        <div class="empty">
          <p>{problem}</p>
          {decoded && info.encoding !== '' && <button type="button" class="button" onClick={() => setDecoded(false)}>Show it as transferred</button>}
        </div>
      </>
    )
  }
  if (!loaded || loaded.bytes.length === 0) {
    const text = !loaded ? (progress >= 0 ? `Loading … ${size(progress)}` : 'Loading …') : x.state === 'open' ? 'No bytes of it have come yet.' : `The ${side} has no body.`
    return <><div class="tools">{lead}</div><p class="empty">{text}</p></>
  }

  const partial = loaded.total < 0 || loaded.bytes.length < loaded.total
  const looks = loaded.nature.looks
  const look = chosen && looks.includes(chosen) ? chosen : looks[0]!
  const name = fileName(x, side)
  return (
    <div class="body">
      <div class="tools">
        {lead}
        <div class="choice" role="group" aria-label="View">
          {looks.map((l) => <button key={l} type="button" aria-pressed={l === look} onClick={() => setChosen(l)}>{lookName[l]}</button>)}
        </div>
        {info.encoding !== '' && (
          <label class="check"><input type="checkbox" checked={decoded} onChange={(e) => setDecoded(e.currentTarget.checked)} /> decode {info.encoding}</label>
        )}
        <span class="grow" />
        <span class="dim">{loaded.total >= 0 ? size(loaded.total) : `over ${size(automatic)}`}{info.encoding !== '' && decoded && loaded.total !== info.size ? `, ${size(info.size)} on the wire` : ''}</span>
        {look !== 'image' && look !== 'hex' && !partial && (
          <button type="button" class="tool" aria-label="Copy the body" title="Copy the body" onClick={() => void app.copyText(new TextDecoder().decode(loaded.bytes), 'Body')}><Copy /></button>
        )}
        <a class="tool" href={api.bodyPath(x.id, side, decoded && info.encoding !== '')} download={name} aria-label="Save the body" title="Save the body"><Download /></a>
      </div>
      {info.truncated && <p class="note warn">This body is not complete: {x.error ? x.error.message : `eaves keeps no more than ${size(x.response?.content.size ?? loaded.total)} of a body`}.</p>}
      {loaded.invalid >= 0 && look !== 'hex' && look !== 'image' && (
        <p class="note warn">At byte {count(loaded.invalid)} this is not UTF-8; such bytes show as �. The hex view has them all.</p>
      )}
      {partial && (look !== 'hex' || loaded.total < 0) && (
        <p class="note">
          This is the first {size(loaded.bytes.length)} of {loaded.total >= 0 ? size(loaded.total) : 'a long body'}.{' '}
          {progress >= 0 ? <span>Loading … {size(progress)}</span>
            : loaded.total <= most && !whole && <button type="button" class="link" onClick={() => setWhole(true)}>Load {loaded.total >= 0 ? `all ${size(loaded.total)}` : `up to ${size(most)}`}</button>}
        </p>
      )}
      <View x={x} side={side} loaded={loaded} look={look} partial={partial} decoded={decoded && info.encoding !== ''} type={info.type} />
    </div>
  )
}

interface ViewProps {
  x: Exchange
  side: Side
  loaded: Loaded
  look: Look
  partial: boolean
  decoded: boolean
  type: string
}

function View({ x, side, loaded, look, partial, decoded, type }: ViewProps) {
  const label = `Body of the ${side}`
  switch (look) {
    case 'image': return <Image bytes={loaded.bytes} type={loaded.nature.image} />
    case 'form': return <Form text={new TextDecoder().decode(loaded.bytes)} />
    case 'parts': return <Parts bytes={loaded.bytes} type={type} />
    case 'hex': return <HexBody x={x} side={side} decoded={decoded} loaded={loaded} label={label} />
    case 'json':
    case 'xml':
      // A piece of a document is no document: it is laid out once it is whole.
      return <Scan bytes={loaded.bytes} kind={partial ? 'text' : look} colour={look === 'xml' ? 'markup' : partial ? 'none' : 'json'} label={label} />
    case 'html': return <Scan bytes={loaded.bytes} kind="text" colour="markup" label={label} />
    case 'text': return <Scan bytes={loaded.bytes} kind="text" colour="none" label={label} />
  }
}

function HexBody({ x, side, decoded, loaded, label }: { x: Exchange; side: Side; decoded: boolean; loaded: Loaded; label: string }) {
  const abort = useMemo(() => new AbortController(), [x.id, side, decoded])
  useEffect(() => () => abort.abort(), [abort])
  const total = loaded.total >= 0 ? loaded.total : loaded.bytes.length
  const source = useMemo(() => new Source(api.bodyPath(x.id, side, decoded), total, abort.signal), [abort, total])
  return <Hex source={source} label={`${label}, bytes`} />
}

/** Scan lays bytes out and shows them. It works on a copy, since a worker takes what it is given. */
export function Scan({ bytes, kind, colour, label }: { bytes: Uint8Array<ArrayBuffer>; kind: Scanner; colour: 'json' | 'markup' | 'none'; label: string }) {
  const [result, setResult] = useState<{ bytes: Uint8Array; lines: Lines; kind: Scanner } | undefined>(undefined)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const abort = new AbortController()
    scanned(kind, bytes.slice(), abort.signal).then(
      (r) => { if (!abort.signal.aborted) setResult({ ...r, kind }) },
      (e) => { if (!abort.signal.aborted) setProblem(message(e)) },
    )
    return () => abort.abort()
  }, [bytes, kind])
  if (problem) return <p class="note warn">{problem}</p>
  if (!result) return <p class="empty">Laying out …</p>
  return <Code bytes={result.bytes} lines={result.lines} kind={result.kind} colour={colour} label={label} />
}

/** fileName suggests a name to save a body as: never one with a path or a character that hides. */
function fileName(x: Exchange, side: Side): string {
  const path = parts(x.request.url).path.split(/[?#]/)[0]!
  const last = path.slice(path.lastIndexOf('/') + 1).replace(/[^\w.-]+/g, '_').replace(/^\.+/, '')
  return side === 'response' && last ? last.slice(-80) : `exchange-${x.id}-${side}.body`
}
