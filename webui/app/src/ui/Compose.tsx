// The form that sends a request: a captured one, changed, or a new one.

import { useEffect, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Overrides } from '../api/types.ts'
import { isText } from '../lib/content.ts'
import { size } from '../lib/format.ts'
import { headerLines, parseHeaders } from '../lib/headers.ts'
import { hidden, visible } from '../lib/visible.ts'
import { message, type Draft } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { byRules, SendAs, sendAsOverrides, sendAsProblem } from './SendAs.tsx'

/** The longest body that is offered for editing. */
const editable = 512 << 10

/** A body as the form has it: text to edit, or bytes that are sent as they were. */
type Content = { kind: 'text'; was: string } | { kind: 'kept'; size: number; why: string } | { kind: 'loading' }

export function Compose({ draft }: { draft: Draft }) {
  const app = useConsole()
  const of = draft.of
  const was = (of?.request.headers ?? []).filter((f) => !f.name.startsWith(':'))
  const [method, setMethod] = useState(of?.request.method ?? 'GET')
  const [url, setUrl] = useState(of?.request.url ?? 'https://')
  const [headers, setHeaders] = useState(() => (of ? headerLines(was) : 'Accept: */*\nUser-Agent: eaves'))
  const [content, setContent] = useState<Content>(of && of.request.bodySize !== 0 ? { kind: 'loading' } : { kind: 'text', was: '' })
  const [body, setBody] = useState('')
  const [as, setAs] = useState(byRules)
  const [problem, setProblem] = useState('')
  const [sending, setSending] = useState(false)

  useEffect(() => {
    if (!of || of.request.bodySize === 0) return
    const abort = new AbortController()
    api.bodyRange(of.id, 'request', false, 0, editable + 1, abort.signal).then(({ bytes, total }) => {
      const encoding = was.find((f) => f.name.toLowerCase() === 'content-encoding')?.value
      const whole = Math.max(total, bytes.length)
      if (whole > editable) return setContent({ kind: 'kept', size: whole, why: 'too long to edit here' })
      if (encoding && encoding !== 'identity') return setContent({ kind: 'kept', size: whole, why: `encoded with ${encoding}` })
      try {
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
        // A form field turns CR LF into LF: such a body would not be the same again.
        if (!isText(bytes, '') || text.includes('\r')) throw new Error('not text')
        setBody(text)
        setContent({ kind: 'text', was: text })
      } catch {
        setContent({ kind: 'kept', size: whole, why: 'not plain text' })
      }
    }, (e) => { if (!abort.signal.aborted) setContent({ kind: 'kept', size: of.request.bodySize, why: message(e) }) })
    return () => abort.abort()
  }, [])

  const unseen = hidden(`${method}${url}${headers}${content.kind === 'text' ? body : ''}`)

  const submit = async () => {
    setProblem('')
    setSending(true)
    try {
      const wrong = sendAsProblem(as)
      if (wrong) throw new Error(wrong)
      const o: Overrides = sendAsOverrides(as)
      if (!of || method !== of.request.method) o.method = method.trim()
      if (!of || url !== of.request.url) o.url = url.trim()
      const fields = parseHeaders(headers, was)
      if (!of || JSON.stringify(fields.map((f) => [f.name, f.value])) !== JSON.stringify(was.map((f) => [f.name, f.value]))) o.headers = fields
      if (content.kind === 'text' && (of ? body !== content.was : body !== '')) o.body = body
      await app.submit(draft, o)
    } catch (e) {
      setProblem(message(e))
    } finally {
      setSending(false)
    }
  }

  return (
    <Dialog title={of ? `Edit and resend #${of.id}` : 'New request'} onClose={() => (app.draft.value = undefined)} class="compose">
      <form
        onSubmit={(e) => { e.preventDefault(); void submit() }}
        onKeyDown={(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); void submit() } }}
      >
        <div class="line-one">
          <label class="method-field">Method
            <input type="text" list="methods" value={method} required spellcheck={false} autocapitalize="characters" autocomplete="off" onInput={(e) => setMethod(e.currentTarget.value)} />
          </label>
          <datalist id="methods">{['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'].map((m) => <option key={m} value={m} />)}</datalist>
          <label class="grow">URL
            <input type="text" inputMode="url" value={url} required spellcheck={false} autocapitalize="off" autocomplete="off" autofocus onInput={(e) => setUrl(e.currentTarget.value)} />
          </label>
        </div>
        <label>Headers <span class="dim">· one a line, in this order</span>
          <textarea class="headers-field" value={headers} spellcheck={false} autocapitalize="off" rows={Math.min(14, Math.max(4, headers.split('\n').length))} wrap="off" onInput={(e) => setHeaders(e.currentTarget.value)} />
        </label>
        {content.kind === 'text' ? (
          <label>Body
            <textarea class="body-field" value={body} spellcheck={false} autocapitalize="off" rows={8} onInput={(e) => setBody(e.currentTarget.value)} />
          </label>
        ) : content.kind === 'loading' ? <p class="dim">Loading the body …</p> : (
          <p class="note">
            The body ({size(content.size)}, {content.why}) is sent as it was.{' '}
            <button type="button" class="link" onClick={() => setContent({ kind: 'text', was: '\0' })}>Replace it by text</button>
          </p>
        )}
        <SendAs as={as} onChange={setAs} />
        {unseen.length > 0 && <p class="note warn">There are characters in this request that cannot be seen in a form: {unseen.slice(0, 12).join(' ')}. They are sent as they are.</p>}
        {problem !== '' && <p class="note warn" role="alert">{visible(problem)}</p>}
        <footer>
          <span class="dim grow">Goes through the pipeline that live traffic takes; the result is a new exchange.</span>
          <button type="button" class="button" onClick={() => (app.draft.value = undefined)}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending || content.kind === 'loading'} title="Ctrl+Enter">{sending ? 'Sending …' : 'Send'}</button>
        </footer>
      </form>
    </Dialog>
  )
}
