import { useState } from 'preact/hooks'
import { VirtualRows } from './VirtualRows.tsx'

/** What bytes come from: some that are here, or a body that is read as it is scrolled. */
export interface ByteSource {
  total: number
  now(offset: number, length: number): Uint8Array | undefined
  load(offset: number, length: number): Promise<void>
}

export function inMemory(bytes: Uint8Array): ByteSource {
  return { total: bytes.length, now: (o, n) => bytes.subarray(o, o + n), load: () => Promise.resolve() }
}

/** Hex shows bytes, sixteen (or eight, where there is little room) in a row. */
export function Hex({ source, label }: { source: ByteSource; label: string }) {
  const [columns, setColumns] = useState(80)
  const [, arrived] = useState(0)
  const per = columns >= 76 ? 16 : 8
  const rows = Math.ceil(source.total / per)
  return (
    <VirtualRows rows={rows} rowHeight={18} label={label} class="code hex" onColumns={setColumns}>
      {(first, last) => {
        const missing = source.total > 0 && !source.now(first * per, (last - first) * per)
        if (missing) void source.load(first * per, (last - first) * per).then(() => arrived((n) => n + 1), () => {})
        return Array.from({ length: last - first }, (_, i) => {
          const offset = (first + i) * per
          const b = source.now(offset, Math.min(per, source.total - offset))
          return (
            <div key={first + i} class="line">
              <span class="number">{offset.toString(16).padStart(8, '0')}</span>
              <span class="text">{b ? dump(b, per) : 'loading …'}</span>
            </div>
          )
        })
      }}
    </VirtualRows>
  )
}

function dump(b: Uint8Array, per: number): string {
  let hex = ''
  let text = ''
  for (let i = 0; i < per; i++) {
    if (i > 0 && i % 8 === 0) hex += ' '
    const c = b[i]
    hex += c === undefined ? '   ' : c.toString(16).padStart(2, '0') + ' '
    text += c === undefined ? '' : c >= 32 && c < 127 ? String.fromCharCode(c) : '·'
  }
  return `${hex} ${text}`
}
