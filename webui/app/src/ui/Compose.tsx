// The form that sends a request: a captured one, changed, or a new one.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import { values } from '../api/language.ts'
import type { Field, Overrides } from '../api/types.ts'
import { essence, isText } from '../lib/content.ts'
import { curlRequest, looksLikeCurl } from '../lib/curlcommand.ts'
import { size } from '../lib/format.ts'
import { headerLines, parseHeaders } from '../lib/headers.ts'
import { reindent } from '../lib/jsontext.ts'
import { params } from '../lib/params.ts'
import { recall, remember } from '../lib/remember.ts'
import { hidden, visible } from '../lib/visible.ts'
import { once, planProblem } from '../model/batch.ts'
import { message, type Draft } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Dialog } from './dialogs.tsx'
import { Editor, type Language } from './Editor.tsx'
import { HeaderTable, type HeaderRow } from './HeaderTable.tsx'
import { ParamTable } from './ParamTable.tsx'
import { PlanFields } from './PlanFields.tsx'
import { byRules, SendAs, sendAsOverrides, sendAsProblem } from './SendAs.tsx'

/** The longest body that is offered for editing. */
const editable = 512 << 10

/** A body as the form has it: text to edit, or bytes that are sent as they were. */
type Content = { kind: 'text'; was: string } | { kind: 'kept'; size: number; why: string } | { kind: 'loading' }

const fresh: HeaderRow[] = [{ name: 'Accept', value: '*/*', on: true }, { name: 'User-Agent', value: 'eaves', on: true }]

/** Names of header fields that were sent from here before. */
const key = 'headers'

