import { Fragment } from 'preact'
import { pieces } from '../lib/visible.ts'

/** HostText stays in one line where it fits into one, and else breaks after a dot or before a port rather than within a name. */
export function HostText({ text }: { text: string }) {
  return <span class="unbroken">{text.split(/(?<=\.)(?=[^.:])|(?=:)/).map((p, i) => <Fragment key={i}>{i > 0 && <wbr />}<Text text={p} /></Fragment>)}</span>
}

/** Text shows captured text: as text only, with characters that hide or reorder written out. */
export function Text({ text, lineBreaks = true }: { text: string; lineBreaks?: boolean }) {
  const p = pieces(text, lineBreaks)
  if (p.length === 1 && !p[0]!.special) return <bdi>{text}</bdi>
  return <bdi>{p.map((x) => (x.special ? <span class="special">{x.text}</span> : x.text))}</bdi>
}
