// The settings part of the console's API, without anything behind it: what the pages say to servers and do with their
// answers. It keeps what it is given, and refuses the passphrase "wrong" and hosts that hold "refused".

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientCertificateEntry, Explanation, InventoryEntry, Policy, RouteRule, Routes, Stage, TrustEntry } from '../src/api/settings.ts'
import type { Certificate } from '../src/api/types.ts'

const day = 86_400_000

export function certificate(cn: string, days: number, issuer = 'CN=Bank Test CA,O=Bank'): Certificate {
  return {
    subject: `CN=${cn},O=Bank`, issuer, serial: '5f3a91c27d8e4b60a1f2', notBefore: new Date(Date.now() - 100 * day).toISOString(),
    notAfter: new Date(Date.now() + days * day + 3_600_000).toISOString(), dnsNames: [], sha256: 'a1'.repeat(32),
  }
}

export function clientCertificate(id: number, over: Partial<ClientCertificateEntry> = {}): ClientCertificateEntry {
  return {
    id, enabled: true, host: 'api.bank.test:443', for: 'origin', name: '', uploaded: true, pfxFile: '/data/certificates/1.p12', certificateFile: '', keyFile: '',
    certificate: certificate('alice', 200), chain: [], key: 'RSA 2048', warnings: [], problem: '', hint: '', expiresInDays: 200, lastAccepted: null, lastRejected: null, ...over,
  }
}

type Json = Record<string, unknown>

function explanation(url: string): Explanation {
  return {
    url, route: { source: 'direct', hops: [{ kind: 'origin', address: 'api.bank.test:443', dns: -1, connect: -1 }] }, why: ['No route matches api.bank.test, and no proxy is set: the way is direct.'],
    clientCertificate: {
      rule: '*.bank.test:443', id: 1, explanation: 'If the server asks, it is shown CN=alice,O=Bank, because *.bank.test:443 matches.',
      candidates: [{ id: 1, rule: '*.bank.test:443', subject: 'CN=alice,O=Bank', matches: true, reason: 'matches' }, { id: 2, rule: 'api.bank.test:8443', subject: 'CN=auditor,O=Bank', matches: false, reason: 'is for port 8443' }],
    },
    trust: { roots: 'system + 1 added', added: [{ id: 1, subject: 'CN=Corporate Root CA', host: '' }], verify: true, explanation: 'The certificate must be good by the system’s CAs and 1 added.' },
    tls: { rule: '', min: '1.2', max: '1.3', ciphers: [], alpn: ['h2', 'http/1.1'], serverName: 'api.bank.test', explanation: 'TLS 1.2 to 1.3, as usual.' },
  }
}

export class FakeSettings {
  certificates: ClientCertificateEntry[] = []
  trust: TrustEntry[] = []
  policies: Policy[] = []
  routes: Routes = { routes: [], default: { upstreamProxy: ['direct'], bypass: '', source: 'default', locked: false } }
  /** Undefined: this eaves has no inventory. */
  inventory: InventoryEntry[] | undefined
  stages: Stage[] = []
  /** Held back until it is called, where a test wants to see stages come one by one. */
  release: (() => void) | undefined
  hold = false
  /** What was sent: method, path and body. */
  sent: { method: string; path: string; body: Json }[] = []
  private ids = 100

  /** serve answers what belongs to the settings, and says whether it did. */
  async serve(q: IncomingMessage, a: ServerResponse, path: string): Promise<boolean> {
    const m = /^\/(client-certificates|trust|tls-policies|routes|doctor|explain|certificates|requests)(?:\/(\w+))?$/.exec(path) ?? /^\/(exchanges)\/\d+\/(replay)$/.exec(path)
    if (!m) return false
    const chunks: Buffer[] = []
    for await (const c of q) chunks.push(c as Buffer)
    const body = (chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {}) as Json
    if (q.method !== 'GET') this.sent.push({ method: q.method!, path, body })
    const json = (v: unknown, status = 200) => {
      a.statusCode = status
      a.setHeader('Content-Type', status < 400 ? 'application/json' : 'application/problem+json')
      a.end(status === 204 ? undefined : JSON.stringify(v))
    }
    const wrong = (status: number, detail: string, parameter?: string, hint?: string) => json({ title: 'problem', status, detail, parameter, hint }, status)
    const [, what, id] = m
    if (what === 'requests' || id === 'replay') json({ id: 1 }, 202)
    else if (what === 'certificates') this.inventory ? json({ certificates: this.inventory }) : wrong(404, 'there is no such resource')
    else if (what === 'explain') json(explanation(new URL(q.url!, 'http://fake').searchParams.get('url') ?? ''))
    else if (what === 'doctor' || id === 'test') await this.doctor(a)
    else if (what === 'routes' && id === 'default') {
      if (this.routes.default!.locked) wrong(409, 'the flag --upstream-proxy decides this', 'upstreamProxy')
      else {
        Object.assign(this.routes.default!, body, { source: 'settings' })
        json(this.routes.default)
      }
    } else this.resource(q.method!, what!, id === undefined ? undefined : Number(id), body, json, wrong)
    return true
  }

