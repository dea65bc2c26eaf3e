// Icons are drawn in the text's colour and are never the only name of anything: aria-hidden throughout.

import type { ComponentChildren } from 'preact'
import type { Shown } from '../lib/certificate.ts'
import type { Outcome } from '../lib/story.ts'

function Icon({ children, size = 16 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.6"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{children}</svg>
  )
}

export const Replay = () => <Icon><path d="M3 8a5 5 0 1 1 1.6 3.7" /><path d="M2.6 4.6 3 8l3.3-.8" /></Icon>
export const Edit = () => <Icon><path d="m10.5 3.5 2 2L6 12l-2.7.7L4 10z" /></Icon>
export const Copy = () => <Icon><rect x="5.5" y="5.5" width="7.5" height="7.5" rx="1.2" /><path d="M3 10.2V4a1 1 0 0 1 1-1h6.2" /></Icon>
export const Star = ({ filled = false }: { filled?: boolean }) => (
  <svg class="icon" width={16} height={16} viewBox="0 0 16 16" fill={filled ? 'currentColor' : 'none'} stroke="currentColor" stroke-width="1.4"
    stroke-linejoin="round" aria-hidden="true"><path d="m8 2.2 1.8 3.6 4 .6-2.9 2.8.7 4L8 11.3l-3.6 1.9.7-4L2.2 6.4l4-.6z" /></svg>
)
export const Trash = () => <Icon><path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 8.5h6l.5-8.5M7 7v3.5M9 7v3.5" /></Icon>
export const Close = () => <Icon><path d="m4 4 8 8M12 4l-8 8" /></Icon>
export const Back = () => <Icon><path d="M9.5 3.5 5 8l4.5 4.5" /></Icon>
export const Search = () => <Icon><circle cx="7" cy="7" r="4" /><path d="m10 10 3.2 3.2" /></Icon>
export const Plus = () => <Icon><path d="M8 3.5v9M3.5 8h9" /></Icon>
export const Question = () => <Icon><path d="M5.8 6a2.2 2.2 0 1 1 3 2c-.6.3-.8.7-.8 1.4M8 12.2v.1" /></Icon>
export const List = () => <Icon><path d="M5.5 4.5H13M5.5 8H13M5.5 11.5H13M2.8 4.5h.1M2.8 8h.1M2.8 11.5h.1" /></Icon>
export const Down = () => <Icon><path d="M8 3.5v9M4.5 9 8 12.5 11.5 9" /></Icon>
export const Download = () => <Icon><path d="M8 2.5v7.5M5 7.2 8 10l3-2.8M3 13h10" /></Icon>
export const Chevron = ({ open }: { open: boolean }) => <Icon size={12}>{open ? <path d="m3.5 6 4.5 4.5L12.5 6" /> : <path d="M6 3.5 10.5 8 6 12.5" />}</Icon>

export const Settings = () => <Icon><path d="M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6" /><circle cx="10" cy="4.5" r="1.5" /><circle cx="6" cy="11.5" r="1.5" /></Icon>
export const Up = () => <Icon><path d="M8 12.5v-9M4.5 7 8 3.5 11.5 7" /></Icon>
export const Upload = () => <Icon><path d="M8 10V2.8M5 5.5 8 2.5l3 3M3 13h10" /></Icon>
export const Tick = () => <Icon size={13}><path d="m3.5 8.5 3 3 6-7" /></Icon>
export const Cross = () => <Icon size={13}><path d="m4.2 4.2 7.6 7.6M11.8 4.2l-7.6 7.6" /></Icon>
export const Clock = () => <Icon size={13}><circle cx="8" cy="8" r="5.5" /><path d="M8 5v3.2l2 1.3" /></Icon>
export const Caution = () => <Icon size={13}><path d="M8 2.8 14 13H2zM8 7v2.6M8 11.4v.1" /></Icon>
export const Pulse = () => <Icon><path d="M1.8 8.5h3l1.7-4.5 3 8 1.7-3.5h3" /></Icon>
export const Funnel = () => <Icon><path d="M2.5 3.5h11L9.5 8.3v4l-3 1.2V8.3z" /></Icon>

export const Columns = () => <Icon><rect x="2.5" y="3" width="11" height="10" rx="1.2" /><path d="M6.2 3v10M9.8 3v10" /></Icon>
export const Tree = () => <Icon><path d="M3 3.5h4M3 3.5v8.5h3M3 7.8h3M8.5 7.8H13M8.5 12H13M9.5 3.5H13" /></Icon>
export const Narrower = () => <Icon size={13}><path d="M4 8h8" /></Icon>
export const Wider = () => <Icon size={13}><path d="M4 8h8M8 4v8" /></Icon>

/** A key, for a client certificate: filled when the server took it, crossed out when it did not, hollow otherwise. */
export function Key({ of }: { of: Shown }) {
  return (
    <Icon size={14}>
      <circle cx="5" cy="10.6" r="2.7" fill={of === 'accepted' ? 'currentColor' : 'none'} stroke-dasharray={of === 'asked' ? '2 1.6' : undefined} />
      <path d="M7 8.7 12.6 3M10.6 5l2.2 2.2" stroke-dasharray={of === 'asked' ? '2 1.6' : undefined} />
      {of === 'rejected' && <path d="m10 10 4 4m0-4-4 4" stroke-width="1.8" />}
    </Icon>
  )
}

/** The sign of an outcome: a shape for each, so that colour is never needed to tell them apart. */
export function Sign({ of }: { of: Outcome }) {
  const shape = {
    open: <circle class="pulse" cx="8" cy="8" r="4.2" stroke-dasharray="5 3.8" />,
    ok: <circle cx="8" cy="8" r="4" fill="currentColor" stroke="none" />,
    info: <circle cx="8" cy="8" r="3.6" />,
    redirect: <path d="M3.5 11V8.5a2 2 0 0 1 2-2h6.5M9.3 3.8 12.2 6.5 9.3 9.2" />,
    client: <path d="M8 3.2 13 12.3H3z" fill="currentColor" stroke="none" />,
    server: <rect x="4" y="4" width="8" height="8" fill="currentColor" stroke="none" />,
    failed: <path d="m4.2 4.2 7.6 7.6M11.8 4.2l-7.6 7.6" stroke-width="2.2" />,
    tunnel: <path d="M3 6h9.5M10.2 3.8 12.5 6l-2.3 2.2M13 10.5H3.5M5.8 8.3 3.5 10.5l2.3 2.2" stroke-width="1.4" />,
    switched: <path d="M5.2 12.5v-9M3 5.7l2.2-2.2 2.2 2.2M10.8 3.5v9M8.6 10.3l2.2 2.2 2.2-2.2" stroke-width="1.4" />,
  }[of]
  return <Icon size={12}>{shape}</Icon>
}

export const outcomeName: Record<Outcome, string> = {
  open: 'open', ok: 'success', info: 'informational', redirect: 'redirect', client: 'client error', server: 'server error',
  failed: 'failed', tunnel: 'tunnel', switched: 'WebSocket',
}
