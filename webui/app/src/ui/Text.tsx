import { pieces } from '../lib/visible.ts'

/** Text shows captured text: as text only, with characters that hide or reorder written out. */
export function Text({ text, lineBreaks = true }: { text: string; lineBreaks?: boolean }) {
  const p = pieces(text, lineBreaks)
  if (p.length === 1 && !p[0]!.special) return <bdi>{text}</bdi>
  return <bdi>{p.map((x) => (x.special ? <span class="special">{x.text}</span> : x.text))}</bdi>
}