  private resource(method: string, what: string, id: number | undefined, body: Json, json: (v: unknown, status?: number) => void, wrong: (status: number, detail: string, parameter?: string, hint?: string) => void): void {
    const list = (what === 'client-certificates' ? this.certificates : what === 'trust' ? this.trust : what === 'tls-policies' ? this.policies : this.routes.routes!) as { id: number }[]
    const at = list.findIndex((e) => e.id === id)
    if (method !== 'GET' && method !== 'POST' && at < 0) return wrong(404, 'there is no such entry')
    if (typeof body.host === 'string' && body.host.includes('refused')) return wrong(400, `${body.host} is no host pattern`, 'host')
    if (body.secret === 'wrong') return wrong(422, 'the passphrase does not open the file', 'secret', 'type the passphrase that the file was made with')
    switch (method) {
      case 'GET': {
        const name = { 'client-certificates': 'clientCertificates', trust: 'trust', 'tls-policies': 'tlsPolicies' }[what]
        return json(name ? { [name]: list } : this.routes)
      }
      case 'POST': {
        const made = this.make(what, ++this.ids, body)
        list.push(made)
        return json(made, 201)
      }
      case 'PUT': {
        const { secret: _, position, pfxData: _p, certificateData: _c, keyData: _k, data: _d, ...rest } = body
        Object.assign(list[at]!, rest)
        if (typeof position === 'number') list.splice(position, 0, ...list.splice(at, 1))
        return json(list.find((e) => e.id === id))
      }
      default:
        list.splice(at, 1)
        return json(undefined, 204)
    }
  }

  private make(what: string, id: number, body: Json): { id: number } {
    const { secret, pfxData, certificateData, keyData, data, position: _, ...rest } = body
    switch (what) {
      case 'client-certificates':
        return clientCertificate(id, { pfxFile: '', ...rest, uploaded: Boolean(pfxData || certificateData || keyData), ...(secret ? { passphrase: 'vault:certificate-1' } : {}) })
      case 'trust':
        return { id, enabled: true, file: '/data/certificates/ca.pem', uploaded: Boolean(data), certificates: [certificate('Corporate CA', 900)], warnings: [], problem: '', host: '', ...rest } as TrustEntry
      case 'routes':
        return { id, enabled: true, host: '', via: [], passwordSet: Boolean(secret), password: secret ? 'vault:route-1' : '', ...rest } as RouteRule
      default:
        return { id, enabled: true, host: '', ...rest } as Policy
    }
  }

  private async doctor(a: ServerResponse): Promise<void> {
    a.setHeader('Content-Type', 'application/x-ndjson')
    for (const [i, s] of this.stages.entries()) {
      if (this.hold && i === this.stages.length - 1) await new Promise<void>((go) => (this.release = go))
      // In two pieces, as a network may deliver it.
      const line = Buffer.from(JSON.stringify(s) + '\n')
      a.write(line.subarray(0, 7))
      a.write(line.subarray(7))
    }
    a.end()
  }
}

