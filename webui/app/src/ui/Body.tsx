// A body, looked at in the way that suits it. Up to a few megabytes are loaded and laid out at once; of a larger one the
// beginning is shown while a worker reads the rest.

import type { ComponentChildren, FunctionComponent } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Exchange, Side } from '../api/types.ts'
import { invalidAt, lookName, nature, toUTF8, type Look } from '../lib/content.ts'
import { count, size } from '../lib/format.ts'
import { inMemory } from '../lib/find.ts'
import type { Loaded } from '../lib/jobs.ts'
import type { Lines, Scanner } from '../lib/lines.ts'
import { loaded as load, scanned } from '../lib/scan.ts'
import { automatic, most, piece, Source } from '../lib/source.ts'
import { parts } from '../lib/url.ts'
import { message } from '../model/console.ts'
import { Code } from './Code.tsx'
import { useConsole } from './context.ts'
import { Form, Image, Media, Parts, PDF, Preview } from './bodies.tsx'
import { Hex } from './Hex.tsx'
import { Copy, Download, Search } from './icons.tsx'

/** How many times its size a body is expected to grow to when it is decoded: beyond that, only who asks gets it. */
const plausible = 40
/** More is not put onto the clipboard. */
const mostCopied = 16 << 20

export function bodyInfo(x: Exchange, side: Side) {
  const head = side === 'request' ? x.request : x.response
  const header = (name: string) => head?.headers?.filter((f) => f.name.toLowerCase() === name).map((f) => f.value).join(', ') ?? ''
  return {
    size: head?.bodySize ?? -1,
    truncated: head?.truncated ?? false,
    type: side === 'response' ? header('content-type') || x.response?.content.mimeType || '' : header('content-type'),
    encoding: header('content-encoding').replace(/^identity$/i, ''),
    header,
  }
}

/** useBody loads a body: its beginning at once, the rest by and by. */
function useBody(x: Exchange, side: Side, decoded: boolean, whole: boolean) {
  const info = bodyInfo(x, side)
  const [loaded, setLoaded] = useState<Loaded | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const [progress, setProgress] = useState(-1)
  // A body that is still coming is read anew as it grows: a short one each time, a longer one when it is longer by a tenth.
  const grown = x.state !== 'open' ? -1 : info.size < 256 << 10 ? info.size : Math.floor(Math.log2(Math.min(info.size, automatic)) * 8)

  useEffect(() => {
    const abort = new AbortController()
    const undo = decoded && info.encoding !== ''
    setProblem('')
    setProgress(-1)
    void (async () => {
      try {
        const first = await api.bodyRange(x.id, side, undo, 0, !undo && info.size > automatic ? piece : automatic, abort.signal)
        const long = first.total < 0 || first.total > automatic
        const bytes = long ? first.bytes.slice(0, piece) : first.bytes
        const n = nature(info.type, bytes.subarray(0, 8192))
        const text = n.text ? toUTF8(bytes, n.charset) : bytes
        setLoaded({ bytes: text, total: first.total, nature: n, transcoded: text !== bytes, broken: first.broken, invalid: n.text ? invalidAt(text) : -1 })
        const limit = whole || first.total >= 0 ? most : Math.min(most, info.size * plausible)
        // What plays or is read by ranges is not held here.
        const streamed = !n.text && ['hex', 'media', 'pdf'].includes(n.looks[0]!)
        if (!long || x.state === 'open' || limit <= automatic || (first.total > most || streamed) && !whole) return
        setProgress(0)
        const all = await load(api.bodyPath(x.id, side, undo), limit, info.type, abort.signal, setProgress)
        if (!abort.signal.aborted) {
          setLoaded(all)
          setProgress(-1)
        }
      } catch (e) {
        if (abort.signal.aborted) return
        setLoaded(undefined)
        setProblem(message(e))
      }
    })()
    return () => abort.abort()
  }, [x.id, side, decoded, whole, grown, x.state])
  return { info, loaded, problem, progress }
}

