// The settings: what holds from the next request on, kept when eaves stops.

import { useEffect, useRef, useState } from 'preact/hooks'
import { inventory } from '../../api/settings.ts'
import { sections, type Section } from '../../model/location.ts'
import { useConsole } from '../context.ts'
import { Back } from '../icons.tsx'
import { Certificates } from './Certificates.tsx'
import { CertificateForm } from './CertificateForm.tsx'
import { Inventory } from './Inventory.tsx'
import { Policies, PolicyForm } from './Policies.tsx'
import { RouteForm } from './RouteForm.tsx'
import { RoutesSection } from './Routes.tsx'
import { Trust, TrustForm } from './Trust.tsx'
import { lazily } from '../lazy.tsx'

const BypassSection = lazily(() => import('./Bypass.tsx').then((m) => m.Bypass))
const RetentionSection = lazily(() => import('./Retention.tsx').then((m) => m.Retention))
const SecretsSection = lazily(() => import('./Secrets.tsx').then((m) => m.Secrets))

export const sectionNames: Record<Section, string> = {
  certificates: 'Client certificates', trust: 'Trust', tls: 'TLS policies', routes: 'Routes', bypass: 'Bypass', retention: 'Retention', secrets: 'Secrets', inventory: 'Inventory',
}

export function SettingsPage() {
  const app = useConsole()
  const section = app.section.value
  const shown = useSections()
  const nav = useRef<HTMLElement>(null)
  // Where there is no room for all of them side by side, the one that is open is the one to see.
  useEffect(() => { nav.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }) }, [section, shown.length])
  return (
    <main class="page">
      <div class="settings">
        <header class="page-title">
          <button type="button" class="tool" aria-label="Back to the traffic" title="Back to the traffic (Esc)" onClick={() => (app.page.value = 'traffic')}><Back /></button>
          <h1>Settings</h1>
        </header>
        <nav class="sections" aria-label="Settings" ref={nav}>
          {shown.map((s, i) => (
            <a key={s} href={`#/settings/${s}`} aria-current={s === section ? 'page' : undefined} title={`${sectionNames[s]} (${i + 1})`}
              onClick={(e) => { e.preventDefault(); app.settings(s) }}>{sectionNames[s]}</a>
          ))}
        </nav>
        <section class="section" aria-labelledby="section-title">
          <h2 id="section-title">{sectionNames[section]}</h2>
          {section === 'certificates' && <Certificates />}
          {section === 'trust' && <Trust />}
          {section === 'tls' && <Policies />}
          {section === 'routes' && <RoutesSection />}
          {section === 'bypass' && <BypassSection />}
          {section === 'retention' && <RetentionSection />}
          {section === 'secrets' && <SecretsSection />}
          {section === 'inventory' && <Inventory />}
        </section>
      </div>
    </main>
  )
}

/** useSections are the sections that this eaves has: the inventory only where there is one. */
function useSections(): Section[] {
  const app = useConsole()
  const [has, setHas] = useState(app.section.value === 'inventory')
  useEffect(() => {
    const abort = new AbortController()
    inventory(abort.signal).then(() => setHas(true), () => {})
    return () => abort.abort()
  }, [])
  return sections.filter((s) => s !== 'inventory' || has)
}

/** SettingsForm is the form that is open, wherever it was opened from. */
export function SettingsForm() {
  const app = useConsole()
  const form = app.form.value
  if (!form) return null
  const key = `${form.section} ${form.was?.id ?? 'new'}`
  switch (form.section) {
    case 'certificates': return <CertificateForm key={key} form={form} />
    case 'trust': return <TrustForm key={key} form={form} />
    case 'tls': return <PolicyForm key={key} form={form} />
    case 'routes': return <RouteForm key={key} form={form} />
    default: return null
  }
}