/** filled is a set of settings with one of everything, for pictures. */
export function filled(): FakeSettings {
  const s = new FakeSettings()
  const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()
  s.certificates = [
    clientCertificate(1, { host: '*.bank.test', name: 'Alice', passphrase: 'vault:certificate-1', lastAccepted: { exchange: 1, time: at(3), host: 'api.bank.test:443' } }),
    clientCertificate(2, {
      host: 'api.bank.test:8443', certificate: certificate('auditor with a rather long name', 11, 'CN=Bank Test Intermediate CA 2,OU=Public Key Infrastructure,O=Bank'), key: 'ECDSA P-256', uploaded: false, pfxFile: '',
      certificateFile: '/home/ada/certificates/auditor.pem', keyFile: '/home/ada/certificates/auditor.key', passphrase: 'env:AUDITOR',
      warnings: [{ code: 'expires-soon', message: 'expires in 11 days' }, { code: 'chain', message: 'the issuer’s certificate is not in the file; a server may not know it' }],
      lastAccepted: { exchange: 1, time: at(600), host: 'api.bank.test:8443' }, lastRejected: { exchange: 2, time: at(25), host: 'api.bank.test:8443', alert: 'unknown_ca' },
    }),
    clientCertificate(3, { host: 'old.partner.test:*', enabled: false, certificate: certificate('partner', -40), warnings: [{ code: 'expired', message: 'expired 39 days ago; a server will most likely refuse it' }] }),
    clientCertificate(4, { host: 'proxy.corp.test:3129', for: 'proxy', name: 'Gateway', certificate: null, key: '', token: 'pkcs11:token=work;object=gateway', uploaded: false, pfxFile: '', problem: 'the token is not there', hint: 'insert it, or check the URI with p11tool --list-all' }),
  ]
  s.trust = [
    { id: 1, enabled: true, host: '', file: '/etc/ssl/corporate.pem', uploaded: false, certificates: [certificate('Corporate Root CA', 2200)], warnings: [] },
    { id: 2, enabled: true, host: '*.lab.test', file: '/data/certificates/lab.pem', uploaded: true, certificates: [certificate('Lab CA', 20)], warnings: [{ code: 'expires-soon', message: 'expires in 20 days' }] },
  ]
  s.policies = [
    { id: 1, enabled: true, host: '*.old.test', min: '1.0', max: '1.2', ciphers: ['TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_RSA_WITH_AES_256_CBC_SHA'], alpn: ['http/1.1'], verify: null, serverName: '', renegotiation: 'never' },
    { id: 2, enabled: true, host: '10.0.0.0/8', verify: false, renegotiation: 'once' },
  ]
  s.routes = {
    routes: [
      { id: 1, enabled: true, host: '*.corp.test', via: ['http://proxy.corp.test:3128'], user: 'CORP\\alice', password: 'vault:route-1', passwordSet: true, schemes: ['ntlm'] },
      { id: 2, enabled: true, host: 'partner.example', via: ['http://proxy.corp.test:3128', 'socks5://gateway.corp.test:1080'], user: '', passwordSet: false },
      { id: 3, enabled: false, host: '192.168.0.0/16', via: ['direct'] },
    ],
    default: { upstreamProxy: ['system'], bypass: '<local>, .corp.test, 10.0.0.0/8', source: 'settings', locked: false },
  }
  s.inventory = [
    { kind: 'client', ...certificate('alice', 200), expiresInDays: 200, usedBy: ['client certificate 1 for *.bank.test:443'], lastAccepted: { exchange: 1, time: at(3), host: 'api.bank.test:443' }, warnings: [] },
    { kind: 'server', ...certificate('api.bank.test', 60), expiresInDays: 60, sha256: 'b2'.repeat(32), usedBy: [], seen: { exchange: 1, time: at(3), host: 'api.bank.test:443' }, warnings: [] },
    { kind: 'ca', ...certificate('Lab CA', 20), expiresInDays: 20, sha256: 'c3'.repeat(32), usedBy: ['trust 2 for *.lab.test'], warnings: [{ code: 'expires-soon', message: 'expires in 20 days' }] },
    { kind: 'eaves', ...certificate('eaves CA', 3000), expiresInDays: 3000, sha256: 'd4'.repeat(32), usedBy: ['interception'], warnings: [] },
  ]
  s.stages = [
    { stage: 'route', title: 'Route: direct', status: 'ok', time: 0.1, facts: [{ name: 'because', value: 'no route matches api.bank.test' }] },
    { stage: 'dns', title: 'Name lookup', status: 'ok', time: 1.2, facts: [{ name: 'addresses', value: '192.0.2.7' }] },
    { stage: 'tcp', title: 'Connected to 192.0.2.7:443', status: 'ok', time: 8.4 },
    { stage: 'tls', title: 'TLS 1.3', status: 'warning', time: 21, facts: [{ name: 'cipher', value: 'TLS_AES_128_GCM_SHA256' }], message: 'the certificate expires in 3 days' },
    { stage: 'request-certificate', title: 'The server asks for a client certificate', status: 'info', time: 0, facts: [{ name: 'acceptable CAs', value: 'CN=Partner CA' }] },
    { stage: 'client-certificate', title: 'CN=alice,O=Bank was sent', status: 'ok', time: 0, facts: [{ name: 'rule', value: '*.bank.test:443' }] },
    { stage: 'verdict', title: 'The server refused it', status: 'failed', time: 12, message: 'alert unknown_ca', hint: 'the issuer is not among the acceptable CAs' },
    { stage: 'response', title: 'First response', status: 'skipped', time: 0 },
    { stage: 'result', title: 'Failed', status: 'failed', time: 44, message: 'The server does not accept certificates of CN=Bank Test CA,O=Bank.', hint: 'Use a certificate that CN=Partner CA has issued: eaves cert add api.bank.test --pfx FILE' },
  ]
  return s
}
