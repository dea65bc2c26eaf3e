// Runs the unit or the browser tests: bundled by esbuild, run by Node's own test runner.
import { build } from 'esbuild'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const app = join(dirname(fileURLToPath(import.meta.url)), '..')
const kind = process.argv[2] ?? 'unit'
const wanted = process.argv[3] ?? ''

const files = (await readdir(join(app, 'test', kind))).filter((f) => f.endsWith('.test.ts') && f.includes(wanted))
// Below node_modules, so that bundled tests find the packages they import.
const out = await mkdtemp(join(app, 'node_modules', '.test-'))
try {
  await build({
    absWorkingDir: app, entryPoints: files.map((f) => join('test', kind, f)), outdir: out, bundle: true, platform: 'node', format: 'esm', target: 'node18',
    outExtension: { '.js': '.mjs' }, packages: 'external', jsx: 'automatic', jsxImportSource: 'preact', logLevel: 'warning',
  })
  const built = (await readdir(out)).filter((f) => f.endsWith('.mjs')).map((f) => join(out, f))
  const env = { ...process.env }
  if (kind === 'browser' && !env.EAVES_BINARY) {
    env.EAVES_BINARY = join(out, 'eaves')
    execFileSync('go', ['build', '-tags', 'sqlite_fts5', '-o', env.EAVES_BINARY, './cmd/eaves'], { cwd: join(app, '../..'), stdio: 'inherit' })
  }
  const run = spawnSync(process.execPath, ['--test', '--test-reporter=spec', `--test-concurrency=${kind === 'browser' ? 1 : 2}`, ...built], { stdio: 'inherit', cwd: app, env, timeout: 15 * 60_000 })
  if (run.error) console.error(`the tests did not end: ${run.error.message}`)
  process.exitCode = run.status ?? 1
} finally {
  await rm(out, { recursive: true, force: true })
}
