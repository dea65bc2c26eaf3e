import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { ProxyClient } from '../../src/api/onboarding.ts'
import { assign, environment, variables } from '../../src/lib/environment.ts'
import { device, spoken, steps } from '../../src/lib/progress.ts'
import { format, parse } from '../../src/model/location.ts'

const client = (over: Partial<ProxyClient>): ProxyClient => ({ address: '192.168.1.7', connected: '2026-01-31T10:00:00.000Z', trusted: null, refused: null, requests: 0, last: '2026-01-31T10:00:00.000Z', ...over })
const states = (c: ProxyClient | undefined) => steps(c).map((s) => s.state).join(' ')

test('a step is done, waited for, or refused', () => {
  assert.equal(states(undefined), 'waiting waiting waiting')
  assert.equal(states(client({})), 'done waiting waiting')
  assert.equal(states(client({ refused: '2026-01-31T10:00:01.000Z' })), 'done refused waiting')
  assert.equal(states(client({ refused: '2026-01-31T10:00:01.000Z', trusted: '2026-01-31T10:00:09.000Z', requests: 3 })), 'done done done')
  assert.equal(states(client({ trusted: '2026-01-31T10:00:01.000Z', refused: '2026-01-31T10:00:09.000Z' })), 'done refused waiting')
  assert.equal(states(client({ requests: 1 })), 'done waiting done', 'plain http needs no trust')
  assert.match(spoken(steps(client({}))), /Connected: yes, 192\.168\.1\.7; Trusted: not yet/)
})

test('this machine is called so', () => {
  for (const a of ['127.0.0.1', '127.0.0.9', '::1', '::ffff:127.0.0.1']) assert.equal(device(a), 'this machine')
  for (const a of ['192.168.1.7', '::2', 'fe80::1%eth0', '1.127.0.0']) assert.equal(device(a), a)
})

test('a shell takes the variables as they are meant', () => {
  const ca = "/home/o'neil/my data/$HOME/ca.pem"
  const script = environment('127.0.0.1:8484', ca, 'sh')
  const out = execFileSync('sh', ['-c', `${script}\nprintf '%s\\n' "$HTTPS_PROXY" "$NODE_EXTRA_CA_CERTS" "$http_proxy"`], { encoding: 'utf8' })
  assert.equal(out, `http://127.0.0.1:8484\n${ca}\nhttp://127.0.0.1:8484\n`)
  assert.equal(assign('A', "it's", 'PowerShell'), "$env:A = 'it''s'")
  assert.equal(assign('A', "it's \\ so", 'fish'), "set -gx A 'it\\'s \\\\ so'")
  assert.equal(assign('A', 'C:\\data dir\\ca.pem', 'cmd'), 'set "A=C:\\data dir\\ca.pem"')
  const names = variables('p', 'c', 'PowerShell').map(([n]) => n.toUpperCase())
  assert.equal(new Set(names).size, names.length, 'Windows would take one for the other')
})

test('the page has an address of its own', () => {
  assert.equal(parse('#/start').page, 'start')
  assert.equal(format({ ...parse('#/start'), filter: 'a' }), '#/start?filter=a')
})
