import { useState } from 'preact/hooks'
import type { ByteSource } from '../lib/find.ts'
import { Find, type Hit } from './Find.tsx'
import { VirtualRows } from './VirtualRows.tsx'

export { inMemory } from '../lib/find.ts'

interface Props {
  source: ByteSource
  label: string
  finding?: boolean
  onClose?: () => void
}

/** Hex shows bytes, sixteen (or eight, where there is little room) in a row. */
export function Hex({ source, label, finding = false, onClose }: Props) {
  const [columns, setColumns] = useState(80)
  const [, arrived] = useState(0)
  const [hit, setHit] = useState<Hit | undefined>(undefined)
  const [reveal, setReveal] = useState<{ row: number } | undefined>(undefined)
  const per = columns >= 76 ? 16 : 8
  const rows = Math.ceil(source.total / per)
  const found = (h: Hit | undefined) => {
    setHit(h)
    if (h) setReveal({ row: Math.floor(h.at / per) })
  }
  return (
    <>
      {finding && onClose && <Find source={source} bytes onFound={found} onClose={() => { setHit(undefined); onClose() }} />}
      <VirtualRows rows={rows} rowHeight={18} label={label} class="code hex" onColumns={setColumns} reveal={reveal}>
        {(first, last) => {
          const missing = source.total > 0 && !source.now(first * per, (last - first) * per)
          if (missing) void source.load(first * per, (last - first) * per).then(() => arrived((n) => n + 1), () => {})
          return Array.from({ length: last - first }, (_, i) => {
            const offset = (first + i) * per
            const b = source.now(offset, Math.min(per, source.total - offset))
            return (
              <div key={first + i} class="line">
                <span class="number">{offset.toString(16).padStart(8, '0')}</span>
                <span class="text">{!b ? 'loading …' : hit && hit.at < offset + per && hit.at + hit.length > offset ? marked(b, per, hit.at - offset, hit.length) : dump(b, 0, per).join(' ')}</span>
              </div>
            )
          })
        }}
      </VirtualRows>
    </>
  )
}

/** dump writes bytes from up to to of a row: in hexadecimal, and as characters. */
function dump(b: Uint8Array, from: number, to: number): [hex: string, text: string] {
  let hex = ''
  let text = ''
  for (let i = from; i < to; i++) {
    if (i > 0 && i % 8 === 0) hex += ' '
    const c = b[i]
    hex += c === undefined ? '   ' : c.toString(16).padStart(2, '0') + ' '
    text += c === undefined ? '' : c >= 32 && c < 127 ? String.fromCharCode(c) : '·'
  }
  return [hex, text]
}

/** marked is a row with what was found in it marked. */
function marked(b: Uint8Array, per: number, at: number, length: number) {
  const from = Math.max(0, at)
  const to = Math.min(per, at + length)
  const [before, beforeText] = dump(b, 0, from)
  const [hit, hitText] = dump(b, from, to)
  const [after, afterText] = dump(b, to, per)
  return <>{before}<mark>{hit}</mark>{after} {beforeText}<mark>{hitText}</mark>{afterText}</>
}
