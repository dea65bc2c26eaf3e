// Header fields to edit: one a row, in the order in which they are sent.

import { useId, useMemo } from 'preact/hooks'
import { requestHeaders, usualValues } from '../lib/headernames.ts'
import { moved } from '../lib/params.ts'
import { Cross, Down, Plus, Up } from './icons.tsx'

/** A field that is edited. One that is off is not sent. */
export interface HeaderRow {
  name: string
  value: string
  raw?: string | undefined
  on: boolean
}

export function HeaderTable({ rows, seen, onChange }: { rows: readonly HeaderRow[]; seen: readonly string[]; onChange: (rows: HeaderRow[]) => void }) {
  const names = useId()
  const change = (at: number, part: Partial<HeaderRow>) => onChange(rows.map((r, i) => (i === at ? { ...r, ...part, ...('value' in part || 'name' in part ? { raw: undefined } : {}) } : r)))
  // Names that were seen come first; those that differ in case only are one.
  const known = useMemo(() => {
    const all = [...seen, ...requestHeaders]
    const lower = all.map((n) => n.toLowerCase())
    return all.filter((_, i) => lower.indexOf(lower[i]!) === i)
  }, [seen])
  return (
    <div class="rows" role="group" aria-label="Headers">
      <datalist id={names}>{known.map((n) => <option key={n} value={n} />)}</datalist>
      {rows.map((r, i) => {
        const values = usualValues(r.name)
        const named = r.name || `field ${i + 1}`
        return (
          <div key={i} class={`edit-row ${r.on ? '' : 'off'}`} role="group" aria-label={named}>
            <input type="checkbox" checked={r.on} aria-label={`Send ${named}`} title="Send it" onChange={(e) => change(i, { on: e.currentTarget.checked })} />
            <input class="edit-name" type="text" list={names} value={r.name} placeholder="Name" aria-label={`Name of ${named}`} spellcheck={false} autocapitalize="off" autocomplete="off" onInput={(e) => change(i, { name: e.currentTarget.value })} />
            <input class="edit-value" type="text" {...(values.length > 0 ? { list: `${names}-${i}` } : {})} value={r.value} placeholder="Value" aria-label={`Value of ${named}`} spellcheck={false} autocapitalize="off" autocomplete="off"
              onInput={(e) => change(i, { value: e.currentTarget.value })} />
            {values.length > 0 && <datalist id={`${names}-${i}`}>{values.map((v) => <option key={v} value={v} />)}</datalist>}
            <RowTools named={named} first={i === 0} last={i === rows.length - 1} onMove={(by) => onChange(moved(rows, i, by))} onRemove={() => onChange(rows.filter((_, j) => j !== i))} />
          </div>
        )
      })}
      <button type="button" class="link add-row" onClick={() => onChange([...rows, { name: '', value: '', on: true }])}><Plus /> Add a header</button>
    </div>
  )
}

/** RowTools move a row, or take it away. */
export function RowTools({ named, first, last, onMove, onRemove }: { named: string; first: boolean; last: boolean; onMove: (by: number) => void; onRemove: () => void }) {
  return (
    <span class="row-tools">
      <button type="button" class="tool small" aria-label={`Move ${named} up`} title="Up" disabled={first} onClick={() => onMove(-1)}><Up /></button>
      <button type="button" class="tool small" aria-label={`Move ${named} down`} title="Down" disabled={last} onClick={() => onMove(1)}><Down /></button>
      <button type="button" class="tool small" aria-label={`Remove ${named}`} title="Remove" onClick={onRemove}><Cross /></button>
    </span>
  )
}
