import type { Exchange, Field, RequestHead, ResponseHead } from '../api/types.ts'
import { parts } from '../lib/url.ts'
import { visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Copy } from './icons.tsx'
import { Text } from './Text.tsx'

/** HeadersTab shows heads as they were on the wire: order, case and repetition kept. */
export function HeadersTab({ x }: { x: Exchange }) {
  const r = x.response
  return (
    <div class="headers">
      <Request head={x.request} title="Request" />
      {x.client.request && <Request head={x.client.request} title="Request as the client sent it" />}
      {r?.informational?.map((i, n) => <Section key={n} title={`Informational answer ${i.status}${i.statusText ? ' ' + i.statusText : ''}`} fields={i.headers ?? []} />)}
      {r ? <Response head={r} title="Response" /> : <p class="empty">{x.state === 'open' ? 'There is no answer yet.' : 'There was no answer.'}</p>}
      {x.client.response && <Response head={x.client.response} title="Response as the client got it" />}
    </div>
  )
}

function Request({ head, title }: { head: RequestHead; title: string }) {
  const { path } = parts(head.url)
  return (
    <>
      <Section title={title} line={`${head.method} ${head.target ?? (path || '/')} ${head.httpVersion}`} fields={head.headers ?? []} />
      {head.trailers && head.trailers.length > 0 && <Section title={`${title}: trailers`} fields={head.trailers} />}
    </>
  )
}

function Response({ head, title }: { head: ResponseHead; title: string }) {
  return (
    <>
      <Section title={title} line={`${head.httpVersion} ${head.status} ${head.statusText}`} fields={head.headers ?? []} />
      {head.trailers && head.trailers.length > 0 && <Section title={`${title}: trailers`} fields={head.trailers} />}
    </>
  )
}

function Section({ title, line, fields }: { title: string; line?: string; fields: Field[] }) {
  const app = useConsole()
  const text = () => [...(line ? [line] : []), ...fields.map((f) => `${f.name}: ${f.value}`)].join('\n')
  return (
    <section>
      <h3>{title}<span class="grow" /><button type="button" class="tool small" aria-label={`Copy ${title}`} title="Copy" onClick={() => void app.copyText(text(), title)}><Copy /></button></h3>
      {line !== undefined && <p class="startline"><Text text={line} /></p>}
      {fields.length === 0 ? <p class="dim none">no header fields</p> : (
        <table class="pairs fields">
          <caption class="offscreen">{title}</caption>
          <tbody>
            {fields.map((f, i) => (
              <tr key={i}>
                <th scope="row"><Text text={f.name} /></th>
                <td><Text text={f.value} />{f.raw && <span class="tag" title={`base64: ${visible(f.raw)}`}>not UTF-8</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
