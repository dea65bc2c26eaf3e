import assert from 'node:assert/strict'
import { test } from 'node:test'
import { added, entries, entryMeaning, entryProblem } from '../../src/lib/bypass.ts'
import { ageWords, readAge, readSize, writeAge, writeSize } from '../../src/lib/quantity.ts'
import { nameProblem } from '../../src/ui/settings/Secrets.tsx'

test('sizes and ages are read as the commands read them', () => {
  for (const [text, n] of [['0', 0], ['1048576', 1048576], ['500k', 512_000], [' 20 MB ', 20 << 20], ['1.5g', 1.5 * 2 ** 30], ['2GiB', 2 ** 31], ['.5m', 2 ** 19]] as const) assert.equal(readSize(text), n, text)
  for (const text of ['', 'x', '-1', '1q', '1e3', '9999999t', '7d']) assert.equal(readSize(text), undefined, text)
  for (const [text, n] of [['0', 0], ['90s', 90_000], ['10m', 600_000], ['1.5h', 5_400_000], ['7d', 604_800_000], ['2W', 1_209_600_000]] as const) assert.equal(readAge(text), n, text)
  for (const text of ['', '7', '-7d', 'd', '1y', '999999999w']) assert.equal(readAge(text), undefined, text)
})

test('what is written is read as the same again', () => {
  for (const n of [0, 1, 1000, 1024, 2 ** 30, 20 * 2 ** 30, 1.5 * 2 ** 30, 123_456_789]) assert.equal(readSize(writeSize(n)), n, writeSize(n))
  for (const n of [0, 1, 1500, 60_000, 5_400_000, 30 * 86_400_000]) assert.equal(readAge(writeAge(n)), n, writeAge(n))
  assert.deepEqual([writeSize(20 * 2 ** 30), writeSize(1.5 * 2 ** 30), writeAge(30 * 86_400_000), writeAge(0)], ['20g', '1.5g', '30d', '0'])
  assert.deepEqual([ageWords(86_400_000), ageWords(43_200_000), ageWords(90_000)], ['1 day', '12 hours', '1.5 minutes'])
})

test('bypass entries: what is right passes, what is wrong is said', () => {
  for (const e of ['<local>', '<-loopback>', 'a.test', '.corp.test', '*.corp.test:8080', '10.0.0.0/8', '192.168.*', 'api-*.corp.test', '[::1]', '*']) assert.equal(entryProblem(e), '', e)
  for (const e of ['<lokal>', 'https://a.test/', 'a..b', 'a:0', 'a.test/x', '', '*..a']) assert.notEqual(entryProblem(e), '', e)
  assert.match(entryMeaning('.corp.test'), /below corp\.test, not corp\.test itself/)
  assert.match(entryMeaning('<local>'), /without a dot/)
  assert.match(entryMeaning('192.168.*'), /begin with 192\.168/)
  assert.match(entryMeaning('build.test:8080'), /port 8080 only/)
})

test('a bypass list takes several at once, each once, and nothing that is wrong', () => {
  assert.deepEqual(entries(' a.test, .b;<local>\n10.0.0.0/8 '), ['a.test', '.b', '<local>', '10.0.0.0/8'])
  assert.deepEqual(added(['a.test'], 'A.TEST b.test').list, ['a.test', 'b.test'])
  const bad = added(['a.test'], 'b.test a..b')
  assert.deepEqual(bad.list, ['a.test'])
  assert.match(bad.wrong, /^a\.\.b: /)
})

test('a secret has a name that a reference can hold', () => {
  assert.equal(nameProblem('proxy-password.2_b'), '')
  for (const n of ['', ' ', 'a b', 'a/b', 'ä']) assert.notEqual(nameProblem(n), '', n)
})
