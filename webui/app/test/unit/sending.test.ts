// What composing, replaying and messages are made of.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { briefly, common, compared, delta, tree } from '../../src/lib/attempts.ts'
import { curlRequest, looksLikeCurl, words } from '../../src/lib/curlcommand.ts'
import { reindent } from '../../src/lib/jsontext.ts'
import { injection, nothingSaid, preview, said, serverEvent, unhex, unread } from '../../src/lib/message.ts'
import { moveParam, params, removeParam, setParam } from '../../src/lib/params.ts'
import { Batch, planProblem, Watch } from '../../src/model/batch.ts'
import type { Message, Summary } from '../../src/api/types.ts'

const summary = (id: number, more: Partial<Summary> = {}): Summary => ({
  id, seq: id, kind: 'http', state: 'done', startedDateTime: '2026-01-01T00:00:00.000Z', time: 10, source: 'replay', client: {},
  request: { method: 'GET', url: 'https://a.test/', httpVersion: 'HTTP/1.1', headersSize: 0, bodySize: 0 },
  response: { status: 200, statusText: 'OK', httpVersion: 'HTTP/1.1', content: { size: 0, mimeType: '' }, headersSize: 0, bodySize: 5, truncated: false },
  timings: { blocked: -1, dns: -1, connect: -1, ssl: -1, send: 0, wait: 0, receive: 0 }, reused: false, answeredBy: 'origin', messages: 0, mark: '', comment: '', ...more,
})
const status = (n: number) => ({ response: { ...summary(1).response!, status: n } })

describe('parameters', () => {
  test('are read as a form reads them', () => {
    assert.deepEqual(params('https://a/?a=1&b=x+y%20z&c&=v&d=%zz#a=2').map((p) => [p.name, p.value]), [['a', '1'], ['b', 'x y z'], ['c', ''], ['', 'v'], ['d', '%zz']])
    assert.deepEqual(params('https://a/'), [])
    assert.deepEqual(params('https://a/?'), [])
  })
  test('what is not touched stays as it was written', () => {
    const url = 'https://a/p?a=%7e1&b=x+y&c#top'
    assert.equal(setParam(url, 1, 'b', 'ä & é=1'), 'https://a/p?a=%7e1&b=%C3%A4+%26+%C3%A9=1&c#top')
    assert.equal(setParam(url, 2, 'c', ''), url)
    assert.equal(setParam(url, 3, 'new', '#'), 'https://a/p?a=%7e1&b=x+y&c&new=%23#top')
    assert.equal(setParam('https://a', 0, 'q', '1+1'), 'https://a?q=1%2B1')
    assert.equal(removeParam(url, 0), 'https://a/p?b=x+y&c#top')
    assert.equal(removeParam('https://a/?x=1#t', 0), 'https://a/#t')
    assert.equal(moveParam(url, 0, 1), 'https://a/p?b=x+y&a=%7e1&c#top')
    assert.equal(moveParam(url, 0, -1), url)
  })
  test('any text comes back as it was typed', () => {
    for (const text of ['', 'a b', '100%', 'a=b&c', 'x?y#z', '"[]{}|\\^`', 'ö漢', '+', "it's; (ok)*!"]) {
      const p = params(setParam('https://a/', 0, `n${text}`, text))
      assert.deepEqual([p.length, p[0]?.name, p[0]?.value], [1, `n${text}`, text])
    }
  })
})

describe('curl commands', () => {
  test('are split as a shell does', () => {
    assert.deepEqual(words(`curl 'a b' "c \\"d\\" $x" e\\ f $'g\\n\\x41\\u00e9' \\\n -X"PO"'ST' | jq .`), ['curl', 'a b', 'c "d" $x', 'e f', 'g\nAé', '-XPOST'])
    assert.throws(() => words(`curl 'a`), /not closed/)
    assert.throws(() => words(`curl "a`), /not closed/)
    assert.throws(() => words(`curl $'a`), /not closed/)
  })
  test('become requests', () => {
    const r = curlRequest(`curl -sSLk -XPUT 'https://a.test/x?y=1' -H 'X-A: 1' -H 'X-Empty;' -H 'Gone:' --data '{"a":1}' -H 'content-type: application/json' -x p.test:3128 --compressed -o out --max-time 5`)
    assert.deepEqual([r.method, r.url, r.body, r.insecure, r.via, r.notes], ['PUT', 'https://a.test/x?y=1', '{"a":1}', true, 'http://p.test:3128', []])
    assert.deepEqual(r.headers.map((h) => `${h.name}: ${h.value}`), ['Accept: */*', 'X-A: 1', 'X-Empty: ', 'content-type: application/json', 'Accept-Encoding: gzip, deflate, br'])
  })
  test('take their data as curl does', () => {
    const form = curlRequest(`curl a.test -d a=1 -d 'b=2\n3' --data-urlencode 'c=ä&'`)
    assert.deepEqual([form.method, form.url, form.body], ['POST', 'http://a.test', 'a=1&b=23&c=%C3%A4%26'])
    assert.ok(form.headers.some((h) => h.value === 'application/x-www-form-urlencoded'))
    assert.equal(curlRequest(`curl -G a.test/x -d q=1 --data-urlencode 'w=a b'`).url, 'http://a.test/x?q=1&w=a%20b')
    const json = curlRequest(`curl --json '{"a":' --json '1}' https://a.test`)
    assert.equal(json.body, '{"a":1}')
    assert.equal(json.headers.filter((h) => h.value === 'application/json').length, 2)
    assert.equal(curlRequest(`curl -I https://a.test`).method, 'HEAD')
    assert.ok(curlRequest(`curl -u me:pw https://a.test`).headers.some((h) => h.value === 'Basic bWU6cHc='))
    assert.deepEqual(curlRequest(`curl https://a.test -d @file -F a=b`).notes, ['the body in the file file', 'a multipart form'])
  })
  test('are told from addresses, and refused where they are none', () => {
    assert.ok(looksLikeCurl(' $ curl https://a'))
    assert.ok(!looksLikeCurl('https://curl.se/ '))
    assert.throws(() => curlRequest('curl -v'), /no address/)
    assert.throws(() => curlRequest('wget https://a'), /begins with curl/)
  })
})

