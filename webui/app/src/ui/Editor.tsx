// A text that is edited with its syntax shown and checked. The editor comes when it is needed; until then, and where it
// cannot be loaded, a plain field does.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Code, Language } from './codemirror.ts'

export type { Language }

interface Props {
  value: string
  onChange: (text: string) => void
  language: Language
  label: string
}

export function Editor({ value, onChange, language, label }: Props) {
  const host = useRef<HTMLDivElement>(null)
  const plain = useRef<HTMLTextAreaElement>(null)
  const code = useRef<Code | undefined>(undefined)
  const change = useRef(onChange)
  change.current = onChange
  const now = useRef(value)
  now.current = value
  const [ready, setReady] = useState(false)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    let gone = false
    import('./codemirror.ts').then(({ edit }) => {
      if (gone) return
      const focused = plain.current !== null && document.activeElement === plain.current
      code.current = edit(host.current!, now.current, label, language, (text) => change.current(text), setProblem)
      setReady(true)
      if (focused) code.current.focus()
    }, () => {})
    return () => {
      gone = true
      code.current?.close()
      code.current = undefined
    }
  }, [])
  // At once: after the next key, what this one typed would be old, and put back over both.
  useLayoutEffect(() => { code.current?.set(value) }, [value])
  useEffect(() => { code.current?.speak(language) }, [language])
  return (
    <div class="editor">
      <div ref={host} class="editor-host" hidden={!ready} />
      {!ready && <textarea ref={plain} class="body-field" aria-label={label} value={value} spellcheck={false} autocapitalize="off" rows={8} onInput={(e) => onChange(e.currentTarget.value)} />}
      <p class={`editor-problem ${problem ? 'bad-text' : 'dim'}`} role="status">{problem}</p>
    </div>
  )
}
