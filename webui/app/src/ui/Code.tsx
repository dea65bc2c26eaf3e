// Shows the lines of a body: JSON and XML laid out and foldable, any text broken to the pane's width.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { inMemory } from '../lib/find.ts'
import { layout, lineAt, rowAt, whole, width, type Lines, type Scanner } from '../lib/lines.ts'
import { count } from '../lib/format.ts'
import { pieces } from '../lib/visible.ts'
import { Find, type Hit } from './Find.tsx'
import { Chevron } from './icons.tsx'
import { VirtualRows } from './VirtualRows.tsx'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

interface Props {
  bytes: Uint8Array
  lines: Lines
  kind: Scanner
  /** What tags and strings are coloured as; text is left plain. */
  colour: 'json' | 'markup' | 'none'
  label: string
  /** The bytes are only the beginning: that they end early is no flaw. */
  partial?: boolean
  finding?: boolean
  onClose?: (() => void) | undefined
}

export function Code({ bytes, lines, kind, colour, label, partial = false, finding = false, onClose }: Props) {
  const [columns, setColumns] = useState(100)
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set())
  const [hit, setHit] = useState<Hit | undefined>(undefined)
  useEffect(() => { setFolded(new Set()); setHit(undefined) }, [lines])
  const source = useMemo(() => inMemory(bytes), [bytes])
  const shape = useMemo(() => layout(lines, columns, folded), [lines, columns, folded])
  const foldable = kind !== 'text'
  const found = useMemo(() => (hit ? rowAt(lines, shape, columns, hit.at) : -1), [hit, shape])
  const reveal = useMemo(() => (found >= 0 ? { row: found } : undefined), [hit, found])

  const toggle = (line: number) => {
    const next = new Set(folded)
    if (!next.delete(line)) next.add(line)
    setFolded(next)
  }

  const canFold = useMemo(() => foldable && lines.close.some((c, i) => c > 0 && lines.depth[i]! > 0), [lines, foldable])
  /** foldAll leaves the outermost container open. */
  const foldAll = () => {
    const all = new Set<number>()
    for (let i = 0; i < lines.count; i++) if (lines.close[i]! > 0 && lines.depth[i] === 1) all.add(i)
    setFolded(all)
  }
  const show = (h: Hit | undefined) => {
    // What is found is shown, also where it was folded away.
    if (h && folded.size > 0 && [...folded].some((l) => l < lineAt(lines, h.at) && lines.close[l]! >= lineAt(lines, h.at))) setFolded(new Set())
    setHit(h)
  }

  // One of the buttons takes the focus; from it, arrows lead to the others and open and close.
  const steer = (e: KeyboardEvent, line: number, shut: boolean) => {
    const buttons = [...document.querySelectorAll<HTMLElement>('.code .fold button')]
    const at = buttons.indexOf(e.currentTarget as HTMLElement)
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') buttons[at + (e.key === 'ArrowDown' ? 1 : -1)]?.focus()
    else if (e.key === 'ArrowLeft' && !shut || e.key === 'ArrowRight' && shut) toggle(line)
    else return
    e.preventDefault()
    e.stopPropagation()
  }

  const draw = (r: number, lead: boolean) => {
    const line = shape.line[r]!
    const part = shape.part[r]!
    const opens = lines.close[line]! > 0
    const shut = opens && folded.has(line)
    return (
      <div key={r} class={r === found ? 'line found' : 'line'}>
        <span class="number" aria-hidden="true">{part === 0 ? count(line + 1) : ''}</span>
        {foldable && (
          <span class="fold">
            {opens && part === 0 && (
              <button
                type="button" tabIndex={lead ? 0 : -1} aria-expanded={!shut} aria-label={shut ? 'Unfold' : 'Fold'} title="← → fold and unfold, ↑ ↓ go on"
                onClick={() => toggle(line)} onKeyDown={(e) => steer(e, line, shut)}
              ><Chevron open={!shut} /></button>
            )}
          </span>
        )}
        <span class="text" style={lines.depth[line]! > 0 ? { paddingLeft: `${Math.min(lines.depth[line]! * 2, Math.max(columns - 24, 0))}ch` } : undefined}>
          {chunk(bytes, lines, line, part, columns, colour)}
          {shut && <Folded bytes={bytes} lines={lines} line={line} kind={kind} onClick={() => toggle(line)} />}
        </span>
      </div>
    )
  }

  return (
    <>
      {finding && onClose && <Find source={source} onFound={show} onClose={() => { setHit(undefined); onClose() }} />}
      {lines.broken && !(partial && lines.broken.early) && (
        <p class="note warn">At byte {count(lines.broken.at)} this stops being {kind.toUpperCase()}: {lines.broken.message}. What follows is shown as it is.</p>
      )}
      {lines.cut && <p class="note">Only the first {count(lines.count)} lines are laid out; the text view reads on.</p>}
      <div class="code-box">
        <VirtualRows
          reveal={reveal} rows={shape.rows} rowHeight={18} label={label} class={`code ${foldable ? 'foldable' : ''}`}
          onColumns={(n) => setColumns(Math.max(24, n))}
        >
          {(first, last) => {
            const lead = leading(lines, shape.line, shape.part, first, last)
            return Array.from({ length: last - first }, (_, i) => draw(first + i, first + i === lead))
          }}
        </VirtualRows>
        {canFold && (
          <p class="folding">
            <button type="button" class="link" onClick={foldAll}>Fold all</button>
            <button type="button" class="link" disabled={folded.size === 0} onClick={() => setFolded(new Set())}>Unfold all</button>
          </p>
        )}
      </div>
    </>
  )
}