describe('messages', () => {
  const m = (part: Partial<Message>): Message => ({ n: 1, direction: 'sent', kind: 'text', time: '', size: 1, ...part })
  test('are shown in a line, whatever they hold', () => {
    assert.equal(preview(m({ text: 'a\u202eb' })), 'a‹U+202E›b')
    assert.equal(preview(m({ kind: 'binary', data: 'AP8=' })), '00 ff')
    assert.ok(unread(m({ size: 70_000 })))
    assert.ok(!unread(m({ size: 0 })))
  })
  test('bytes are read from hexadecimal', () => {
    assert.deepEqual([...unhex('00 ff:0x2A\n')!], [0, 255, 42])
    assert.equal(unhex('0'), undefined)
    assert.equal(unhex('xy'), undefined)
  })
  test('events are read by their fields', () => {
    assert.deepEqual(serverEvent('event: tick\nid: 7\ndata: {"a":\ndata:1}\n: hello\nretry:100'), { event: 'tick', id: '7', retry: '100', data: '{"a":\n1}', comments: [' hello'.slice(1)] })
    assert.equal(serverEvent('data').data, '')
  })
  test('a form makes one, or says what is wrong', () => {
    assert.deepEqual(injection({ ...nothingSaid, content: 'x' }), { direction: 'sent', kind: 'text', text: 'x' })
    assert.deepEqual(injection({ ...nothingSaid, kind: 'binary', content: '00ff' }), { direction: 'sent', kind: 'binary', data: 'AP8=' })
    assert.deepEqual(injection({ ...nothingSaid, kind: 'binary', as: 'base64', content: 'AP8' }), { direction: 'sent', kind: 'binary', data: 'AP8=' })
    assert.match(injection({ ...nothingSaid, kind: 'binary', content: 'zz' }) as string, /hexadecimal/)
    assert.deepEqual(injection({ ...nothingSaid, kind: 'close', code: '1001', content: 'bye' }), { direction: 'sent', kind: 'close', code: 1001, text: 'bye' })
    assert.match(injection({ ...nothingSaid, kind: 'close', code: '', content: 'bye' }) as string, /code/)
    for (const s of [m({ text: 'again' }), m({ kind: 'binary', data: 'AP8=' }), m({ kind: 'close', text: '1000 bye', direction: 'received' })]) {
      const again = injection(said(s))
      assert.ok(typeof again !== 'string')
      assert.deepEqual([again.direction, again.kind, again.data], [s.direction, s.kind, s.kind === 'binary' ? s.data : undefined])
    }
  })
})

test('JSON is laid out as it is written', () => {
  assert.equal(reindent('{"a":12345678901234567890,"b":[1,{ }],"c":"\\u00e4, [x]: y","d":[ ]}'), '{\n  "a": 12345678901234567890,\n  "b": [\n    1,\n    {}\n  ],\n  "c": "\\u00e4, [x]: y",\n  "d": []\n}')
  assert.equal(reindent('{"a":'), '')
})

