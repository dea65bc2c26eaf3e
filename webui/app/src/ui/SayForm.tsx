// The form that says something into an open WebSocket, for the client or for the origin.

import { useEffect, useRef, useState } from 'preact/hooks'
import { inject } from '../api/sending.ts'
import { injection, nothingSaid, type Saying } from '../lib/message.ts'
import { hidden, visible } from '../lib/visible.ts'
import { message } from '../model/console.ts'

export function SayForm({ id, given }: { id: number; given: Saying | undefined }) {
  const [say, setSay] = useState(nothingSaid)
  const [problem, setProblem] = useState('')
  const [told, setTold] = useState('')
  const [busy, setBusy] = useState(false)
  const content = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    if (!given) return
    setSay(given)
    setProblem('')
    content.current?.focus()
  }, [given])
  const change = (part: Partial<Saying>) => {
    setSay({ ...say, ...part })
    setProblem('')
    setTold('')
  }
  const submit = async () => {
    const m = injection(say)
    if (typeof m === 'string') return setProblem(m)
    setBusy(true)
    try {
      await inject(id, m)
      setProblem('')
      setTold(say.direction === 'sent' ? 'Sent to the origin.' : 'Sent to the client.')
      if (say.kind !== 'close') setSay({ ...say, content: '' })
      content.current?.focus()
    } catch (e) {
      setProblem(message(e))
    } finally {
      setBusy(false)
    }
  }
  const unseen = hidden(say.content)
  const rows = Math.min(6, Math.max(1, say.content.split('\n').length))
  return (
    <form class="say" aria-label="Say something in this conversation" onSubmit={(e) => { e.preventDefault(); void submit() }}
      onKeyDown={(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); void submit() } }}>
      <div class="say-line">
        <label class="offscreen" for="say-to">To</label>
        <select id="say-to" value={say.direction} onChange={(e) => change({ direction: e.currentTarget.value as Saying['direction'] })}>
          <option value="sent">↑ to the origin</option><option value="received">↓ to the client</option>
        </select>
        <label class="offscreen" for="say-kind">Kind</label>
        <select id="say-kind" value={say.kind} onChange={(e) => change({ kind: e.currentTarget.value as Saying['kind'] })}>
          <option value="text">text</option><option value="binary">binary</option><option value="ping">ping</option><option value="close">close</option>
        </select>
        {say.kind === 'binary' && (
          <>
            <label class="offscreen" for="say-as">Bytes written as</label>
            <select id="say-as" value={say.as} onChange={(e) => change({ as: e.currentTarget.value as Saying['as'] })}><option value="hex">as hex</option><option value="base64">as base64</option></select>
          </>
        )}
        {say.kind === 'close' && <><label class="offscreen" for="say-code">Code</label><input id="say-code" class="say-code" type="text" inputMode="numeric" value={say.code} onInput={(e) => change({ code: e.currentTarget.value })} /></>}
        <textarea ref={content} class="say-content" rows={rows} value={say.content} spellcheck={false} autocapitalize="off" aria-label={say.kind === 'close' ? 'Reason' : 'Message'}
          placeholder={say.kind === 'binary' ? (say.as === 'hex' ? '00 ff 2a' : 'AP8q') : say.kind === 'close' ? 'reason' : 'message'} onInput={(e) => change({ content: e.currentTarget.value })} />
        <button type="submit" class="button primary" disabled={busy} title="Ctrl+Enter">Send</button>
      </div>
      {problem !== '' && <p class="note warn" role="alert">{visible(problem)}</p>}
      {unseen.length > 0 && <p class="note warn">There are characters in it that cannot be seen in a form: {unseen.slice(0, 12).join(' ')}.</p>}
      <p class="offscreen" role="status">{told}</p>
    </form>
  )
}
