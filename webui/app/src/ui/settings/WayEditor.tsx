import { proxyProblem, type Way } from '../../lib/via.ts'
import { Down, Plus, Trash, Up } from '../icons.tsx'
import { Field } from './parts.tsx'

/** moved is a list with one element elsewhere. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const next = [...list]
  const [one] = next.splice(from, 1)
  next.splice(Math.max(0, Math.min(to, next.length)), 0, one!)
  return next
}

/** WayEditor edits a way to the origin: none, the system's, a PAC file's, or proxies in order. */
export function WayEditor({ way, onChange, strict, problem, label = 'Way to the origin' }: { way: Way; onChange: (w: Way) => void; strict: boolean; problem?: string | undefined; label?: string }) {
  const set = (over: Partial<Way>) => onChange({ ...way, ...over })
  const kinds: [Way['kind'], string][] = [['direct', 'Direct'], ['system', 'System'], ['pac', 'PAC file'], ['proxies', 'Proxies']]
  const proxies = way.proxies.length > 0 ? way.proxies : ['']
  const change = (i: number, text: string) => set({ proxies: proxies.map((p, n) => (n === i ? text : p)) })
  const focus = (i: number) => setTimeout(() => document.querySelectorAll<HTMLElement>('.hops-edit input')[i]?.focus())
  return (
    <fieldset class="way-editor">
      <legend>{label}</legend>
      <div class="choice" role="group" aria-label={label}>
        {kinds.map(([k, name]) => <button key={k} type="button" aria-pressed={way.kind === k} onClick={() => set({ kind: k, ...(k === 'proxies' && way.proxies.length === 0 ? { proxies: [''] } : {}) })}>{name}</button>)}
      </div>
      {way.kind === 'direct' && <p class="field-note">Connections go straight to the origin.</p>}
      {way.kind === 'system' && <p class="field-note">HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, on Windows and macOS the system’s settings.</p>}
      {way.kind === 'pac' && (
        <Field label="PAC file" note="Read anew when it changes; its answers are tried in order." wrong={strict && way.pac.trim() === '' ? 'Name the PAC file: an http(s) or file address, or a path.' : problem}>
          {(a) => <input type="text" {...a} value={way.pac} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="http://wpad.corp.example/wpad.dat" onInput={(e) => set({ pac: e.currentTarget.value })} />}
        </Field>
      )}
      {way.kind === 'proxies' && (
        <>
          <ol class="hops-edit">
            {proxies.map((p, i) => (
              <li key={i} onKeyDown={(e) => {
                if (!e.altKey || (e.key !== 'ArrowUp' && e.key !== 'ArrowDown')) return
                e.preventDefault()
                const to = i + (e.key === 'ArrowUp' ? -1 : 1)
                if (to < 0 || to >= proxies.length) return
                set({ proxies: moved(proxies, i, to) })
                focus(to)
              }}>
                <Field label={i === 0 ? 'First proxy' : `Then through proxy ${i + 1}`} grow wrong={(strict || /:\/\/./.test(p) || p.includes(' ')) && !(i > 0 && p === '' && !strict) ? proxyProblem(p) || (i === 0 ? problem : undefined) : i === 0 ? problem : undefined}>
                  {(a) => <input type="text" {...a} value={p} spellcheck={false} autocapitalize="off" autocomplete="off" inputMode="url" placeholder="http://proxy.corp.example:3128" onInput={(e) => change(i, e.currentTarget.value)} />}
                </Field>
                {proxies.length > 1 && (
                  <span class="hop-tools">
                    <button type="button" class="tool small" aria-label={`Move proxy ${i + 1} up`} title="Earlier (Alt+↑)" disabled={i === 0} onClick={() => set({ proxies: moved(proxies, i, i - 1) })}><Up /></button>
                    <button type="button" class="tool small" aria-label={`Move proxy ${i + 1} down`} title="Later (Alt+↓)" disabled={i === proxies.length - 1} onClick={() => set({ proxies: moved(proxies, i, i + 1) })}><Down /></button>
                    <button type="button" class="tool small" aria-label={`Remove proxy ${i + 1}`} title="Remove" onClick={() => set({ proxies: proxies.filter((_, n) => n !== i) })}><Trash /></button>
                  </span>
                )}
              </li>
            ))}
          </ol>
          <button type="button" class="button" onClick={() => { set({ proxies: [...proxies, ''] }); focus(proxies.length) }}><Plus /> Add a proxy behind it</button>
          <p class="field-note">http, https, socks4a and socks5, mixed as you like; each is reached through the one before it.</p>
        </>
      )}
    </fieldset>
  )
}