describe('attempts', () => {
  test('stand below what they repeat', () => {
    const list = tree(summary(1), [summary(5, { replayOf: 2 }), summary(2, { replayOf: 1 }), summary(3, { replayOf: 1 }), summary(9, { replayOf: 77 })])
    assert.deepEqual(list.map((a) => [a.x.id, a.depth]), [[1, 0], [2, 1], [5, 2], [3, 1], [9, 1]])
  })
  test('say in a few words what is otherwise', () => {
    assert.equal(briefly(summary(1), summary(2)), '')
    assert.equal(briefly(summary(1), summary(2, { ...status(403), answeredBy: 'proxy' })), 'status 200 → 403, answered by proxy')
    const d = (part: string, where: string, a: string | null, b: string | null, masked?: string[]) => ({ part, where, a, b, incidental: false, ...(masked ? { masked } : {}) })
    const c = { a: 1, b: 2, same: false, more: 0, masks: [], notes: [] }
    assert.equal(compared({ ...c, same: true, differences: [] }), 'same answer')
    assert.equal(compared({ ...c, differences: [d('response', 'response', 'HTTP/1.1 200 OK', 'HTTP/1.1 403 Forbidden'), d('response', 'response header Date', 'a', 'b', ['dates'])] }), 'status 200 → 403')
    assert.equal(compared({ ...c, differences: [d('response', 'response header Etag', '1', '2'), d('response body', 'response body.a[1]', '1', null)] }), 'header Etag, body.a[1]')
    assert.match(compared({ ...c, more: 5, differences: [1, 2, 3].map((n) => d('response body', `response body.n${n}`, '1', '2')) }), /^body\.n1, and 7 other differences \(body\)$/)
  })
  test('times are told beside the first', () => {
    assert.deepEqual([delta(10, 10.2), delta(10, 30), delta(1500, 300), delta(-1, 5)], ['±0', '+20 ms', '−1.2 s', ''])
  })
  test('texts differ in their middle, never within a character', () => {
    assert.deepEqual(common('abcdef', 'abXdef'), { lead: 'ab', a: 'c', b: 'X', tail: 'def' })
    assert.deepEqual(common('aa', 'aaa'), { lead: 'aa', a: '', b: 'a', tail: '' })
    const c = common('x😀y', 'x😁y')
    assert.deepEqual([c.lead, c.a, c.b, c.tail], ['x', '😀', '😁', 'y'])
  })
})

describe('sending many', () => {
  /** desk answers what is sent when it is told to. */
  function desk() {
    let next = 100
    const open = new Map<number, (x: Summary) => void>()
    let most = 0
    return {
      open, most: () => most,
      send: async () => {
        const id = next++
        return id
      },
      wait: (id: number, signal: AbortSignal) => new Promise<Summary>((resolve, reject) => {
        open.set(id, resolve)
        most = Math.max(most, open.size)
        signal.addEventListener('abort', () => reject(new Error('aborted')))
      }),
      async finish(n: number) {
        for (let i = 0; i < n; i++) {
          while (open.size === 0) await new Promise((r) => setImmediate(r))
          const [id, resolve] = [...open][0]!
          open.delete(id)
          resolve(summary(id, i % 2 ? status(500) : {}))
          await new Promise((r) => setImmediate(r))
        }
      },
    }
  }
  test('sends as often as asked, never more at once', async () => {
    const d = desk()
    const b = new Batch('t', { times: 20, concurrency: 3, pause: 0 }, d)
    const ran = b.run()
    await d.finish(20)
    await ran
    const p = b.progress.value
    assert.deepEqual([p.sent, p.done, p.ended, p.first, p.last, d.most(), p.outcomes.get('200'), p.outcomes.get('500')], [20, 20, true, 100, 119, 3, 10, 10])
  })
  test('stops when it is told to', async () => {
    const d = desk()
    const b = new Batch('t', { times: 1000, concurrency: 2, pause: 0 }, d)
    const ran = b.run()
    await d.finish(4)
    b.cancel()
    await ran
    assert.ok(b.progress.value.sent <= 7 && b.progress.value.ended)
  })
  test('keeps its pauses', async () => {
    const at: number[] = []
    const b = new Batch('t', { times: 4, concurrency: 4, pause: 30 }, { send: async () => at.push(performance.now()), wait: async (id) => summary(id) })
    await b.run()
    for (let i = 1; i < at.length; i++) assert.ok(at[i]! - at[i - 1]! >= 20, `${at[i]! - at[i - 1]!} ms`)
  })
  test('says what was said against it', async () => {
    const b = new Batch('t', { times: 5, concurrency: 1, pause: 0 }, { send: () => Promise.reject(new Error('no such certificate')), wait: async (id) => summary(id) })
    await assert.rejects(b.run(), /no such certificate/)
    assert.equal(planProblem({ times: 2, concurrency: 1, pause: 0 }), '')
    for (const p of [{ times: 0, concurrency: 1, pause: 0 }, { times: 1, concurrency: 1.5, pause: 0 }, { times: 2, concurrency: 1, pause: Number.NaN }, { times: 10 ** 6, concurrency: 1, pause: 0 }]) assert.notEqual(planProblem(p), '')
  })
  test('one question is asked for all that are waited for', async () => {
    const asked: number[][] = []
    const w = new Watch(async (ids) => {
      asked.push(ids)
      return asked.length < 2 ? [] : ids.map((id) => summary(id))
    }, 1)
    const none = new AbortController().signal
    const gone = new AbortController()
    const lost = assert.rejects(w.wait(9, gone.signal))
    gone.abort()
    const got = await Promise.all([w.wait(1, none), w.wait(2, none)])
    await lost
    assert.deepEqual(got.map((x) => x.id), [1, 2])
    assert.deepEqual(asked, [[1, 2], [1, 2]])
  })
})
