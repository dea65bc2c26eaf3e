import { useEffect, useId, useRef } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { groups, written, type Group } from '../model/actions.ts'
import { visible } from '../lib/visible.ts'
import { actions } from './actions.ts'
import { useConsole } from './context.ts'
import { isMac } from './focus.ts'
import { Close } from './icons.tsx'

/** Dialog is a modal window: the browser keeps focus inside, closes it on Esc and gives focus back. */
export function Dialog({ title, onClose, children, class: name = '' }: { title: string; onClose: () => void; children: ComponentChildren; class?: string }) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const before = document.activeElement
    ref.current!.showModal()
    return () => { if (before instanceof HTMLElement && before.isConnected) before.focus() }
  }, [])
  return (
    <dialog ref={ref} class={name} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose() }} onClose={onClose}
      onPointerDown={(e) => { if (e.target === ref.current && outside(e, ref.current!)) onClose() }}>
      <header><h2 id={id}>{title}</h2><span class="grow" /><button type="button" class="tool" aria-label="Close" onClick={onClose}><Close /></button></header>
      {children}
    </dialog>
  )
}

function outside(e: PointerEvent, el: HTMLElement): boolean {
  const b = el.getBoundingClientRect()
  return e.clientX < b.left || e.clientX > b.right || e.clientY < b.top || e.clientY > b.bottom
}

export function Confirm() {
  const app = useConsole()
  const c = app.confirming.value!
  const close = () => (app.confirming.value = undefined)
  return (
    <Dialog title="Are you sure?" onClose={close} class="confirm">
      <p>{visible(c.text)}</p>
      <footer>
        <button type="button" class="button" onClick={close}>Cancel</button>
        <button type="button" class="button danger" onClick={() => { close(); c.run() }}>{c.label}</button>
      </footer>
    </Dialog>
  )
}

const examples: [string, string][] = [
  ['login', '“login” anywhere in the URL'],
  ['host:*.example.com', 'a host and its subdomains'],
  ['status:4xx  status>=500', 'by status'],
  ['method in (POST,PUT)', 'by method'],
  ['type:json size>100k', 'large JSON answers'],
  ['took>800ms', 'slow ones'],
  ['body:"order 42"', 'text in a body'],
  ['header[authorization]', 'has that header'],
  ['cert.asked -cert.sent', 'asked for a client certificate, none sent'],
  ['cert.verdict:rejected', 'client certificate rejected'],
  ['answered:proxy', 'a proxy answered, not the origin'],
  ['error:tls  is:failed', 'what went wrong'],
  ['is:open  is:marked  is:replay', 'by state'],
  ['at:10m..', 'of the last ten minutes'],
  ['host:api.test -path:/health', 'this, but not that'],
]

/** Keys lists the keys of one group of actions. */
function Keys({ group }: { group: Group }) {
  const mine = actions.filter((a) => a.group === group).map((a) => ({ keys: written(a, isMac()), label: a.label })).filter((k) => k.keys !== '')
  if (mine.length === 0) return null
  return (
    <>
      <h4>{group}</h4>
      <dl>{mine.map((k) => <div key={k.keys}><dt><kbd>{k.keys}</kbd></dt><dd>{k.label}</dd></div>)}</dl>
    </>
  )
}

export function Help() {
  const app = useConsole()
  return (
    <Dialog title="Keys and filters" onClose={() => (app.help.value = false)} class="help">
      <div class="columns" tabIndex={0} role="group" aria-label="Keys and filters">
        <section>
          <h3>Keys</h3>
          {groups.map((g) => <Keys key={g} group={g} />)}
        </section>
        <section>
          <h3>Filters</h3>
          <dl>{examples.map(([f, means]) => <div key={f}><dt><code>{f}</code></dt><dd>{means}</dd></div>)}</dl>
          <p class="dim">Terms side by side must all match; <code>or</code>, <code>not</code> and brackets combine them; <code>~</code> takes a regular expression.</p>
          <p><a href="#/start" onClick={() => (app.help.value = false)}>Getting started</a> says how to send traffic through eaves.</p>
        </section>
      </div>
    </Dialog>
  )
}
