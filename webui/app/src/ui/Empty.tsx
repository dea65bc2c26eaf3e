import { quote } from '../lib/curl.ts'
import { useConsole } from './context.ts'
import { Copy } from './icons.tsx'
import { Text } from './Text.tsx'

/** Empty is what stands where the list will be: how to get traffic into it, or why a filter shows none. */
export function Empty() {
  const app = useConsole()
  const filter = app.feed.filter.value
  const s = app.feed.status.value
  if (filter) {
    return (
      <div class="start" id="exchanges" tabIndex={-1}>
        <h2>Nothing matches</h2>
        <p>No exchange matches <code><Text text={filter} /></code>. New ones that do will appear here.</p>
        <p><button type="button" class="button" onClick={() => app.setFilter('')}>Show all</button></p>
      </div>
    )
  }
  const proxy = s.proxy || '127.0.0.1:8484'
  const ca = s.ca || 'ca.pem'
  return (
    <div class="start" id="exchanges" tabIndex={-1}>
      <h2>{app.recording.value === false ? 'Recording is paused' : 'Waiting for the first request'}</h2>
      <p>Whatever goes through the proxy at <code>{proxy}</code> appears here. Three ways to begin:</p>
      <ol>
        <li>
          <h3>From the command line</h3>
          <Command text={`curl -x http://${proxy} --cacert ${quote(ca)} https://example.com/`} />
        </li>
        <li>
          <h3>With a browser of its own</h3>
          <Command text="eaves browser" />
          <p>A throw-away profile that uses the proxy and trusts its certificate.</p>
        </li>
        <li>
          <h3>With any device or program</h3>
          <p>Set its HTTP proxy to <code>{proxy}</code>, then open <a href="http://eaves.test/" rel="noreferrer" target="_blank">http://eaves.test/</a> there: that page has the certificate for it, and says whether it works. Without the proxy, the same page is at <a href={`http://${proxy}/`} rel="noreferrer" target="_blank">http://{proxy}/</a>.</p>
        </li>
      </ol>
      <p class="dim">Press <kbd>?</kbd> for all keys.</p>
    </div>
  )
}

/** Command is a command to copy. */
export function Command({ text }: { text: string }) {
  const app = useConsole()
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" class="tool" aria-label="Copy the command" title="Copy" onClick={() => void app.copyText(text, 'Command')}><Copy /></button>
    </div>
  )
}
