import type { Field } from '../api/types.ts'
import { visible } from '../lib/visible.ts'
import { useConsole } from './context.ts'
import { Copy } from './icons.tsx'
import { Text } from './Text.tsx'

/** Fields shows a start line and header fields as they were on the wire: order, case and repetition kept. */
export function Fields({ title, line, fields }: { title: string; line?: string; fields: Field[] }) {
  const app = useConsole()
  const text = () => [...(line ? [line] : []), ...fields.map((f) => `${f.name}: ${f.value}`)].join('\n')
  return (
    <section>
      <h3>{title}<span class="grow" /><button type="button" class="tool small" aria-label={`Copy ${title}`} title="Copy" onClick={() => void app.copyText(text(), title)}><Copy /></button></h3>
      {line !== undefined && <p class="startline"><Text text={line} /></p>}
      {fields.length === 0 ? <p class="dim none">no header fields</p> : (
        <table class="pairs fields" aria-label={title}>
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