function Folded({ bytes, lines, line, kind, onClick }: { bytes: Uint8Array; lines: Lines; line: number; kind: Scanner; onClick: () => void }) {
  const close = lines.close[line]!
  let inside = 0
  for (let i = line + 1; i < close && inside < 10000; i++) if (lines.depth[i] === lines.depth[line]! + 1 && (kind !== 'json' || !closes(bytes, lines, i))) inside++
  const end = close < lines.count ? decoder.decode(bytes.subarray(lines.starts[close]!, Math.min(lines.ends[close]!, lines.starts[close]! + 60))) : ''
  return <button type="button" class="folded" tabIndex={-1} onClick={onClick} aria-label="Unfold">… {inside >= 10000 ? 'many' : count(inside)} … {end}</button>
}

/** leading is the first of some rows that begins a container. */
function leading(lines: Lines, line: Uint32Array, part: Uint32Array, first: number, last: number): number {
  for (let r = first; r < last; r++) if (part[r] === 0 && lines.close[line[r]!]! > 0) return r
  return -1
}

function closes(bytes: Uint8Array, lines: Lines, i: number): boolean {
  const c = bytes[lines.starts[i]!]
  return (c === 125 || c === 93) && lines.ends[i]! - lines.starts[i]! === 1
}

/** chunk is the part of a line that one row shows. The row's text is name, colon and value in one run of bytes. */
function chunk(bytes: Uint8Array, lines: Lines, line: number, part: number, columns: number, colour: Props['colour']) {
  const wide = width(columns, lines.depth[line]!)
  const key = lines.keys[line]!
  const keyEnd = lines.keyEnds[line]!
  const start = lines.starts[line]!
  const end = lines.ends[line]!
  const name = keyEnd > 0 ? keyEnd - key + 2 : 0
  const from = part * wide
  const to = from + wide
  const out = []
  if (from < name) {
    const cut = decoder.decode(bytes.subarray(whole(bytes, key + from, keyEnd), whole(bytes, Math.min(key + to, keyEnd), keyEnd)))
    out.push(<span class="k">{plain(cut)}</span>)
    if (to >= name - 1) out.push(': ')
  }
  if (to > name) {
    const a = whole(bytes, start + Math.max(from - name, 0), end)
    const b = whole(bytes, Math.min(start + to - name, end), end)
    const text = decoder.decode(bytes.subarray(a, b))
    out.push(colour === 'json' ? <span class={scalar(bytes[start]!)}>{plain(text)}</span> : colour === 'markup' ? markup(text) : plain(text))
    if (b >= end && lines.comma[line]) out.push(',')
  }
  return out
}

function scalar(c: number): string {
  if (c === 34) return 's'
  if (c === 116 || c === 102 || c === 110) return 'b'
  if (c === 45 || (c >= 48 && c <= 57)) return 'n'
  return ''
}

function plain(text: string) {
  const p = pieces(text)
  return p.length === 1 && !p[0]!.special ? text : p.map((x) => (x.special ? <span class="special">{x.text}</span> : x.text))
}

/** markup colours tags, names and values within one row. */
function markup(text: string) {
  const out = []
  const pattern = /(<!--.*?(?:-->|$))|(<[/?!]?[\w:.-]+|[/?]?>)|([\w:.-]+)(=)("[^"]*"?|'[^']*'?)/g
  let at = 0
  for (const m of text.matchAll(pattern)) {
    if (m.index > at) out.push(plain(text.slice(at, m.index)))
    if (m[1]) out.push(<span class="c">{plain(m[1])}</span>)
    else if (m[2]) out.push(<span class="t">{plain(m[2])}</span>)
    else out.push(<span class="k">{plain(m[3]!)}</span>, m[4], <span class="s">{plain(m[5]!)}</span>)
    at = m.index + m[0].length
  }
  if (at < text.length) out.push(plain(text.slice(at)))
  return out
}
