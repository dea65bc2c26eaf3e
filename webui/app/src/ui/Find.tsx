// A search within a body: text or bytes, forwards and backwards, also through a hundred megabytes.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { find, needle, type ByteSource } from '../lib/find.ts'
import { size } from '../lib/format.ts'
import { message } from '../model/console.ts'
import { Close, Down, Up } from './icons.tsx'

export interface Hit { at: number; length: number }

interface Props {
  source: ByteSource
  /** Bytes in hexadecimal can be looked for, too. */
  bytes?: boolean
  onFound: (hit: Hit | undefined) => void
  onClose: () => void
}

export function Find({ source, bytes = false, onFound, onClose }: Props) {
  const input = useRef<HTMLInputElement>(null)
  const running = useRef<AbortController | undefined>(undefined)
  const hit = useRef<Hit | undefined>(undefined)
  const [text, setText] = useState('')
  const [asHex, setHex] = useState(false)
  const [said, setSaid] = useState('')
  // At once: what is typed next is meant for it.
  useLayoutEffect(() => input.current?.focus(), [])
  useEffect(() => () => running.current?.abort(), [])
  useEffect(() => { hit.current = undefined }, [source])

  const go = (backwards: boolean) => {
    running.current?.abort()
    const n = needle(text, asHex && bytes)
    if (!n) {
      setSaid(text === '' ? '' : 'Write bytes as pairs of hexadecimal digits, such as 0d 0a')
      return
    }
    const abort = new AbortController()
    running.current = abort
    const had = hit.current
    const from = had === undefined ? 0 : backwards ? had.at : had.at + 1
    setSaid('Searching …')
    find(source, n, from, backwards, abort.signal, (seen) => {
      if (source.total > 8 << 20) setSaid(`Searching … ${size(seen)} of ${size(source.total)}`)
    }).then((at) => {
      if (abort.signal.aborted) return
      hit.current = at < 0 ? undefined : { at, length: n.bytes.length }
      onFound(hit.current)
      const around = had !== undefined && at >= 0 && (backwards ? at >= had.at : at <= had.at)
      setSaid(at < 0 ? 'Not found' : `At byte ${at.toLocaleString('en-US')}${around ? (at === had.at ? ', the only one' : backwards ? ', from the end' : ', from the beginning') : ''}`)
    }, (e) => { if (!abort.signal.aborted) setSaid(message(e)) })
  }

  return (
    <div class="find" role="search" aria-label="Find in the body">
      <input
        ref={input} type="text" class="text-input" value={text} placeholder={asHex && bytes ? '0d 0a' : 'find'} aria-label="Find" spellcheck={false} autocomplete="off"
        onInput={(e) => { setText(e.currentTarget.value); hit.current = undefined; setSaid('') }}
        onKeyDown={(e) => {
          if (e.key === 'Enter') go(e.shiftKey)
          else if (e.key === 'Escape') onClose()
          else return
          e.preventDefault()
          e.stopPropagation()
        }}
      />
      {bytes && <label class="check"><input type="checkbox" checked={asHex} onChange={(e) => { setHex(e.currentTarget.checked); hit.current = undefined; setSaid('') }} /> hex</label>}
      <button type="button" class="tool small" aria-label="Previous match" title="Previous (Shift+Enter)" onClick={() => go(true)}><Up /></button>
      <button type="button" class="tool small" aria-label="Next match" title="Next (Enter)" onClick={() => go(false)}><Down /></button>
      <span class="said dim" role="status">{said}</span>
      <button type="button" class="tool small" aria-label="Close the search" title="Close (Esc)" onClick={onClose}><Close /></button>
    </div>
  )
}
