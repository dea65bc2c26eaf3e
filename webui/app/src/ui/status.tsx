// What the console says about itself: the connection, the store's health, what an action did.

import { size } from '../lib/format.ts'
import { visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Hint } from './Hint.tsx'
import { CountLine } from './List.tsx'
import { Close } from './icons.tsx'

export function Banner() {
  const app = useConsole()
  const link = app.feed.link.value
  const status = app.feed.status.value
  const failure = app.feed.failure.value
  return (
    <div class="banners" aria-live="polite">
      {link === 'lost' && (
        <p class="banner warn">
          <span class="pulse-dot" aria-hidden="true" /> eaves does not answer. What is shown stays; the list goes on where it was once eaves is back.
          <button type="button" class="link" onClick={() => app.feed.retry()}>Try now</button>
        </p>
      )}
      {link === 'locked' && (
        <p class="banner bad">eaves was started anew and has a new key. Open the address that it printed, in any tab: this page then goes on.</p>
      )}
      {status.problem ? (
        <p class={`banner ${status.health === 'failing' ? 'bad' : 'warn'}`}>
          {status.health === 'failing' ? 'Traffic is not being recorded' : 'Not everything is recorded'}: {status.problem}{status.lost ? `; ${status.lost} exchanges are missing` : ''}.{status.hint ? <> <Hint text={status.hint} />.</> : null}
        </p>
      ) : null}
      {status.keylog ? (
        <p class="banner warn">TLS secrets are being written to <code>{status.keylog}</code>: whoever reads that file can decrypt this traffic.</p>
      ) : null}
      {failure !== '' && link !== 'lost' && <p class="banner bad">The list cannot be read: {failure} <button type="button" class="link" onClick={() => void app.feed.reload()}>Try again</button></p>}
    </div>
  )
}

const links = { connecting: 'connecting', live: 'live', lost: 'not connected', locked: 'locked' }

export function StatusLine() {
  const app = useConsole()
  const link = app.feed.link.value
  const s = app.feed.status.value
  return (
    <footer class="status-line">
      <span class={`link-state ${link}`} role="status"><span class="dot" aria-hidden="true" />{links[link]}</span>
      <CountLine />
      {s.open ? <span>{s.open} open</span> : null}
      <span class="grow" />
      {s.queueDepth ? <span title="changes that wait to be written">{s.queueDepth} to write</span> : null}
      {s.databaseSize ? <span class="wide">{size(s.databaseSize + (s.bodiesSize ?? 0))} on disk</span> : null}
      {s.proxy ? <span>proxy <code>{s.proxy}</code></span> : null}
      {s.version ? <span class="wide">{s.version}</span> : null}
    </footer>
  )
}

export function Toasts() {
  const app = useConsole()
  return (
    <div class="toasts" role="status" aria-live="polite">
      {app.toasts.value.map((t) => (
        <div key={t.key} class={`toast ${t.kind}`}>
          <span>{visible(t.text)}</span>
          {t.action && <button type="button" class="link" onClick={() => { t.action!.run(); app.dismiss(t.key) }}>{t.action.label}</button>}
          <button type="button" class="tool small" aria-label="Dismiss" onClick={() => app.dismiss(t.key)}><Close /></button>
        </div>
      ))}
    </div>
  )
}