export function Compose({ draft }: { draft: Draft }) {
  const app = useConsole()
  const of = draft.of
  const was = useMemo(() => (of?.request.headers ?? []).filter((f) => !f.name.startsWith(':')), [of])
  const [method, setMethod] = useState(of?.request.method ?? 'GET')
  const [url, setUrl] = useState(of?.request.url ?? 'https://')
  const [rows, setRows] = useState<HeaderRow[]>(() => (of ? was.map((f) => ({ ...f, on: true })) : fresh))
  /** The headers as lines of text, while they are edited as such. */
  const [lines, setLines] = useState<string | undefined>(undefined)
  const [content, setContent] = useState<Content>(of && of.request.bodySize !== 0 ? { kind: 'loading' } : { kind: 'text', was: '' })
  const [body, setBody] = useState('')
  const [spoken, setSpoken] = useState<Language | ''>('')
  const [as, setAs] = useState(byRules)
  const [plan, setPlan] = useState(once)
  const [curl, setCurl] = useState<string | undefined>(undefined)
  const [told, setTold] = useState('')
  const [problem, setProblem] = useState('')
  const [sending, setSending] = useState(false)
  const [captured, setCaptured] = useState<readonly string[]>([])
  const seen = useMemo(() => [...new Set([...was.map((f) => f.name), ...names(), ...captured])], [was, captured])
  useEffect(() => {
    const abort = new AbortController()
    values('req.header', '', '', 100, abort.signal).then((v) => setCaptured(v.values.map((h) => h.value).filter((n) => !n.startsWith(':'))), () => {})
    return () => abort.abort()
  }, [])

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

  /** fields are the headers as they are to be sent. It throws what is wrong with them. */
  const fields = (): Field[] => {
    if (lines !== undefined) return parseHeaders(lines, was)
    return rows.filter((r) => r.on && (r.name !== '' || r.value !== '')).map((r) => {
      if (r.name.trim() === '') throw new Error(`A header with the value “${r.value.slice(0, 40)}” has no name.`)
      return r.raw !== undefined ? { name: r.name, value: r.value, raw: r.raw } : { name: r.name.trim(), value: r.value.trim() }
    })
  }
  const asText = () => {
    try {
      if (lines === undefined) setLines(headerLines(fields()))
      else {
        setRows(parseHeaders(lines, was).map((f) => ({ ...f, on: true })))
        setLines(undefined)
      }
      setProblem('')
    } catch (e) {
      setProblem(message(e))
    }
  }
  const takeCurl = (command: string): boolean => {
    try {
      const r = curlRequest(command)
      setMethod(r.method)
      setUrl(r.url)
      setRows(r.headers.map((h) => ({ ...h, on: true })))
      setLines(undefined)
      setBody(r.body)
      setContent({ kind: 'text', was: '\0' })
      setAs({ ...as, verify: r.insecure ? 'off' : as.verify, via: r.via ? `url:${r.via}` : as.via })
      setCurl(undefined)
      setProblem('')
      setTold(`Taken from the curl command${r.notes.length > 0 ? `, but for ${r.notes.join(', ')}` : ''}.`)
      return true
    } catch (e) {
      setProblem(message(e))
      return false
    }
  }

  const type = (lines !== undefined ? /^content-type:(.*)$/im.exec(lines)?.[1] : rows.find((r) => r.on && r.name.toLowerCase() === 'content-type')?.value) ?? ''
  const language: Language = spoken || guess(type, body)
  const unseen = hidden(`${method}${url}${lines ?? rows.map((r) => r.name + r.value).join('')}${content.kind === 'text' ? body : ''}`)
  const count = params(url).length

  const state = JSON.stringify([method, url, lines ?? rows, content.kind === 'text' ? body : ''])
  const untouched = useRef(state)
  // The body comes later than the rest.
  useEffect(() => { if (content.kind !== 'loading' && !(content.kind === 'text' && content.was === '\0')) untouched.current = state }, [content])
  const close = () => {
    const gone = () => (app.draft.value = undefined)
    if (state === untouched.current) return gone()
    app.confirming.value = { text: 'What was changed in this request is not sent, and lost when it is closed.', label: 'Close it', run: gone }
  }

  const submit = async () => {
    setProblem('')
    setSending(true)
    try {
      const wrong = sendAsProblem(as) || planProblem(plan)
      if (wrong) throw new Error(wrong)
      const o: Overrides = sendAsOverrides(as)
      if (!of || method !== of.request.method) o.method = method.trim()
      if (!of || url !== of.request.url) o.url = url.trim()
      const list = fields()
      if (!of || JSON.stringify(list.map((f) => [f.name, f.value])) !== JSON.stringify(was.map((f) => [f.name, f.value]))) o.headers = list
      if (content.kind === 'text' && (of ? body !== content.was : body !== '')) o.body = body
      await app.submit(draft, o, plan)
      remember(key, [...new Set([...list.map((f) => f.name), ...names()])].slice(0, 80))
    } catch (e) {
      setProblem(message(e))
    } finally {
      setSending(false)
    }
  }
  const format = () => {
    const laid = reindent(body)
    if (laid) setBody(laid)
    else setProblem('The body is no JSON: it cannot be laid out.')
  }

  return (
    <Dialog title={of ? `Edit and resend #${of.id}` : 'New request'} onClose={close} class="compose">
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
            <input type="text" inputMode="url" value={url} required spellcheck={false} autocapitalize="off" autocomplete="off" autofocus onInput={(e) => setUrl(e.currentTarget.value)}
              onPaste={(e) => {
                const text = e.clipboardData?.getData('text') ?? ''
                if (looksLikeCurl(text) && takeCurl(text)) e.preventDefault()
              }} />
          </label>
        </div>
        {curl === undefined ? (
          <p class="compose-hint dim">A curl command can be pasted in place of the address, or <button type="button" class="link" onClick={() => setCurl('')}>here</button>. <span role="status">{visible(told)}</span></p>
        ) : (
          <div class="curl-in">
            <label>A curl command<textarea class="body-field" value={curl} rows={4} spellcheck={false} autocapitalize="off" placeholder="curl https://api.example.com/ -H 'Accept: application/json'" onInput={(e) => setCurl(e.currentTarget.value)} /></label>
            <div class="curl-tools"><button type="button" class="button" disabled={!looksLikeCurl(curl)} onClick={() => takeCurl(curl)}>Take it</button> <button type="button" class="link" onClick={() => setCurl(undefined)}>Never mind</button></div>
          </div>
        )}
        <details class="compose-part" open={count > 0 && count <= 30}>
          <summary>Parameters{count > 0 && <span class="dim"> {count}</span>}</summary>
          <ParamTable url={url} onChange={setUrl} />
        </details>
        <section class="compose-part">
          <h3>Headers <span class="dim">· sent in this order</span><span class="grow" /><button type="button" class="link" onClick={asText}>{lines === undefined ? 'As text' : 'As a table'}</button></h3>
          {lines === undefined ? <HeaderTable rows={rows} seen={seen} onChange={setRows} /> : (
            <textarea class="headers-field" aria-label="Headers, one a line" value={lines} spellcheck={false} autocapitalize="off" rows={Math.min(14, Math.max(4, lines.split('\n').length))} wrap="off" onInput={(e) => setLines(e.currentTarget.value)} />
          )}
        </section>
        {content.kind === 'text' ? (
          <section class="compose-part">
            <h3>Body<span class="grow" />
              {language === 'json' && body.trim() !== '' && <button type="button" class="link" onClick={format}>Lay out</button>}
              <label class="offscreen" for="compose-language">Syntax</label>
              <select id="compose-language" class="small-select" value={spoken} onChange={(e) => setSpoken(e.currentTarget.value as Language | '')}>
                <option value="">{`by its type: ${language}`}</option><option value="json">JSON</option><option value="xml">XML</option><option value="text">text</option>
              </select>
            </h3>
            <Editor label="Body" value={body} onChange={setBody} language={language} />
          </section>
        ) : content.kind === 'loading' ? <p class="dim">Loading the body …</p> : (
          <p class="note">
            The body ({size(content.size)}, {content.why}) is sent as it was.{' '}
            <button type="button" class="link" onClick={() => setContent({ kind: 'text', was: '\0' })}>Replace it by text</button>
          </p>
        )}
        <SendAs as={as} onChange={setAs} />
        <PlanFields plan={plan} onChange={setPlan} />
        {unseen.length > 0 && <p class="note warn">There are characters in this request that cannot be seen in a form: {unseen.slice(0, 12).join(' ')}. They are sent as they are.</p>}
        {problem !== '' && <p class="note warn" role="alert">{visible(problem)}</p>}
        <footer>
          <span class="dim grow">Goes through the pipeline that live traffic takes; the result is a new exchange.</span>
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button primary" disabled={sending || content.kind === 'loading'} title="Ctrl+Enter">{sending ? 'Sending …' : plan.times > 1 ? `Send ${plan.times} times` : 'Send'}</button>
        </footer>
      </form>
    </Dialog>
  )
}

/** guess says what a body is written in, by its type, else by how it begins. */
function guess(type: string, body: string): Language {
  const t = essence(type)
  if (/(?:^|[/+])(?:json|ndjson)$/.test(t)) return t.endsWith('ndjson') ? 'text' : 'json'
  if (/(?:^|[/+])xml$/.test(t)) return 'xml'
  if (t !== '') return 'text'
  return /^\s*[[{]/.test(body) ? 'json' : /^\s*<[?!a-z]/i.test(body) ? 'xml' : 'text'
}

/** names are those of header fields that were sent from here before. */
function names(): string[] {
  return recall(key, (kept) => (Array.isArray(kept) ? kept.filter((n): n is string => typeof n === 'string' && n.length < 100) : []))
}
