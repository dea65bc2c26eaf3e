import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

/** weigh runs the scales over a directory, or over the console as it was built. */
function weigh(...dir: string[]) {
  return spawnSync(process.execPath, ['scripts/weight.mjs', ...dir], { encoding: 'utf8', timeout: 30_000 })
}

test('the console is no more than it may weigh', () => {
  const { status, stdout, stderr } = weigh()
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^\d+ files, gzipped \d+\.\d kB of at most 300\.0 kB\n$/)
})

test('the page begins with few scripts', () => {
  const page = readFileSync('../dist/index.html', 'utf8')
  const scripts = page.match(/(?:href|src)="[^"]+\.js"/g) ?? []
  assert.ok(scripts.length >= 1 && scripts.length <= 6, scripts.join())
})

test('what weighs too much is refused, and what weighs most is named', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weight-'))
  try {
    mkdirSync(join(dir, 'in'))
    writeFileSync(join(dir, 'light.js'), 'x'.repeat(1_000_000))
    writeFileSync(join(dir, 'a.js'), randomBytes(150_000))
    assert.equal(weigh(dir).status, 0)
    writeFileSync(join(dir, 'in', 'b.js'), randomBytes(151_000))
    const { status, stderr } = weigh(dir)
    assert.equal(status, 1)
    assert.match(stderr, /too heavy: [^]*\n {2}151\.\d kB b\.js\n {2}150\.\d kB a\.js\n {2}1\.\d kB light\.js\n/)
  } finally {
    rmSync(dir, { recursive: true })
  }
})
