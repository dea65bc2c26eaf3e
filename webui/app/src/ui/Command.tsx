import { useConsole } from './context.ts'
import { Copy } from './icons.tsx'

/** Command is a command or lines of a configuration to copy, with a word of where they belong. */
export function Command({ text, of }: { text: string; of?: string }) {
  const app = useConsole()
  if (of) return <div class="command-box"><p class="command-of">{text.startsWith('eaves') ? 'Command' : 'Configuration'}: {of}</p><Command text={text} /></div>
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" class="tool" aria-label="Copy the command" title="Copy" onClick={() => void app.copyText(text, 'Command')}><Copy /></button>
    </div>
  )
}
