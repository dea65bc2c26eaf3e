import type { Claim, Token } from '../lib/jwt.ts'
import { useConsole } from './context.ts'
import { Text } from './Text.tsx'

const states: Record<Token['state'], string> = { valid: 'in date', expired: 'expired', early: 'not valid yet', unknown: '' }

/** Tokens shows what JSON Web Tokens say, and says that nobody vouches for it. */
export function Tokens({ tokens }: { tokens: Token[] }) {
  const app = useConsole()
  return (
    <>
      {tokens.map((t, i) => (
        <div key={i} class="token">
          <p>
            <strong>JWT</strong> {states[t.state] && <span class={`tag ${t.state}`}>{states[t.state]}</span>} <span class="dim">{t.note}</span>{' '}
            <button type="button" class="link" onClick={() => void app.copyText(t.text, 'Token')}>Copy<span class="offscreen"> token</span></button>
          </p>
          <Claims label="Header of the token" rows={t.header} />
          {t.claims.length > 0 && <Claims label="Claims" rows={t.claims} />}
        </div>
      ))}
    </>
  )
}

function Claims({ label, rows }: { label: string; rows: Claim[] }) {
  return (
    <table class="pairs fields">
      <caption>{label}</caption>
      <tbody>
        {rows.map((c, i) => (
          <tr key={i}>
            <th scope="row"><Text text={c.name} /></th>
            <td><Text text={c.value.length > 4000 ? c.value.slice(0, 4000) + ' …' : c.value} lineBreaks={false} />{c.words && <span class="dim"> · {c.words}</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
