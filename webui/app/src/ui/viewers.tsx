// Viewers that few bodies need, loaded when one does: what is laid out, decoded, or shown as what it is.

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { mostConverted, mostScript, type Conversion } from '../lib/convert.ts'
import { count, size } from '../lib/format.ts'
import { operations } from '../lib/graphql.ts'
import type { Readable } from '../lib/jobs.ts'
import { tokens } from '../lib/jwt.ts'
import { Mistake, parseProto, typesOf, type Schema } from '../lib/proto.ts'
import { converted } from '../lib/scan.ts'
import { message } from '../model/console.ts'
import { Scan, type SpecialProps } from './Body.tsx'
import { Code } from './Code.tsx'
import { Text } from './Text.tsx'
import { Tokens } from './Tokens.tsx'

export function Viewer(p: SpecialProps) {
  const type = p.header('content-type')
  if (p.partial && p.look !== 'token') return <p class="empty">This view needs the whole body; the text and hex views show what is here.</p>
  switch (p.look) {
    case 'formatted': {
      const style = /css/.test(type)
      if (p.bytes.length > mostScript) return <TooLong most={mostScript} n={p.bytes.length} />
      return <Made {...p} conversion={{ to: style ? 'style' : 'script' }} />
    }
    case 'messagepack': return <Made {...p} conversion={{ to: 'messagepack' }} />
    case 'protobuf': case 'grpc': return <Proto {...p} type={type} />
    case 'graphql': return <GraphQL text={new TextDecoder().decode(p.bytes.subarray(0, mostScript))} plain={/graphql$/.test(type.split(';')[0]!.trim())} label={p.label} />
    case 'token': return <TokenView bytes={p.bytes} />
    case 'font': return <Font bytes={p.bytes} />
    default: return null
  }
}

function TooLong({ most, n }: { most: number; n: number }) {
  return <p class="empty">This view takes up to {size(most)}, and this body has {size(n)}; the text and hex views show it whole.</p>
}

/** Made shows what the worker makes of a body. */
function Made({ bytes, conversion, label, finding, onClose }: SpecialProps & { conversion: Conversion }) {
  const [made, setMade] = useState<Readable | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const key = JSON.stringify(conversion)
  const long = bytes.length > mostConverted
  useEffect(() => {
    if (long) return
    const abort = new AbortController()
    setProblem('')
    converted(conversion, bytes.slice(), abort.signal).then(
      (r) => { if (!abort.signal.aborted) setMade(r) },
      (e) => { if (!abort.signal.aborted) setProblem(message(e)) },
    )
    return () => abort.abort()
  }, [bytes, key])
  if (long) return <TooLong most={mostConverted} n={bytes.length} />
  if (problem) return <p class="note warn">{problem}</p>
  if (!made) return <p class="empty">Working …</p>
  return (
    <>
      {made.broken && <p class="note warn">At byte {count(made.broken.at)} this cannot be read on: {made.broken.message}. What came before is shown.</p>}
      {made.cut && <p class="note">There is more in this than is shown; the hex view has all.</p>}
      <Code bytes={made.bytes} lines={made.lines} kind={made.kind} colour={made.kind === 'json' ? 'json' : 'none'} label={label} finding={finding} onClose={onClose} />
    </>
  )
}

// The schema is the user's, not the capture's: it is kept where the page's other choices are.
const kept = 'eaves.proto'
const keptTypes = 'eaves.proto.types'
const longestSchema = 2 << 20

function recall(key: string): string {
  try {
    return localStorage.getItem(key) ?? ''
  } catch {
    return ''
  }
}

function keep(key: string, text: string): string {
  try {
    localStorage.setItem(key, text)
    return ''
  } catch {
    return 'The browser keeps nothing: this schema is gone when the page is.'
  }
}

function recallTypes(): Record<string, string> {
  try {
    const v = JSON.parse(recall(keptTypes) || '{}') as unknown
    return typeof v === 'object' && v !== null ? v as Record<string, string> : {}
  } catch {
    return {}
  }
}