export function Body({ x, side, lead }: { x: Exchange; side: Side; lead: ComponentChildren }) {
  const app = useConsole()
  const [decoded, setDecoded] = useState(true)
  const [chosen, setChosen] = useState<Look | undefined>(undefined)
  const [whole, setWhole] = useState(false)
  const [finding, setFinding] = useState(false)
  const { info, loaded, problem, progress } = useBody(x, side, decoded, whole)

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
    const text = !loaded ? 'Loading …' : loaded.broken ? '' : x.state === 'open' ? 'No bytes of it have come yet.' : `The ${side} has no body.`
    return <><div class="tools">{lead}</div>{loaded?.broken && <p class="note warn">{sentence(loaded.broken)}</p>}<p class="empty">{text}</p></>
  }

  const undone = decoded && info.encoding !== ''
  const partial = loaded.total < 0 || !loaded.transcoded && loaded.bytes.length < loaded.total || loaded.transcoded && progress >= 0
  const looks = loaded.nature.looks
  const look = chosen && looks.includes(chosen) ? chosen : looks[0]!
  const textual = look !== 'image' && look !== 'hex' && loaded.nature.text
  return (
    <div
      class="body"
      onKeyDown={(e) => {
        if (!(e.ctrlKey || e.metaKey) || e.key !== 'f' || !searchable(look)) return
        e.preventDefault()
        setFinding(true)
      }}
    >
      <div class="tools">
        {lead}
        <div class="choice" role="group" aria-label="View">
          {looks.map((l) => <button key={l} type="button" aria-pressed={l === look} onClick={() => setChosen(l)}>{lookName[l]}</button>)}
        </div>
        {info.encoding !== '' && (
          <label class="check"><input type="checkbox" checked={decoded} onChange={(e) => setDecoded(e.currentTarget.checked)} /> decode {info.encoding}</label>
        )}
        <span class="grow" />
        <span class="dim">{loaded.total >= 0 ? size(loaded.total) : `over ${size(automatic)}`}{undone && loaded.total !== info.size ? `, ${size(info.size)} on the wire` : ''}</span>
        {searchable(look) && (
          <button type="button" class="tool find-button" aria-label="Find in the body" title="Find in the body (Ctrl+F, F)" aria-pressed={finding} onClick={() => setFinding(!finding)}><Search /></button>
        )}
        {textual && !partial && loaded.bytes.length <= mostCopied && (
          <button type="button" class="tool" aria-label="Copy the body" title="Copy the body" onClick={() => void app.copyText(new TextDecoder().decode(loaded.bytes), 'Body')}><Copy /></button>
        )}
        <a class="tool" href={api.bodyPath(x.id, side, undone)} download={fileName(x, side)} aria-label="Save the body" title="Save the body"><Download /></a>
      </div>
      {info.truncated && <p class="note warn">This body is not complete{info.size > 0 ? `: it ends after byte ${count(info.size)}` : ''}. {x.error ? x.error.message : `eaves keeps no more than ${size(x.response?.content.size ?? loaded.total)} of a body`}.</p>}
      {loaded.broken && <p class="note warn">{sentence(loaded.broken)}.</p>}
      {loaded.invalid >= 0 && textual && (
        <p class="note warn">At byte {count(loaded.invalid)} this is not UTF-8; such bytes show as �. The hex view has them all.</p>
      )}
      {partial && (look !== 'hex' || loaded.total < 0) && look !== 'media' && look !== 'pdf' && look !== 'preview' && (
        <p class="note" role="status">
          This is the first {size(loaded.bytes.length)} of {loaded.total >= 0 ? size(loaded.total) : 'a long body'}.{' '}
          {progress >= 0 ? <span>Reading the rest … {size(progress)}</span>
            : whole ? `No more than ${size(most)} of a body is shown; save it to have more.`
              : <button type="button" class="link" onClick={() => setWhole(true)}>Load {loaded.total >= 0 ? `all ${size(loaded.total)}` : `up to ${size(most)}`}</button>}
        </p>
      )}
      <View x={x} side={side} loaded={loaded} look={look} partial={partial} decoded={undone} info={info} finding={finding} onClose={() => setFinding(false)} />
    </div>
  )
}

function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

function searchable(look: Look): boolean {
  return ['json', 'xml', 'html', 'text', 'hex', 'formatted'].includes(look)
}

interface ViewProps {
  x: Exchange
  side: Side
  loaded: Loaded
  look: Look
  partial: boolean
  decoded: boolean
  info: ReturnType<typeof bodyInfo>
  finding: boolean
  onClose: () => void
}

