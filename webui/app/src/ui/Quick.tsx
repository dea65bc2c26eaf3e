import { useEffect, useRef, useState } from 'preact/hooks'
import { visible } from '../lib/visible.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'
import { grid } from './focus.ts'
import { Funnel, Trash } from './icons.tsx'
import { Text } from './Text.tsx'

const quick: [string, string][] = [
  ['cert.asked -cert.sent', 'asked for a client certificate, none sent'],
  ['cert.sent', 'client certificate sent'],
  ['cert.verdict:rejected', 'client certificate rejected'],
  ['answered:proxy', 'a proxy answered, not the origin'],
  ['hop.status:407', 'a proxy wants authentication'],
  ['error:tls', 'TLS failed'],
  ['is:failed', 'failed'],
  ['is:replay', 'sent again'],
  ['is:marked', 'marked'],
]

/** Quick is a list of filters at hand: those that are saved, and some that are often wanted. */
export function Quick() {
  const app = useConsole()
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const on = app.quick.value
  const saved = app.filters.saved.value
  const now = app.feed.filter.value
  const close = (back: boolean) => {
    app.quick.value = false
    if (back) button.current?.focus()
  }
  useEffect(() => {
    if (!on) return
    void app.filters.readSaved()
    box.current?.querySelector<HTMLElement>('.choice')?.focus()
    const outside = (e: PointerEvent) => { if (!box.current?.contains(e.target as Node) && !button.current?.contains(e.target as Node)) close(false) }
    document.addEventListener('pointerdown', outside)
    return () => document.removeEventListener('pointerdown', outside)
  }, [on])
  const move = (e: KeyboardEvent) => {
    const all = [...box.current!.querySelectorAll<HTMLElement>('.choice')]
    const at = all.indexOf(document.activeElement as HTMLElement)
    if (e.key === 'Escape') close(true)
    else if (e.key === 'ArrowDown') all[(at + 1) % all.length]!.focus()
    else if (e.key === 'ArrowUp') all[(at - 1 + all.length) % all.length]!.focus()
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  const choose = (filter: string) => {
    close(false)
    app.setFilter(filter)
    app.filters.remember(filter)
    setTimeout(() => grid()?.focus())
  }
  const remove = (id: number, name: string) => void app.attempt('Removing the filter failed', async () => {
    await app.filters.remove(id)
    app.say(`Saved filter “${visible(name)}” removed.`)
    box.current?.querySelector<HTMLElement>('.choice')?.focus()
  })
  return (
    <>
      <button ref={button} type="button" class="tool small" aria-label="Filters at hand" title="Filters at hand (q)" aria-expanded={on} aria-controls="quick" onClick={() => (app.quick.value = !on)}><Funnel /></button>
      {on && (
        <div class="quick" id="quick" role="group" aria-label="Filters at hand" ref={box} onKeyDown={move}>
          {now !== '' && !saved.some((f) => f.filter === now) && <Save filter={now} onSaved={() => box.current?.querySelector<HTMLElement>('.choice')?.focus()} />}
          {saved.map((f) => (
            <div class="saved" key={f.id}>
              <button type="button" class="choice" onClick={() => choose(f.filter)}><b><Text text={f.name} /></b> <code class="dim"><Text text={f.filter} /></code></button>
              <button type="button" class="tool small" aria-label={`Remove the saved filter ${visible(f.name)}`} title="Remove" onClick={() => remove(f.id, f.name)}><Trash /></button>
            </div>
          ))}
          {saved.length > 0 && <hr />}
          {quick.map(([f, means]) => <button key={f} type="button" class="choice" onClick={() => choose(f)}><code>{f}</code> <span class="dim">{means}</span></button>)}
        </div>
      )}
    </>
  )
}

/** Save keeps the filter of the list under a name. */
function Save({ filter, onSaved }: { filter: string; onSaved: () => void }) {
  const app = useConsole()
  const [name, setName] = useState('')
  const [problem, setProblem] = useState('')
  const save = async () => {
    try {
      await app.filters.save(name.trim(), filter)
      app.say(`Filter saved as “${visible(name.trim())}”.`)
      onSaved()
    } catch (e) {
      setProblem(message(e))
    }
  }
  // Not a form of its own: it stands in that of the box.
  return (
    <div class="save">
      <label>Save this filter as
        <input type="text" value={name} maxLength={100} autocomplete="off" aria-invalid={problem ? 'true' : undefined} aria-describedby={problem ? 'save-problem' : undefined}
          onInput={(e) => { setName(e.currentTarget.value); setProblem('') }}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || e.isComposing) return
            e.preventDefault()
            void save()
          }} />
      </label>
      <button type="button" class="button" disabled={name.trim() === ''} onClick={() => void save()}>Save</button>
      {problem !== '' && <p class="wrong" id="save-problem" role="alert">{visible(problem)}</p>}
    </div>
  )
}