/** Proto decodes Protocol Buffers, alone or in gRPC's frames, with a schema if there is one. */
function Proto(p: SpecialProps & { type: string }) {
  const [proto, setProto] = useState(() => recall(kept))
  const [note, setNote] = useState('')
  const parsed = useMemo((): { schema?: Schema; problem?: string } => {
    if (proto.trim() === '') return {}
    try {
      return { schema: parseProto(proto) }
    } catch (e) {
      return { problem: e instanceof Mistake ? `Line ${e.line}: ${e.message}` : message(e) }
    }
  }, [proto])
  const method = p.path.split('?')[0]!.replace(/^\//, '')
  const place = `${p.side} ${method}`
  const [types, setTypes] = useState(recallTypes)
  const called = parsed.schema?.methods.get(method)
  const claimed = /(?:messagetype|message)\s*=\s*"?([\w.]+)/i.exec(p.type)?.[1] ?? ''
  const names = parsed.schema ? typesOf(parsed.schema) : []
  const own = Object.hasOwn(types, place) ? types[place]! : undefined
  const wanted = own ?? (p.side === 'request' ? called?.input : called?.output) ?? (names.includes(claimed) ? claimed : '')
  const type = names.includes(wanted) ? wanted : ''
  const coding = p.header('grpc-encoding') || p.header('connect-content-encoding')
  const conversion: Conversion = p.look === 'grpc'
    ? { to: 'grpc', proto: parsed.schema ? proto : '', type, coding, json: /\+json/.test(p.type), base64: /grpc-web-text/.test(p.type) }
    : { to: 'protobuf', proto: parsed.schema ? proto : '', type }
  const change = (text: string) => {
    setProto(text)
    setNote(text.length > longestSchema ? 'This schema is too long to be kept.' : keep(kept, text))
  }
  const read = async (files: FileList | null) => {
    if (!files || files.length === 0) return
    change((await Promise.all([...files].map((f) => f.text()))).join('\n'))
  }
  return (
    <>
      <div class="proto">
        <label>Message type{' '}
          <select value={type} disabled={names.length === 0} onChange={(e) => {
            const all = { ...types, [place]: e.currentTarget.value }
            setTypes(all)
            setNote(keep(keptTypes, JSON.stringify(all)))
          }}>
            <option value="">{names.length === 0 ? 'none: fields by number' : 'by number'}</option>
            {names.map((n) => <option key={n} value={n}>{n}</option>)}
          </select>
        </label>
        <details>
          <summary>{proto.trim() === '' ? 'Add a .proto schema' : `Schema: ${count(names.length)} messages`}</summary>
          <label>The text of .proto files, one after the other. It stays in this browser.
            <textarea rows={5} spellcheck={false} value={proto} onInput={(e) => change(e.currentTarget.value)} />
          </label>
          <label class="file">or from files <input type="file" multiple accept=".proto,text/plain" onChange={(e) => void read(e.currentTarget.files)} /></label>
        </details>
        {parsed.problem && <p class="problem" role="alert"><Text text={parsed.problem} lineBreaks={false} /></p>}
        {note && <p class="dim">{note}</p>}
        {parsed.schema && parsed.schema.missing.length > 0 && <p class="dim">Not defined here, shown by number: <Text text={parsed.schema.missing.slice(0, 20).join(', ')} /></p>}
      </div>
      <Made {...p} conversion={conversion} />
    </>
  )
}

function GraphQL({ text, plain, label }: { text: string; plain: boolean; label: string }) {
  const read = useMemo(() => {
    try {
      return { list: operations(text, plain) }
    } catch (e) {
      return { list: [], problem: message(e) }
    }
  }, [text, plain])
  if (read.list.length === 0) return <p class="empty">{read.problem ? `This is no JSON of a GraphQL request: ${read.problem}` : 'There is no query in this.'}</p>
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      {read.list.map((o, i) => (
        <section key={i}>
          <h3>{o.name ? <>Operation <Text text={o.name} /></> : 'Operation without a name'}</h3>
          <Pre text={o.query} />
          {o.variables && <><h4>Variables</h4><Pre text={o.variables} /></>}
          {o.extensions && <><h4>Extensions</h4><Pre text={o.extensions} /></>}
        </section>
      ))}
    </div>
  )
}

const shown = 200_000

function Pre({ text }: { text: string }): ComponentChildren {
  // A short text is shown as it is, a long one by the lines that are on the screen.
  const bytes = useMemo(() => new TextEncoder().encode(text), [text])
  if (text.length > shown) return <div class="inset tall"><Scan bytes={bytes} kind="text" colour="none" label="Query" /></div>
  return <pre class="plain open"><Text text={text} lineBreaks={false} /></pre>
}

function TokenView({ bytes }: { bytes: Uint8Array }) {
  const found = useMemo(() => tokens(new TextDecoder().decode(bytes.subarray(0, 256 << 10))), [bytes])
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Tokens in the body">
      {found.length === 0 ? <p class="empty">There is no token in this.</p> : <Tokens tokens={found} />}
    </div>
  )
}

const sample = ['The quick brown fox jumps over the lazy dog', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz', '0123456789 .,:;!?()[]{} @#$%&*+-=/ äöüß éèñ çøå', 'Ελληνικά Русский 日本語 العربية']
const sizes = [14, 20, 32, 48]

/** Font shows text in a font; the browser checks its tables before it uses them. */
function Font({ bytes }: { bytes: Uint8Array<ArrayBuffer> }) {
  const [family, setFamily] = useState('')
  const [text, setText] = useState(sample[0]!)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const name = `captured-${crypto.randomUUID()}`
    const face = new FontFace(name, bytes.slice().buffer)
    let gone = false
    setProblem('')
    face.load().then((f) => {
      if (gone) return
      document.fonts.add(f)
      setFamily(name)
    }, () => setProblem('The browser does not take this font; the hex view has its bytes.'))
    return () => {
      gone = true
      document.fonts.delete(face)
    }
  }, [bytes])
  if (problem) return <p class="empty">{problem}</p>
  if (!family) return <p class="empty">Loading …</p>
  const style = (px: number) => ({ fontFamily: `"${family}"`, fontSize: `${px}px` })
  return (
    <div class="scroll font" tabIndex={0} role="region" aria-label="Text in this font">
      <label>Sample <input type="text" class="text-input" value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
      {sizes.map((px) => <p key={px} style={style(px)}>{text}</p>)}
      {sample.slice(1).map((s) => <p key={s} style={style(20)}>{s}</p>)}
    </div>
  )
}