function View({ x, side, loaded, look, partial, decoded, info, finding, onClose }: ViewProps) {
  const label = `Body of the ${side}`
  const ready = loaded.lines && loaded.kind ? { bytes: loaded.bytes, lines: loaded.lines, kind: loaded.kind } : undefined
  const text = { bytes: loaded.bytes, label, partial, finding, onClose, ...(ready ? { ready } : {}) }
  switch (look) {
    case 'image': return <Image bytes={loaded.bytes} type={loaded.nature.image} />
    case 'form': return <Form text={new TextDecoder().decode(loaded.bytes.subarray(0, 4 << 20))} />
    case 'parts': return <Parts bytes={loaded.bytes} type={info.type} />
    case 'preview': return <Preview src={api.viewPath(x.id, side, 'html')} />
    case 'pdf': return <PDF src={api.viewPath(x.id, side, 'pdf')} />
    case 'media': return <Media src={api.viewPath(x.id, side, 'media')} type={info.type} bytes={loaded.bytes} />
    case 'hex': return <HexBody x={x} side={side} decoded={decoded} loaded={loaded} partial={partial} label={label} finding={finding} onClose={onClose} />
    case 'json': return <Scan {...text} kind="json" colour="json" />
    case 'xml': return <Scan {...text} kind="xml" colour="markup" />
    case 'html': return <Scan {...text} kind="text" colour="markup" />
    case 'text': return <Scan {...text} kind="text" colour="none" />
    default: return <Special look={look} bytes={loaded.bytes} partial={partial} label={label} path={parts(x.request.url).path} side={side} header={info.header} finding={finding} onClose={onClose} />
  }
}

/** What a viewer that is loaded when it is wanted is told. */
export interface SpecialProps {
  look: Look
  bytes: Uint8Array<ArrayBuffer>
  partial: boolean
  label: string
  /** The path of the request: for gRPC, the method. */
  path: string
  side: Side
  header: (name: string) => string
  finding: boolean
  onClose: () => void
}

/** Special loads the viewers that few bodies need. */
export function Special(props: SpecialProps) {
  const [viewer, setViewer] = useState<{ View: FunctionComponent<SpecialProps> } | undefined>(undefined)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    import('./viewers.tsx').then((m) => setViewer({ View: m.Viewer }), (e) => setProblem(message(e)))
  }, [])
  if (problem) return <p class="note warn">This view could not be loaded: {problem}</p>
  if (!viewer) return <p class="empty">Loading …</p>
  return <viewer.View {...props} />
}

interface HexProps { x: Exchange; side: Side; decoded: boolean; loaded: Loaded; partial: boolean; label: string; finding: boolean; onClose: () => void }

function HexBody({ x, side, decoded, loaded, partial, label, finding, onClose }: HexProps) {
  const total = loaded.total >= 0 ? loaded.total : loaded.bytes.length
  const here = !partial && !loaded.transcoded
  const held = useMemo(() => {
    const abort = new AbortController()
    return { abort, source: here ? inMemory(loaded.bytes) : new Source(api.bodyPath(x.id, side, decoded), total, abort.signal) }
  }, [x.id, side, decoded, total, here, here && loaded.bytes])
  useEffect(() => () => held.abort.abort(), [held])
  return <Hex source={held.source} label={`${label}, bytes`} finding={finding} onClose={onClose} />
}

interface ScanProps {
  bytes: Uint8Array<ArrayBuffer>
  kind: Scanner
  colour: 'json' | 'markup' | 'none'
  label: string
  partial?: boolean
  /** Lines that were found already. */
  ready?: { bytes: Uint8Array; lines: Lines; kind: Scanner }
  finding?: boolean
  onClose?: () => void
}

/** Scan lays bytes out and shows them. It works on a copy, since a worker takes what it is given. */
export function Scan({ bytes, kind, colour, label, partial = false, ready, finding = false, onClose }: ScanProps) {
  const [result, setResult] = useState<{ bytes: Uint8Array; lines: Lines; kind: Scanner } | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const fits = ready?.kind === kind ? ready : undefined
  useEffect(() => {
    if (fits) return
    const abort = new AbortController()
    scanned(kind, bytes.slice(), abort.signal).then(
      (r) => { if (!abort.signal.aborted) setResult({ ...r, kind }) },
      (e) => { if (!abort.signal.aborted) setProblem(message(e)) },
    )
    return () => abort.abort()
  }, [bytes, kind, !fits])
  const r = fits ?? result
  if (problem) return <p class="note warn">{problem}</p>
  if (!r) return <p class="empty">Laying out …</p>
  return <Code bytes={r.bytes} lines={r.lines} kind={r.kind} colour={colour} label={label} partial={partial} finding={finding} onClose={onClose} />
}

/** fileName suggests a name to save a body as: never one with a path or a character that hides. */
function fileName(x: Exchange, side: Side): string {
  const path = parts(x.request.url).path.split(/[?#]/)[0]!
  const last = path.slice(path.lastIndexOf('/') + 1).replace(/[^\w.-]+/g, '_').replace(/^\.+/, '')
  return side === 'response' && last ? last.slice(-80) : `exchange-${x.id}-${side}.body`
}
