// A URL's parameters to edit, in step with the URL.

import { moveParam, params, removeParam, setParam } from '../lib/params.ts'
import { RowTools } from './HeaderTable.tsx'
import { Plus } from './icons.tsx'

export function ParamTable({ url, onChange }: { url: string; onChange: (url: string) => void }) {
  const list = params(url)
  return (
    <div class="rows" role="group" aria-label="Parameters">
      {list.map((p, i) => {
        const named = p.name || `parameter ${i + 1}`
        return (
          <div key={i} class="edit-row" role="group" aria-label={named}>
            <input class="edit-name" type="text" value={p.name} placeholder="Name" aria-label={`Name of parameter ${named}`} spellcheck={false} autocapitalize="off" autocomplete="off" onInput={(e) => onChange(setParam(url, i, e.currentTarget.value, p.value))} />
            <input class="edit-value" type="text" value={p.value} placeholder="Value" aria-label={`Value of parameter ${named}`} spellcheck={false} autocapitalize="off" autocomplete="off" onInput={(e) => onChange(setParam(url, i, p.name, e.currentTarget.value))} />
            <RowTools named={`parameter ${named}`} first={i === 0} last={i === list.length - 1} onMove={(by) => onChange(moveParam(url, i, by))} onRemove={() => onChange(removeParam(url, i))} />
          </div>
        )
      })}
      <button type="button" class="link add-row" onClick={() => onChange(setParam(url, list.length, `name${list.length + 1}`, ''))}><Plus /> Add a parameter</button>
    </div>
  )
}
