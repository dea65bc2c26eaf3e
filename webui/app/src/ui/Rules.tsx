import { useEffect, useState } from 'preact/hooks'
import * as api from '../api/client.ts'
import type { Rule } from '../api/types.ts'
import { message } from '../model/console.ts'
import { useConsole } from './context.ts'
import { Back, Trash } from './icons.tsx'
import { Text } from './Text.tsx'

const actions: Record<string, { name: string; means: string; example: string }> = {
  ignore: { name: 'Ignore', means: 'Pass on, do not record.', example: 'host:telemetry.example.com or path:/health' },
  block: { name: 'Block', means: 'Answer in the origin’s place that it is blocked.', example: 'host:ads.example.com' },
  passthrough: { name: 'Pass through', means: 'Do not intercept: TLS stays between client and origin.', example: '*.bank.example' },
}

/** RulesPage lists the rules, in order, and adds and removes them. */
export function RulesPage() {
  const app = useConsole()
  const [rules, setRules] = useState<Rule[] | undefined>(undefined)
  const [action, setAction] = useState('ignore')
  const [filter, setFilter] = useState('')
  const [problem, setProblem] = useState('')

  const read = () => api.rules().then((r) => { setRules(r); setProblem('') }, (e) => setProblem(message(e)))
  useEffect(() => { void read() }, [])
  const run = async (what: Promise<void>) => {
    try {
      await what
      await read()
      return true
    } catch (e) {
      setProblem(message(e))
      return false
    }
  }

  return (
    <main class="page">
      <div class="page-inner">
        <header class="page-title">
          <button type="button" class="tool" aria-label="Back to the traffic" title="Back to the traffic (Esc)" onClick={() => (app.page.value = 'traffic')}><Back /></button>
          <h1>Rules</h1>
        </header>
        <p class="dim">What a rule matches is treated specially from the next request on. Rules are kept when eaves stops.</p>
        <form class="rule-form" onSubmit={(e) => {
          e.preventDefault()
          void run(api.addRule({ enabled: true, filter: filter.trim(), action })).then((ok) => { if (ok) setFilter('') })
        }}>
          <label>Action
            <select value={action} onChange={(e) => setAction(e.currentTarget.value)}>
              {Object.entries(actions).map(([k, a]) => <option key={k} value={k}>{a.name}</option>)}
            </select>
          </label>
          <label class="grow">{action === 'passthrough' ? 'Hosts' : 'Requests that match'}
            <input type="text" value={filter} required spellcheck={false} autocapitalize="off" autocomplete="off" placeholder={actions[action]!.example} onInput={(e) => setFilter(e.currentTarget.value)} />
          </label>
          <button type="submit" class="button primary">Add rule</button>
          <p class="means">{actions[action]!.means}</p>
        </form>
        {problem !== '' && <p class="note warn" role="alert">{problem}</p>}
        {rules && rules.length === 0 && <p class="empty">There are no rules: everything is intercepted and recorded.</p>}
        {rules && rules.length > 0 && (
          <ul class="rules">
            {rules.map((r) => (
              <li key={r.id} class={r.enabled ? '' : 'disabled'}>
                <label class="check"><input type="checkbox" checked={r.enabled} onChange={() => void run(api.changeRule({ ...r, enabled: !r.enabled }))} /><span class="offscreen">Enable {r.action} {r.filter}</span></label>
                <span class="action">{actions[r.action]?.name ?? r.action}</span>
                <code><Text text={r.filter} /></code>
                <button type="button" class="tool" aria-label={`Remove the rule ${r.action} ${r.filter}`} title="Remove" onClick={() => void run(api.removeRule(r.id))}><Trash /></button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </main>
  )
}
