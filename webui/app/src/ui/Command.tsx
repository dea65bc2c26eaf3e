import { useConsole } from './context.ts'
import { Copy } from './icons.tsx'

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
