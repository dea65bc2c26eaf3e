// The commands that do what a form does.

import type { ClientCertificateInput, PolicyInput, RouteInput, Trial, TrustInput, WayTrial } from '../api/settings.ts'
import { quote } from './curl.ts'

function line(...words: (string | undefined)[]): string {
  return ['eaves', ...words.filter((w): w is string => w !== undefined && w !== '')].join(' ')
}

const flag = (name: string, value: string | undefined): string | undefined => (value ? `--${name} ${quote(value)}` : undefined)

/** certificateCommand; names are those of the files where they are not known by path. */
export function certificateCommand(c: ClientCertificateInput, names: { pfx?: string; cert?: string; key?: string } = {}): string {
  const pfx = c.pfxFile || names.pfx
  const cert = c.certificateFile || names.cert
  const key = c.keyFile || names.key
  const from = c.token ? flag('token', c.token) : pfx || !cert ? flag('pfx', pfx || 'FILE.p12') : `${flag('cert', cert)}${key ? ' ' + flag('key', key) : ''}`
  return line('cert add', quote(c.host?.trim() || 'HOST'), from, flag('passphrase', c.passphrase?.trim()), c.for === 'proxy' ? '--proxy' : undefined, flag('name', c.name?.trim()))
}

export function trustCommand(t: TrustInput & { name?: string }): string {
  return line('trust add', quote(t.file || t.name || 'CA.pem'), flag('host', t.host?.trim()))
}

export function policyCommand(p: PolicyInput): string {
  return line('tls set', quote(p.host.trim() || 'HOST'), flag('min', p.min), flag('max', p.max), flag('ciphers', p.ciphers?.join(',')), flag('alpn', p.alpn?.join(',')),
    p.verify === true ? '--verify on' : p.verify === false ? '--verify off' : undefined, flag('server-name', p.serverName),
    p.renegotiation && p.renegotiation !== 'never' ? flag('renegotiation', p.renegotiation) : undefined)
}

export function routeCommand(r: RouteInput): string {
  return line('route add', quote(r.host?.trim() || 'HOST'), ...(r.via ?? []).map((v) => flag('via', v)), flag('user', r.user?.trim()), flag('password', r.password?.trim()), ...(r.schemes ?? []).map((s) => flag('scheme', s)))
}

export function defaultRouteCommand(via: readonly string[], bypass: string): string {
  return line('route default', ...via.map((v) => flag('via', v)), `--bypass ${quote(bypass.trim())}`)
}

/** wayTrialCommand tries a way that is not kept. */
export function wayTrialCommand(t: WayTrial): string {
  return line('route test', quote(t.url.trim() || 'URL'), ...t.via.map((v) => flag('via', v)), flag('bypass', t.bypass))
}

/** trialCommand asks what a trial asks: explain or doctor. */
export function trialCommand(t: Trial, what: 'doctor' | 'explain' = 'doctor'): string {
  return line(what, quote(t.url.trim() || 'URL'), flag('cert', t.certificate), flag('via', t.via), typeof t.verify === 'boolean' ? `--verify ${t.verify ? 'on' : 'off'}` : undefined)
}
