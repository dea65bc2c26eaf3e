import { useRef } from 'preact/hooks'
import { column, columns, move, resize, toggle, type ColumnId } from '../model/columns.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { Down, Narrower, Up, Wider } from './icons.tsx'

const step = 20

/** ColumnsDialog is where columns are chosen, ordered, resized and sorted by, with the keyboard as well as without. */
export function ColumnsDialog() {
  const app = useConsole()
  const look = app.look
  const chosen = look.columns.value
  const body = useRef<HTMLTableSectionElement>(null)
  const order: ColumnId[] = [...chosen.map((c) => c.id), ...columns.map((c) => c.id).filter((id) => !chosen.some((c) => c.id === id))]
  const widthOf = (id: ColumnId) => chosen.find((c) => c.id === id)?.width
    ?? Math.round(document.querySelector(`[data-column=${id}]`)?.getBoundingClientRect().width ?? column(id).usual)
  const shift = (id: ColumnId, by: number) => {
    look.columns.value = move(chosen, id, by)
    app.spoken.value = `${column(id).name}: place ${look.columns.value.findIndex((c) => c.id === id) + 1} of ${chosen.length}`
    // The row has moved; the focus goes with it.
    setTimeout(() => body.current?.querySelector<HTMLElement>(`tr[data-id=${id}] input`)?.focus())
  }
  const widen = (id: ColumnId, by: number) => {
    look.columns.value = resize(chosen, id, widthOf(id) + by)
    app.spoken.value = `${column(id).name}: ${look.columns.value.find((c) => c.id === id)?.width} pixels`
  }
  const onKey = (e: KeyboardEvent, id: ColumnId) => {
    if (!e.altKey || !chosen.some((c) => c.id === id)) return
    if (e.key === 'ArrowUp') shift(id, -1)
    else if (e.key === 'ArrowDown') shift(id, 1)
    else if (e.key === 'ArrowLeft') widen(id, -step)
    else if (e.key === 'ArrowRight') widen(id, step)
    else return
    e.preventDefault()
  }
  const sorting = look.sorting.value
  return (
    <Dialog title="Columns" onClose={() => (look.choosing.value = false)} class="columns-dialog">
      <div class="scrolled"><table>
        <thead><tr><th scope="col">Column</th><th scope="col">Order</th><th scope="col">Width</th><th scope="col">Sort</th></tr></thead>
        <tbody ref={body}>
          {order.map((id) => {
            const c = column(id)
            const at = chosen.findIndex((x) => x.id === id)
            const on = at >= 0
            return (
              <tr key={id} data-id={id} onKeyDown={(e) => onKey(e, id)}>
                <th scope="row"><label class="check"><input type="checkbox" checked={on} disabled={on && chosen.length === 1} onChange={() => (look.columns.value = toggle(chosen, id))} /> {c.name}</label></th>
                <td>{on && <>
                  <button type="button" class="tool small" disabled={at === 0} aria-label={`${c.name}: further left`} title="Further left (Alt+↑)" onClick={() => shift(id, -1)}><Up /></button>
                  <button type="button" class="tool small" disabled={at === chosen.length - 1} aria-label={`${c.name}: further right`} title="Further right (Alt+↓)" onClick={() => shift(id, 1)}><Down /></button>
                </>}</td>
                <td>{on && <>
                  <button type="button" class="tool small" aria-label={`${c.name}: narrower`} title="Narrower (Alt+←)" onClick={() => widen(id, -step)}><Narrower /></button>
                  <button type="button" class="tool small" aria-label={`${c.name}: wider`} title="Wider (Alt+→)" onClick={() => widen(id, step)}><Wider /></button>
                  {chosen[at]!.width !== undefined && <button type="button" class="link" onClick={() => (look.columns.value = resize(chosen, id, undefined))}>{chosen[at]!.width} px<span class="offscreen">, back to the usual width of {c.name}</span></button>}
                </>}</td>
                <td>{c.sort && (
                  <button type="button" class="link" onClick={() => look.sortBy(id)} aria-label={`Sort by ${c.name.toLowerCase()}${sorting?.column === id ? (sorting.ascending ? ', now the smallest first' : ', now the largest first') : ''}`}>
                    {sorting?.column !== id ? 'Sort' : sorting.ascending ? 'smallest first' : 'largest first'}
                  </button>
                )}</td>
              </tr>
            )
          })}
        </tbody>
      </table></div>
      <div class="offscreen" role="status">{app.spoken}</div>
      <p class="dim">Columns give way where there is no room, the least important first. With the focus in a row: Alt+↑ and Alt+↓ move it, Alt+← and Alt+→ resize it.</p>
      <footer>
        <button type="button" class="button" onClick={() => look.reset()}>As at first</button>
        <button type="button" class="button primary" onClick={() => (look.choosing.value = false)}>Done</button>
      </footer>
    </Dialog>
  )
}
